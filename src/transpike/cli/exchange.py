"""Commands that hand networks over to other programs, and take theirs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import typer

from transpike import exchange
from transpike.cli import show
from transpike.cli.arguments import Json, Numbers, Samples, Size, choice, sentence
from transpike.export import PROFILES, Outcome

export = typer.Typer(help="Write a network for other programs.", no_args_is_help=True)
imports = typer.Typer(help="Read a network of other programs.", no_args_is_help=True)


@export.callback()
def writing() -> None:
    """Write a network for other programs."""


@imports.callback()
def reading() -> None:
    """Read a network of other programs."""


@export.command("nir")
@sentence
def export_nir(
    network: Annotated[str, typer.Argument(help="Folder that convert wrote.")],
    output: Annotated[str, typer.Option(help="The file to write, such as network.nir.")],
    profile: Annotated[str, typer.Option(help=f"One of {', '.join(PROFILES)}.")] = "portable",
    currents: Annotated[
        bool, typer.Option("--currents", help="The stimulus is the current of the first layer, computed outside.")
    ] = False,
    data: Annotated[str | None, typer.Option(help="Samples for the stimulus, as in convert (default: random).")] = None,
    time_steps: Annotated[int, typer.Option(min=1, help="Steps of the stimulus.")] = 32,
    samples: Samples = 4,
    mean: Numbers = None,
    std: Numbers = None,
    size: Size = None,
    check: Annotated[bool, typer.Option("--check", help="Run it with sinabs, norse and snnTorch where installed.")] = False,
    as_json: Json = False,
) -> None:
    """Write a spiking network as a NIR file, with a stimulus and the spikes it must give, and check it at once."""
    given = choice(data, samples, mean, std, size) if data else None
    written = exchange.export_nir(network, output, given, profile=profile, currents=currents, time_steps=time_steps)
    outcomes = exchange.run_elsewhere(written.path) if check else ()
    if as_json:
        plain = dataclasses.asdict(written)
        values = {**plain, "path": str(written.path), "stimulus": str(written.stimulus), "identical": written.identical}
        show.as_json(values | ({"programs": [dataclasses.asdict(one) for one in outcomes]} if check else {}))
        return
    show.out.print(f"Written: {show.escaped(str(written.path))} ({written.profile}) and {show.escaped(str(written.stimulus))}")
    show.out.print(show.escaped(written.words()))
    if outcomes:
        elsewhere(outcomes)


def elsewhere(outcomes: Sequence[Outcome]) -> None:
    """Print what other programs make of a file."""
    rows = show.table(
        "Run by other programs", "program", "version", "by its", "layers the same", "slots that differ", "outcome"
    )
    for one in outcomes:
        layers = "-" if one.of is None else f"{one.layers} of {one.of}"
        slots = "-" if one.differing is None else f"{one.differing:,}"
        rows.add_row(one.program, one.version or "-", one.way.removeprefix("its "), layers, slots, show.escaped(one.outcome))
    show.out.print(rows)


@export.command("brian2")
@sentence
def export_brian2(
    network: Annotated[str, typer.Argument(help="Folder that convert wrote.")],
    output: Annotated[str, typer.Option(help="The script to write, such as network.py; its arrays stand beside it.")],
    data: Annotated[str | None, typer.Option(help="Samples to run, as in convert (default: random).")] = None,
    time_steps: Annotated[int, typer.Option(min=1, help="Steps of a run.")] = 32,
    samples: Samples = 4,
    mean: Numbers = None,
    std: Numbers = None,
    size: Size = None,
    as_json: Json = False,
) -> None:
    """Write a small spiking network as a plain Brian2 script, which compares its spikes with those here."""
    given = choice(data, samples, mean, std, size) if data else None
    written = exchange.export_brian2(network, output, given, time_steps=time_steps)
    if as_json:
        show.as_json({**dataclasses.asdict(written), "path": str(written.path), "arrays": str(written.arrays)})
        return
    show.out.print(f"Written: {show.escaped(str(written.path))} and {show.escaped(str(written.arrays))}")
    show.out.print(show.escaped(written.words()))


@imports.command("nir")
@sentence
def import_nir(
    path: Annotated[str, typer.Argument(help="The NIR file.")],
    out: Annotated[str, typer.Option(help="Folder for the network.")],
    reset: Annotated[str, typer.Option(help="zero or subtract, where the file does not say how neurons are reset.")] = "zero",
    time_step: Annotated[float, typer.Option(help="Seconds of a step, for leaky neurons and delays.")] = 1e-3,
    as_json: Json = False,
) -> None:
    """Read a NIR file as a network that can be simulated and evaluated."""
    network = exchange.import_nir(path, out, reset=reset, time_step=time_step)
    if as_json:
        nodes = [{"name": node.name, "kind": type(node.op).__name__, "inputs": node.inputs} for node in network.nodes.values()]
        show.as_json({"out": out, "nodes": nodes})
        return
    show.network(network, out)
