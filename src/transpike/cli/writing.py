"""The command for networks that write text."""

from __future__ import annotations

from typing import Annotated

import typer

from transpike import jobs, writing
from transpike.cli import show
from transpike.cli.arguments import Data, Json, Samples, Weights, choice, sentence


@sentence
def perplexity(
    network: Annotated[str, typer.Argument(help="Folder that convert wrote.")],
    data: Data,
    time_steps: Annotated[
        int | None, typer.Option(help=f"How many steps to simulate (default: the window of the code, or {jobs.STEPS}).")
    ] = None,
    ignored: Annotated[
        int | None, typer.Option(help="Word that is not to be predicted, such as what fills up sequences.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Compare with this model instead of the network's own analogue.")] = None,
    weights: Weights = None,
    samples: Samples = None,
    as_json: Json = False,
) -> None:
    """Measure how well a spiking network predicts the next word of sequences, after each step, beside its ANN."""
    with show.watching(quiet=as_json) as watch:
        given = choice(data, samples, None, None)
        found = writing.perplexity_of(network, given, time_steps, ignored=ignored, model=model, weights=weights, watch=watch)
    if as_json:
        show.as_json(found.to_json())
        return
    rows = show.table(f"{found.tokens:,} words of {found.sequences:,} sequences", "", "perplexity", "same word")
    for step, (value, same) in enumerate(zip(found.spiking, found.agreement, strict=True), 1):
        rows.add_row(f"T = {step}", f"{value:.3f}", show.percent(same))
    rows.add_row("ANN", f"{found.reference:.3f}", "")
    show.out.print(rows)
