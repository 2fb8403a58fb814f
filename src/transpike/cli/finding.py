"""The command that says what data are."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from transpike.cli import show
from transpike.cli.arguments import Json, Size, StepMs, choice, sentence
from transpike.datasets import Split, find, named


@sentence
def data(
    source: Annotated[str, typer.Argument(help="A file, a folder, hf:owner/name, or 'digits'; perhaps with @split.")],
    size: Size = None,
    step_ms: StepMs = None,
    time_steps: Annotated[int | None, typer.Option(help="How many steps to cut event recordings into.")] = None,
    as_json: Json = False,
) -> None:
    """Say what form data have, which splits, and what a sample is."""
    name, asked = named(source)
    found = find(name)
    given = choice(name, None, None, None, size, step_ms).in_steps(time_steps)
    splits = [given.load(split) for split in ((asked,) if asked else found.splits)]
    if as_json:
        show.as_json([described(split) for split in splits])
        return
    rows = show.table(f"{name}: {splits[0].form}", "split", "samples", "inputs", "labels")
    for split in splits:
        values = described(split)
        inputs = ", ".join(f"{one['shape']} {one['dtype']}" for one in values["inputs"])
        rows.add_row(split.name, f"{len(split):,}", inputs, show.escaped(worded(split, labelled=values["labelled"])))
    show.out.print(rows)
    for note in dict.fromkeys(note for split in splits for note in split.notes):
        show.out.print(show.escaped(note))


def described(split: Split) -> dict[str, Any]:
    """Return a split as plain values."""
    first = split.first()
    return {
        "form": split.form,
        "split": split.name,
        "samples": len(split),
        "inputs": [{"shape": list(x.shape[1:]), "dtype": str(x.dtype).removeprefix("torch.")} for x in first.inputs],
        "labelled": first.labels is not None,
        "classes": list(split.classes),
        "frames": split.frames,
        "step_ms": split.step_ms,
        "notes": list(split.notes),
    }


def worded(split: Split, *, labelled: bool) -> str:
    """Say what the labels are."""
    if not split.classes:
        return "numbers" if labelled else "none"
    more = " ..." if len(split.classes) > 4 else ""  # noqa: PLR2004 - as many as a line holds
    return f"{len(split.classes)} classes: {', '.join(split.classes[:4])}{more}"
