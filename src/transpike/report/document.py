"""The report as one HTML file that needs nothing else: no network, no fonts, no further files."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from transpike.analysis import Report
from transpike.files import write_text
from transpike.report.figures import FIGURES
from transpike.report.svg import inline
from transpike.report.tables import by_layer, over_time, work_scale
from transpike.report.verdict import steps, verdict
from transpike.report.wording import number

SCHEDULES = {
    "concurrent": "all layers integrate and fire at every step, so an answer takes as long as the number of time steps",
    "sequential": "a layer listens for one window and transmits in the next, so an answer takes depth times the window",
    "instantaneous": "no time steps: a population of neurons answers at once",
}


def page(report: Report) -> str:
    """Return the report as an HTML page; the same report gives the same text.

    Names come from files that may be foreign: everything is escaped, and the page forbids all scripts but its own.
    """
    environment = Environment(
        loader=PackageLoader("transpike", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["sha256"] = sha256
    return environment.get_template("page.html.jinja").render(context(report))


def write_page(report: Report, path: str | Path) -> None:
    """Write the page of a report to `path`, whole or not at all; raises ArchiveError if it cannot be written."""
    write_text(Path(path), page(report))


def context(report: Report) -> dict[str, Any]:
    """Return what the template shows, in words."""
    rows = {layer.name: f"layer-{place}" for place, layer in enumerate(report.layers, 1)}
    drawn = {name: drawing for name, drawing in FIGURES.items() if drawing.applies(report)}
    figures = [(name, *drawing.words(report), drawing) for name, drawing in drawn.items()]
    return {
        "report": report,
        "title": report.title.strip() or "Converted network",
        "steps": steps(report.time_steps),
        "tiles": verdict(report),
        "findings": [(finding, rows.get(finding.node or "")) for finding in report.findings],
        "figures": [
            (name, title, caption, inline(drawing.draw(report), name, title, caption))
            for name, title, caption, drawing in figures
        ],
        "over_time": over_time(report),
        "by_layer": by_layer(report),
        "macs": macs_sentence(report),
        "schedule": SCHEDULES.get(report.method.schedule, ""),
        "number": number,
    }


def macs_sentence(report: Report) -> str:
    """Say what the multiply-accumulates of the spiking network are."""
    unit = work_scale(report)
    once = f"the analogue first layer, computed once per sample ({unit.worded(report.static_macs)})"
    if not report.current_macs:
        return once
    return f"{once}, and layers that read currents instead of spikes ({unit.worded(report.current_macs)} at every step)"


def sha256(text: str) -> str:
    """Return the digest of a script by which the page's policy knows it."""
    return base64.b64encode(hashlib.sha256(str(text).encode()).digest()).decode()
