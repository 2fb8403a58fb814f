"""The command that measures engines."""

from __future__ import annotations

from typing import Annotated

import typer

from transpike.cli import show
from transpike.cli.arguments import Json, Numbers, Size, choice, sentence
from transpike.datasets import TEST
from transpike.errors import ArgumentError
from transpike.jobs import playing
from transpike.speed import Comparison, compare, demo_case


@sentence
def bench(
    network: Annotated[str | None, typer.Argument(help="Folder that convert wrote (default: the demo's network).")] = None,
    data: Annotated[str | None, typer.Option(help="Samples for the network, as for evaluate.")] = None,
    time_steps: Annotated[int | None, typer.Option(help="How many steps (default: the window of the code, or 32).")] = None,
    batch: Annotated[int, typer.Option(min=1, help="How many samples at once.")] = 16,
    repetitions: Annotated[int, typer.Option(min=1, help="How often each engine runs; medians are shown.")] = 5,
    mean: Numbers = None,
    std: Numbers = None,
    size: Size = None,
    as_json: Json = False,
) -> None:
    """Measure the engines on this machine, and say which one is taken and why."""
    if (network is None) != (data is None):
        raise ArgumentError("Give a network and --data for it, or neither: then the demo's network runs on digits.")
    if network is None or data is None:
        loaded, inputs = demo_case()
    else:
        loaded, samples = playing(network, choice(data, batch, mean, std, size), TEST, time_steps)
        inputs = samples.whole().inputs[0]
    result = compare(loaded, inputs[:batch], time_steps, repetitions=repetitions, name=network or "the demo's network")
    if as_json:
        show.as_json(result.to_json())
        return
    table(result)


def table(result: Comparison) -> None:
    """Print how fast the engines are."""
    title = f"{result.network}: T = {result.time_steps}, batch {result.batch}, threads {result.threads}"
    rows = show.table(title, "engine", "ms per sample", "ANN passes", "")
    for pace in result.paces:
        if pace.passes is None or pace.milliseconds is None:
            rows.add_row(pace.engine, "-", "-", show.escaped(pace.refusal or ""), style="dim")
        else:
            note = "taken by auto" if pace.engine == result.picked else ""
            rows.add_row(pace.engine, f"{pace.milliseconds:.3f}", f"{pace.passes:.1f}", note)
    rows.add_row("ANN", f"{result.ann_milliseconds:.3f}", "1.0", "")
    show.out.print(rows)
    show.out.print(f"Auto takes {result.picked!r}. {result.reason()}")
    if not result.builds:
        show.out.print("The kernels of the event engine are not compiled: install a C++ compiler and then transpike again.")
        return
    show.out.print(f"Kernels for this processor: {', '.join(result.builds)}; the first is used.")
    if result.kernels:
        kernels = show.table("What the event engine does", "stage", "kernel", "spikes per neuron and step")
        for each in result.kernels:
            kernels.add_row(show.escaped(each.stage), each.kernel, "-" if each.rate is None else f"{each.rate:.3f}")
        show.out.print(kernels)
