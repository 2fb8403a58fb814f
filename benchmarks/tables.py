"""Print a table and keep it as JSON."""

from __future__ import annotations

import json
from pathlib import Path

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
