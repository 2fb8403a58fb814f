"""The engine that takes a layer through a stretch of time before the next layer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from transpike.data import Batch
from transpike.network import Network
from transpike.network.remembered import once
from transpike.network.turns import sequential
from transpike.neurons import FunctionOfSignals
from transpike.parts import State, Stateful
from transpike.simulation.joins import joins
from transpike.simulation.layers import Layers, Observer
from transpike.simulation.memory import block_on, bytes_per_sample, keep_freed_memory, sizes_of
from transpike.simulation.recording import Block, Later
from transpike.simulation.stages import staged
from transpike.simulation.stepper import laid_out
from transpike.simulation.task import Runner, Task
from transpike.simulation.whole import whole_convolutions

TILE = 2 << 20  # bytes that pass from one op to the next at once: they stay in the cache of one core
STRETCH = 16 << 20  # bytes of all values that are kept at once while a stretch of time passes through the layers
FEWEST = 8  # samples times steps that make the weights of a layer worth reading
STEPS = 16  # at once, before more samples at once pay


@dataclass(frozen=True)
class LayerwiseEngine:
    """Compute all of a layer for a stretch of time before the next layer; states pass from one stretch to the next.

    Static values are computed once, and neurons are stepped by the fused scan where it knows them. The memory depends
    neither on the number of steps nor on that of the samples. `stretch` is the number of steps at once, and `tile` the
    bytes that pass from op to op at once; by default what stays in cache. The results do not depend on them, but for the
    order of sums within ops.
    """

    name: ClassVar[str] = "layerwise"

    stretch: int | None = None
    tile: int = TILE

    def refusal(self, task: Task) -> str | None:
        stateful = [node for node in task.network.having(Stateful) if not isinstance(node.op, FunctionOfSignals)]
        if any(len(node.inputs) > 1 for node in stateful):
            return "some neurons read two signals"
        if task.network.previous:
            return "it has recurrent layers"
        return "the layers of a sequential network take turns" if sequential(task.network) else None

    def prepare(self, task: Task) -> Runner:
        return LayerwiseRunner(task, self.stretch, self.tile)


class LayerwiseRunner:
    """A network laid out and cut into stages, with the number of samples and steps that it takes at once."""

    def __init__(self, task: Task, stretch: int | None, tile: int) -> None:
        self.task = task
        self.network = once(task.network, "laid out", laid_out)
        sizes = once(self.network, "sizes", sizes_of)
        self.stages = once(self.network, "kept values", lambda network: staged(network, sizes))
        self.whole = once(self.network, "whole convolutions", whole_convolutions)
        self.joins = once(self.network, "joins", joins)
        self.tile = tile
        self.stretch = stretch
        item = self.network.dtype.itemsize
        self.bytes_per_step = max(1, self.stages.width * item)  # of one sample
        self.at_once = max(FEWEST, STRETCH // self.bytes_per_step)
        samples = max(1, self.at_once // min(task.time_steps, STEPS))
        beyond = (self.steps(1) - 1) * self.bytes_per_step - STRETCH
        least = once(self.network, "bytes per sample", lambda network: bytes_per_sample(network, sizes))
        self.need = least + max(0, beyond)
        self.largest_block = min(block_on(self.network.device), 1 << (samples.bit_length() - 1))

    def bytes_per_sample(self) -> int:
        return self.need

    def steps(self, samples: int) -> int:
        """Return how many steps to take at once, in stretches that are about equal."""
        if self.stretch is not None:
            return self.stretch
        stretches = -(-self.task.time_steps // max(1, self.at_once // samples))
        return -(-self.task.time_steps // stretches)

    @torch.inference_mode()
    def run(self, batch: Batch, first_sample: int = 0) -> Block:
        keep_freed_memory()
        inputs = [tensor.to(self.network.device) for tensor in batch.inputs]
        layers = Layers(self.network, self.stages, self.whole, self.joins, inputs, first_sample, self.tile)
        tape = BlockTape(self.task, self.network, layers)
        stretch = self.steps(len(batch))
        while layers.steps < self.task.time_steps:
            layers.advance(min(stretch, self.task.time_steps - layers.steps), tape)
            tape.measure()
        return tape.block(batch)


class BlockTape(Observer):
    """Collects what a task wants to know while a block runs."""

    def __init__(self, task: Task, network: Network, layers: Layers) -> None:
        self.task = task
        self.layers = layers
        self.keys = network.outputs
        self.outputs: dict[str, list[Tensor]] = {name: [] for name in network.outputs.values()}
        self.spikes: dict[str, list[Tensor]] = {name: [] for name in task.record.spikes}
        self.potentials: dict[str, list[Tensor]] = {name: [] for name in task.record.potentials}
        self.checkpoints = frozenset(task.snapshots.steps if task.snapshots else ())
        self.counts: dict[int, dict[str, Tensor]] = {}
        self.kept: dict[int, Any] = {}

    def stops(self, name: str) -> Collection[int]:
        return range(1, self.task.time_steps + 1) if name in self.potentials else self.checkpoints

    def look(self, name: str, step: int) -> None:
        state = self.layers.players[name].state
        if name in self.potentials:
            self.potentials[name].append(state.potential.cpu().clone())
        if step in self.checkpoints and state.count is not None:
            self.counts.setdefault(step, {})[name] = state.count.clone()

    def keep(self, name: str, value: Tensor) -> None:
        if name in self.outputs:
            self.outputs[name].append(value.cpu())
        if name in self.spikes:
            self.spikes[name].append((value != 0).cpu())

    def measure(self) -> None:
        """Take the measurements of the checkpoints that all layers have passed."""
        for step in sorted(step for step in self.checkpoints if step <= self.layers.steps and step not in self.kept):
            assert self.task.snapshots is not None
            self.kept[step] = self.task.snapshots.measure(self.counts.pop(step, {}))

    def block(self, batch: Batch) -> Block:
        """Return the recording of the whole run."""
        states = {name: player.state for name, player in self.layers.players.items()}
        return Block(
            batch,
            {key: torch.cat(self.outputs[name]) for key, name in self.keys.items()},
            {name: state.count for name, state in states.items() if state.count is not None},
            Later(
                {name: state.transmitted for name, state in states.items() if type(state).transmitted is not State.transmitted}
            ),
            {name: torch.cat(trace) for name, trace in self.spikes.items()},
            {name: torch.stack(trace) for name, trace in self.potentials.items()},
            self.kept,
            {name: state.decided.cpu() for name, state in states.items() if state.decided is not None},
        )
