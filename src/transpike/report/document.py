"""The report as one HTML file that needs nothing else: no network, no fonts, no further files."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from transpike.analysis import Report
from transpike.files import write_text
from transpike.parts import Finding
from transpike.report.causes import by_cause, by_stage
from transpike.report.figures import FIGURES, Drawing
from transpike.report.leaving import promise, with_exit
from transpike.report.svg import inline
from transpike.report.tables import by_layer, over_time, work_scale
from transpike.report.verdict import steps, verdict
from transpike.report.wording import in_turns, number, spiking_level

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
    figures = [image(name, drawing, report) for name, drawing in drawn.items() if drawing.needs != "diagnosis"]
    diagnosed = report.diagnosis
    return {
        "report": report,
        "title": report.title.strip() or "Converted network",
        "steps": steps(report.time_steps),
        "tiles": verdict(report),
        "findings": linked(report.findings, rows),
        "figures": figures,
        "causes": None if diagnosed is None else linked(diagnosed.findings, rows),
        "cause_figures": [image(name, one, report) for name, one in drawn.items() if one.needs == "diagnosis"],
        "by_stage": None if diagnosed is None else by_stage(diagnosed),
        "by_cause": None if diagnosed is None else by_cause(diagnosed),
        "leaving": None if report.exits is None else with_exit(report),
        "promise": "" if report.exits is None else promise(report),
        "over_time": over_time(report),
        "by_layer": by_layer(report),
        "macs": macs_sentence(report),
        "level": spiking_level(report),
        "turns": "" if report.turns is None else in_turns(**dataclasses.asdict(report.turns)),
        "schedule": SCHEDULES.get(report.method.schedule, ""),
        "number": number,
    }


def image(name: str, drawing: Drawing, report: Report) -> tuple[str, str, str, Markup]:
    """Return a figure with its name, title and caption."""
    title, caption = drawing.words(report)
    return name, title, caption, inline(drawing.draw(report), name, title, caption)


def linked(findings: Sequence[Finding], rows: Mapping[str, str]) -> list[tuple[Finding, str]]:
    """Return findings with the row of the layer table that each speaks of."""
    return [(finding, rows.get(finding.node or "", "")) for finding in findings]


def macs_sentence(report: Report) -> str:
    """Say what the multiply-accumulates of the spiking network are."""
    unit = work_scale(report)
    once = f"the analogue first layer, computed once per sample ({unit.worded(report.static_macs)})"
    said = [once]
    if report.current_macs:
        said.append(f"layers that read currents instead of spikes ({unit.worded(report.current_macs)} at every step)")
    if report.function_values:
        said.append(f"values of functions of signals ({unit.worded(report.function_values)} at every step), as one each")
    return ", and ".join(said)


def sha256(text: str) -> str:
    """Return the digest of a script by which the page's policy knows it."""
    return base64.b64encode(hashlib.sha256(str(text).encode()).digest()).decode()
