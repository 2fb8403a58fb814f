"""The commands about faults: put them on a network, and see what it bears."""

from __future__ import annotations

from typing import Annotated

import typer

from transpike import breaking
from transpike.cli import outcomes, show
from transpike.cli.arguments import Data, Json, Numbers, Samples, Size, choice, numbers, sentence
from transpike.passes import FAULT_PASSES


@sentence
def fault(
    network: Annotated[str, typer.Argument(help="Folder that convert wrote.")],
    out: Annotated[str, typer.Option(help="Folder for the network with faults.")],
    threshold_spread: Annotated[float | None, typer.Option(help="Thresholds are off by this share (deviation).")] = None,
    weight_noise: Annotated[float | None, typer.Option(help="Weights are off by this share of themselves.")] = None,
    dead: Annotated[float | None, typer.Option(help="This share of the neurons never fires.")] = None,
    stuck: Annotated[float | None, typer.Option(help="This share of the neurons always fires.")] = None,
    drop: Annotated[float | None, typer.Option(help="This share of the spikes is lost.")] = None,
    jitter: Annotated[float | None, typer.Option(help="Spikes are off by so many steps (deviation).")] = None,
    pause: Annotated[int | None, typer.Option(help="A link is busy for so many steps after a spike.")] = None,
    seed: Annotated[int, typer.Option(help="What is drawn: another seed is another chip.")] = 0,
    as_json: Json = False,
) -> None:
    """Put faults on a spiking network: mismatch, broken neurons, lost and late spikes; evaluate shows what they cost."""
    given = zip(FAULT_PASSES, (threshold_spread, weight_noise, dead, stuck, drop, jitter, pause), strict=True)
    levels = {name: level for name, level in given if level is not None}
    show.converted(breaking.break_network(network, levels, seed, out), out, as_json)


@sentence
def faults(
    network: Annotated[str, typer.Argument(help="Folder that convert wrote.")],
    data: Data,
    kind: Annotated[str, typer.Option("--fault", help=f"One of {', '.join(FAULT_PASSES)}.")] = "dead",
    levels: Annotated[str, typer.Option(help="Levels of the fault, with commas between.")] = "0,0.01,0.02,0.05,0.1,0.2",
    draws: Annotated[int, typer.Option(min=1, help="How many times to draw each level.")] = 3,
    time_steps: Annotated[int | None, typer.Option(help="How many steps to simulate, as in evaluate.")] = None,
    out: Annotated[str | None, typer.Option(help="Folder for faults.json and its picture.")] = None,
    samples: Samples = None,
    mean: Numbers = None,
    std: Numbers = None,
    size: Size = None,
    as_json: Json = False,
) -> None:
    """Show what a spiking network bears: its accuracy against the level of a fault, over draws."""
    with show.watching(quiet=as_json) as watch:
        found = breaking.bear(
            network,
            choice(data, samples, mean, std, size),
            kind,
            numbers(levels, "--levels"),
            draws=draws,
            time_steps=time_steps,
            out=out,
            watch=watch,
        )
    if as_json:
        show.as_json(found.to_json())
        return
    outcomes.tolerance(found)
    if out is not None:
        show.out.print(f"Written: {show.escaped(out)}/{breaking.CURVE}.json and its picture.")
