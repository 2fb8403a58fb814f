"""Print a table and keep it as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

OUT = Path(__file__).parent / "out"
TOGETHER = 10  # rows measured side by side


class Rows:
    """Finished rows by key, kept in a file."""

    def __init__(self, name: str):
        self.path = OUT / f"{name}.json"
        self.rows: dict[str, dict] = json.loads(self.path.read_text()) if self.path.exists() else {}

    def get(self, key: str, make: Callable[[], dict]) -> dict:
        """The row of a key, measured now if it has not been."""
        if key not in self.rows:
            self.rows[key] = make()
            self.path.parent.mkdir(exist_ok=True)
            self.path.write_text(json.dumps(self.rows, indent=1))
            print(key, self.rows[key], flush=True)
        return self.rows[key]

    def each(self, keys: list[str], make: Callable[[list[str]], list[dict]]) -> list[dict]:
        """The rows of some keys, those that are missing measured side by side, some at a time."""
        missing = [key for key in keys if key not in self.rows]
        for start in range(0, len(missing), TOGETHER):
            some = missing[start : start + TOGETHER]
            for key, row in zip(some, make(some), strict=True):
                self.get(key, lambda row=row: row)
        return [self.rows[key] for key in keys]


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


def kept_rows(name: str, **settings: object) -> list[dict]:
    """Return the rows that an interrupted benchmark of the same settings has kept, to go on from there."""
    path = OUT / f"{name}.json"
    content = json.loads(path.read_text()) if path.exists() else {}
    return content["rows"] if content and all(content.get(key) == value for key, value in settings.items()) else []


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
