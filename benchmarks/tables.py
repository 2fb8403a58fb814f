"""Print a table and keep it as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.modules.setdefault("coverage", None)  # type: ignore[arg-type]  # or numba takes benchmarks/coverage.py for the package of that name

OUT = Path(__file__).parent / "out"


def show(title: str, rows: list[dict]) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[str(row.get(column, "")) for column in columns] for row in rows]
    widths = [max(len(column), *(len(row[i]) for row in cells)) for i, column in enumerate(columns)]
    print(f"\n{title}")
    for row in [columns, *cells]:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


def keep(name: str, content: dict, *, quiet: bool = False) -> None:
    OUT.mkdir(exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps(content, indent=1))
    if not quiet:
        print(f"\nWritten: benchmarks/out/{name}.json")


def draw(rows: list[dict], axis: str, path: str, label: str, *, reference: float, logarithmic: bool = False) -> None:
    """Draw accuracy against one column, a line for each recipe, and the ANN's as reference."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for name in dict.fromkeys(row["recipe"] for row in rows):
        points = sorted((row[axis], row["accuracy %"]) for row in rows if row["recipe"] == name)
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name)
    axes.axhline(reference, color="black", linestyle="--", linewidth=1, label="ANN")
    axes.set(xlabel=label, ylabel="accuracy in %")
    if logarithmic:
        axes.set_xscale("log", base=2)
    axes.legend(fontsize=7, ncols=2)
    axes.grid(alpha=0.3)
    figure.savefig(path)
