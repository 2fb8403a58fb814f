"""The commands about neuromorphic chips: does a network fit one, and what is published of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from transpike.chips import Chip, chip_names, chip_page, find_chip
from transpike.cli import show
from transpike.cli.arguments import Json, sentence
from transpike.files import write_text
from transpike.network.archive import load
from transpike.placement import Fit
from transpike.placement import fit as fit_network


@sentence
def fit(
    network: Annotated[str, typer.Argument(help="Folder that convert wrote.")],
    chip: Annotated[str, typer.Option(help="A name that transpike chips lists, or a YAML file of your own.")],
    as_json: Json = False,
) -> None:
    """Say whether a network fits a chip: cores in use, which limit breaks where, and what to change."""
    found = fit_network(load(network), chip)
    show.as_json(found.to_json()) if as_json else fitted(found)
    if not found.fits:
        raise typer.Exit(1)


def fitted(found: Fit) -> None:
    """Print where the layers of a network go, what breaks, and the verdict."""
    rows = show.table(f"Placement on {found.title}", "layer", "neurons", "fan-in", "cores", "which", "takes", "decided by")
    for place in found.places:
        cores = "shared" if place.cores is None else f"{place.cores:,}"
        takes = ", ".join(f"{count:,} {name}" for name, count in place.takes.items())
        which = ", ".join(map(str, place.on)) or "-"
        name = show.escaped(place.layer)
        rows.add_row(name, f"{place.neurons:,}", f"{place.fan_in:,}", cores, which, takes or "-", place.decides or "-")
    if found.places:
        show.out.print(rows)
    for one in found.obstacles:
        show.out.print(f"[red]x[/red] {show.escaped(one.message)} [dim]{show.escaped(one.advice)}[/dim]")
    show.findings(found.notes)
    show.out.print(f"[bold]{show.escaped(found.verdict)}[/bold]")


@sentence
def chips(
    name: Annotated[str | None, typer.Argument(help="A chip, or a YAML file of your own (default: list them).")] = None,
    out: Annotated[str | None, typer.Option(help="Write the page of all chips as Markdown.")] = None,
    as_json: Json = False,
) -> None:
    """List neuromorphic chips, or all that is published of one, each value with its source."""
    known = [find_chip(one) for one in (chip_names() if name is None else (name,))]
    if out is not None:
        write_text(Path(out), chip_page(known))
        show.out.print(f"Written: {show.escaped(out)}")
    elif as_json:
        show.as_json({one.name: plain(one) for one in known})
    elif name is None:
        rows = show.table("Chips", "name", "chip", "year", "cores", "neurons", "placement rule")
        for one in known:
            counts = (one.quantities.get(key) for key in ("cores", "neurons"))
            rows.add_row(
                one.name, one.title, str(one.year), *("-" if c is None else c.worded() for c in counts), one.placement or "-"
            )
        show.out.print(rows)
    else:
        values(known[0])


def plain(chip: Chip) -> dict[str, object]:
    """Return a chip as plain values."""
    found = {field.name: getattr(chip, field.name) for field in dataclasses.fields(chip)}
    found["abilities"] = None if found["abilities"] is None else sorted(found["abilities"])
    return found | {"quantities": {key: dataclasses.asdict(one) for key, one in found["quantities"].items()}}


def values(chip: Chip) -> None:
    """Print all that is published of a chip."""
    rows = show.table(f"{chip.title} ({chip.year})", "quantity", "value", "confidence", "source")
    for key, one in chip.quantities.items():
        rows.add_row(key.replace("_", " "), one.worded(), one.confidence, show.escaped(one.source))
    show.out.print(rows)
    for note in chip.notes:
        show.out.print(f"[dim]{show.escaped(note)}[/dim]")
