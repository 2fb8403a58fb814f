"""The page of all chips, made of their files."""

from __future__ import annotations

from collections.abc import Iterable

from transpike.chips.base import Chip, Quantity
from transpike.chips.quantities import ABILITIES, CONFIDENCES, QUANTITIES

OVERVIEW = ("cores", "neurons", "synapses", "fan_in", "weight_bits", "synaptic_operation", "synaptic_operation_total", "power")
HEADINGS = {
    "cores": "Cores",
    "neurons": "Neurons",
    "synapses": "Synapses",
    "fan_in": "Fan-in",
    "weight_bits": "Weight",
    "synaptic_operation": "Per synaptic operation",
    "synaptic_operation_total": "the same, whole chip",
    "power": "Power",
}
INTRODUCTION = """# Chips

Written by `transpike chips --out docs/chips.md` from the files in `src/transpike/chips/data/`. An empty cell means that
nothing was found published, not that the number is 0. `transpike fit NETWORK --chip NAME` says whether a network fits;
`NAME` may be the path of a file of your own in the same form (see any of those files).

A synaptic operation is another thing on every chip (one term or the whole chip, measured or simulated), so that its
energies are good for orders of magnitude only. Where sources differ the range stands in brackets.
"""


def chip_page(chips: Iterable[Chip]) -> str:
    """Return the page of `chips` as Markdown: what is compared, then each value with its source."""
    ordered = sorted(chips, key=lambda chip: (chip.placement is None, chip.title.lower()))
    head = ("Chip", "Name", "Year", "Circuits", *HEADINGS.values(), "Placement rule")
    rows = [
        (
            chip.title,
            f"`{chip.name}`",
            str(chip.year),
            chip.circuits,
            *(cell(chip.quantities.get(name)) for name in OVERVIEW),
            chip.placement or "",
        )
        for chip in ordered
    ]
    parts = [INTRODUCTION, table(head, rows), "\n## Words\n", words(), "\n## Values and sources\n"]
    return "\n".join([*parts, *(section(chip) for chip in ordered)])


def words() -> str:
    """Return what quantities, confidences and abilities mean."""
    lists = (
        ("Quantities", {name: kind.meaning for name, kind in QUANTITIES.items()}),
        ("Confidence", CONFIDENCES),
        ("Abilities of neurons", ABILITIES),
    )
    return "\n".join(f"{title}: " + "; ".join(f"*{shown(n)}* {m}" for n, m in rows.items()) + ".\n" for title, rows in lists)


def section(chip: Chip) -> str:
    """Return everything about one chip."""
    known = ", ".join(sorted(chip.abilities)) if chip.abilities else ("none" if chip.abilities is not None else "not published")
    said = f"{chip.maker + '; ' if chip.maker else ''}{chip.models or 'models of neurons not stated'}; abilities: {known}."
    rows = [
        (shown(name), cell(one), one.confidence, str(one.year), one.source.replace("|", "\\|"), one.note)
        for name, one in chip.quantities.items()
    ]
    head = ("Quantity", "Value", "Confidence", "Year", "Source", "Note")
    return "\n".join([f"### {chip.title}\n", *(f"{line}\n" for line in (said, *chip.notes)), table(head, rows), ""])


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(quantity: Quantity | None) -> str:
    """Return a value in words, or nothing."""
    return "" if quantity is None else quantity.worded()


def shown(name: str) -> str:
    """Return the name of a quantity as people write it."""
    return name.replace("_", " ")
