"""The command that shows the signal encodings."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from transpike.cli import show
from transpike.cli.arguments import Json, sentence
from transpike.codings import SIGNAL_CODES
from transpike.report import draw_code, save_figure


@sentence
def codings(
    draw: Annotated[str | None, typer.Option(help="Folder for a picture of each code, as SVG.")] = None,
    as_json: Json = False,
) -> None:
    """List the signal encodings: which invert, how far they are off, which suit conversion and why."""
    written = []
    for name, code in SIGNAL_CODES.items() if draw else ():
        path = Path(str(draw)) / f"{name}.svg"
        save_figure(draw_code(code()), path)
        written.append(str(path))
    if as_json:
        rows = [{"name": name, "class": code.__name__, **asdict(code.properties)} for name, code in SIGNAL_CODES.items()]
        show.as_json({"codings": rows, "written": written})
        return
    table()
    for picture in written:
        show.out.print(f"Written: {show.escaped(picture)}")


def table() -> None:
    """Print what is known of each code, and below why codes suit conversion or not."""
    rows = show.table("Signal encodings", "code", "encodes", "converts", "read back: off by at most")
    for column in rows.columns:
        column.justify, column.no_wrap = "left", column is rows.columns[0]
    reasons: dict[str, list[str]] = {}
    family = ""
    for name, code in SIGNAL_CODES.items():
        known = code.properties
        if known.family != family:
            family = known.family
            rows.add_section()
            rows.add_row(f"[bold]{family}[/bold]")
        off = (known.guarantee or "no bound") if known.inverts else "not read back"
        rows.add_row(f"  {name}", known.stimulus, "yes" if known.for_conversion else "no", off)
        reasons.setdefault(known.why, []).append(name)
    show.out.print(rows)
    for why, names in reasons.items():
        show.out.print(f"[cyan]{', '.join(names)}[/cyan]: {why}")
