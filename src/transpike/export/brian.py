"""Export to Brian2: a plain script and its arrays, an independent check in continuous time."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transpike.errors import ExportError, positive_whole
from transpike.export.brian_script import SCRIPT
from transpike.export.files import stimulating
from transpike.files import write_bytes, write_text
from transpike.network import Network, shapes
from transpike.network.grammar import check_spiking, place
from transpike.neurons import IntegrateAndFire, Integrator, Neuron, ResetToZero
from transpike.parts import Decoder
from transpike.simulation import Record, simulate
from transpike.simulation.engines.event.currents import drives
from transpike.simulation.engines.event.linear import Kernel
from transpike.simulation.engines.event.lowering import Lowering, Stage, UnsupportedError, check_forms, scaled

KINDS: tuple[type[Neuron], ...] = (IntegrateAndFire, ResetToZero)
MOST = 20_000_000  # synapses that are worth writing out one by one
ROWS = 256  # spikes that are followed at once


@dataclass(frozen=True)
class WrittenBrian:
    """What `brian2` wrote."""

    path: Path
    arrays: Path
    layers: int
    neurons: int
    synapses: int
    time_steps: int
    samples: int

    def words(self) -> str:
        """Say what was written, and how to run it."""
        return (
            f"{self.layers} layers of {self.neurons:,} neurons and {self.synapses:,} synapses, {self.samples} samples, "
            f"{self.time_steps} steps. Run it in an environment with Brian2: python {self.path.name} --substeps 1"
        )


def brian2(network: Network, path: str | Path, samples: Any = None, *, time_steps: int = 32) -> WrittenBrian:
    """Write a small converted network as a plain Brian2 script, `net.py`, with its arrays in `net.npz`.

    Neurons integrate dv/dt = I, in thresholds of their own and one time step per second; a spike adds its weight to the
    potentials of its receivers, and takes the threshold from its own (or all of it). Every synapse passes a spike on within one
    tick of the clock, so that a layer runs one tick behind the one before, and starts so much later. `python net.py` runs
    all samples, writes `net.result.npz`, and compares spikes and answers with those of `network`, which stand in `net.npz`.
    With `--substeps 1` a tick is a time step, and every spike has to be the same; with more, time is finer than ours: neurons
    fire when they reach the threshold, not at the end of a step.
    `samples` [batch, ...] are as in `convert` (random ones in 0 .. 1 if there are none).

    Raises ExportError, naming the place and the reason, for codes other than rate coding with integrate-and-fire neurons, for
    max-pools, and for networks of more than 20 million synapses. Source of the simulator: Stimberg et al. 2019 (eLife).
    """
    positive_whole("time_steps", time_steps)
    check_spiking(network)
    stages = stages_of(network)
    inputs = stimulating(network, samples)
    double = network.to("cpu", torch.float64)
    arrays: dict[str, np.ndarray[Any, Any]] = {"time_steps": np.array(time_steps), "samples": np.array(len(inputs))}
    depths = depths_of(stages)
    synapses = 0
    for number, (stage, current) in enumerate(zip(stages, currents_of(double, stages, inputs.double()), strict=True)):
        arrays |= described(number, stage, depths[stage.name], current)
        for source, kernel in stage.terms:
            before = next(k for k, one in enumerate(stages) if one.name == source)
            found = synapses_of(kernel)
            synapses += len(found[0])
            if synapses > MOST:
                raise ExportError(f"The network has more than {MOST:,} synapses, too many to write out: take a small one.")
            key = f"synapses/{before}/{number}"
            arrays |= {f"{key}/{name}": part for name, part in zip(("i", "j", "w"), found, strict=True)}
            arrays[f"{key}/delay"] = np.array(depths[stage.name] - depths[source] - 1)
    arrays |= expected(double, stages, inputs.double(), time_steps)
    target = Path(path)
    beside = target.with_suffix(".npz")
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    write_bytes(beside, content.getvalue())
    write_text(target, SCRIPT)
    firing = [stage for stage in stages if isinstance(stage.op, Neuron)]
    neurons = sum(int(np.prod(stage.shape)) for stage in firing)
    return WrittenBrian(target, beside, len(firing), neurons, synapses, time_steps, len(inputs))


def stages_of(network: Network) -> list[Stage]:
    """Return the layers of a network, fed by convolutions of the spikes of earlier ones; raise ExportError if it has none."""
    for node in network.having(Neuron):
        op = node.op
        assert isinstance(op, Neuron)
        if type(op) not in KINDS:
            raise ExportError(
                f"{type(op).__name__} {place(node)} has no script here: convert with a recipe of integrate-and-fire neurons, "
                "such as rate, sbg or reset-to-zero."
            )
        if op.delay or (op.bias is not None and len(op.bias) > 1):
            raise ExportError(
                f"{type(op).__name__} {place(node)} changes from step to step: take a recipe such as rate or sbg."
            )
    for node in network.having(Decoder):
        if type(node.op) is not Integrator or node.op.delay:
            raise ExportError(
                f"{type(node.op).__name__} {place(node)}: the script reads accumulated potentials from the start."
            )
    try:
        stages = Lowering(network, kinds=KINDS).stages()
        check_forms(network, stages)
        found = [scaled(stage, {other.name: other for other in stages}) for stage in stages]
    except UnsupportedError as error:
        raise ExportError(f"The network has no form as layers and synapses: {error}.") from None
    for stage in found:
        if stage.pool != (1, 1):
            raise ExportError(
                f"{place(network.nodes[stage.name])} follows a max-pool, which is no synapse: take average pools."
            )
    return found


def depths_of(stages: list[Stage]) -> dict[str, int]:
    """Return the layers on the longest path to each layer, itself included."""
    found: dict[str, int] = {}
    for stage in stages:
        found[stage.name] = 1 + max((found[source] for source, _ in stage.terms), default=0)
    return found


def currents_of(network: Network, stages: list[Stage], inputs: Tensor) -> list[Tensor]:
    """Return the current of each layer [samples, neurons] without spikes: what the input, biases and constants bring."""
    sizes = shapes(network)
    silent = {stage.name: torch.zeros(1, *sizes[stage.name], dtype=torch.float64) for stage in stages}
    found = drives(network, [stage.drive for stage in stages], silent, {next(iter(network.inputs)): inputs})
    currents = []
    for stage in stages:
        value = found[stage.drive]
        if isinstance(stage.op, Neuron) and stage.op.bias is not None:
            value = value + stage.op.bias[0]
        currents.append(value.expand(len(inputs), *value.shape[1:]).flatten(1))
    return currents


def described(number: int, stage: Stage, depth: int, current: Tensor) -> Mapping[str, np.ndarray[Any, Any]]:
    """Return the arrays of one layer, numbered: its name, when it starts, thresholds, first potentials and currents."""
    op, key = stage.op, f"layer/{number}"
    arrays = {f"{key}/name": np.array(stage.name), f"{key}/depth": np.array(depth), f"{key}/current": current.numpy()}
    if isinstance(op, Neuron):
        threshold = spread(op.threshold.double(), stage)
        arrays[f"{key}/threshold"] = threshold
        arrays[f"{key}/initial"] = spread((op.initial * op.threshold).double(), stage)
        arrays[f"{key}/to_zero"] = np.array(isinstance(op, ResetToZero))
    return arrays


def spread(values: Tensor, stage: Stage) -> np.ndarray[Any, Any]:
    """Return values per channel for each neuron of a layer."""
    shape = stage.shape if values.ndim != 1 or stage.shape[1:] != (1, 1) else stage.shape[:1]
    return values.expand(shape).flatten().numpy()


def synapses_of(kernel: Kernel) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the synapses of a convolution: from which neuron, to which, and their weights, those of 0 left out."""
    inputs = int(np.prod(kernel.before))
    parts = []
    for first in range(0, inputs, ROWS):
        count = min(ROWS, inputs - first)
        spikes = torch.zeros(count, inputs, dtype=torch.float64)
        spikes[range(count), range(first, first + count)] = 1
        reached = kernel(spikes.reshape(count, *kernel.before)).flatten(1)
        i, j = reached.nonzero(as_tuple=True)
        parts.append((i + first, j, reached[i, j]))
    sources, targets, weights = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
    return sources.astype(np.int32), targets.astype(np.int32), weights


def expected(network: Network, stages: list[Stage], inputs: Tensor, time_steps: int) -> dict[str, np.ndarray[Any, Any]]:
    """Return the spikes [time, samples, neurons] and the answers that the script compares its own with."""
    firing = [stage.name for stage in stages if isinstance(stage.op, Neuron)]
    run = simulate(network, inputs, time_steps, record=Record(spikes=firing))
    arrays = {
        f"expected/{number}": run.spikes[stage.name].flatten(2).numpy()
        for number, stage in enumerate(stages)
        if stage.name in firing
    }
    answer = next(iter(run.outputs.values())) if isinstance(run.outputs, Mapping) else run.outputs
    return arrays | {"expected/answer": answer[-1].numpy()}
