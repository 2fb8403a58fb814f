"""The engine of early exit: a sample whose decision is made is not simulated any further."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from transpike.data import Batch
from transpike.network import Network, Node, shapes
from transpike.network.turns import sequential
from transpike.neurons import EarlyExit
from transpike.parts import Stateful
from transpike.simulation.engines.laid_out import LaidOutNetwork
from transpike.simulation.recording import Block
from transpike.simulation.stepper import Stepper
from transpike.simulation.task import Runner, Task

CUT = 0.75  # samples are taken out of the batch when at most this share of it is left
WIDER = 2  # times the block of other engines: blocks shrink as they run


@dataclass(frozen=True)
class StoppingEngine:
    """Step through time with those samples that are not decided yet; the batch shrinks as others end.

    What a sample has at its exit stays: answer, potentials, spike counts; no spikes follow.
    """

    name: ClassVar[str] = "stopping"

    def refusal(self, task: Task) -> str | None:
        if sequential(task.network):
            return "the layers of a sequential network take turns"
        return None if len(task.network.having(EarlyExit)) == 1 else "it needs one decoder that ends samples: tp.early_exit"

    def prepare(self, task: Task) -> Runner:
        return StoppingRunner(task)


class StoppingRunner(LaidOutNetwork):
    """A network laid out for stepping."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        (self.decoder,) = self.network.having(EarlyExit)
        self.largest_block *= WIDER

    def bytes_per_sample(self) -> int:
        return super().bytes_per_sample() + bytes_at_exit(self.network)

    @torch.inference_mode()
    def run(self, batch: Batch, first_sample: int = 0) -> Block:
        walk = Walk(self.network, self.task, self.decoder, batch, first_sample)
        for t in range(self.task.time_steps):
            walk.step(t)
        return walk.block(batch)


def bytes_at_exit(network: Network) -> int:
    """Estimate the memory that what one sample has at its exit needs: the spikes of each neuron and what it sent."""
    sizes = shapes(network)
    item = network.dtype.itemsize
    return sum(2 * item * math.prod(sizes[node.name]) for node in network.having(Stateful))


class Walk:
    """A block of samples on its way through time; `rows` are the places in it of the samples that are still simulated."""

    def __init__(self, network: Network, task: Task, decoder: Node, batch: Batch, first_sample: int) -> None:
        self.task = task
        self.decoder = decoder.name
        self.stepper = Stepper(network, [tensor.to(network.device) for tensor in batch.inputs], first_sample)
        self.rows = torch.arange(len(batch), device=network.device)
        self.undecided = torch.ones_like(self.rows, dtype=torch.bool)
        self.size = len(batch)
        self.decided = torch.zeros(len(batch), dtype=torch.int64)
        self.outputs: dict[str, Tensor] = {}
        self.spikes: dict[str, Tensor] = {}
        self.potentials: dict[str, Tensor] = {}
        self.final: dict[str, dict[str, Tensor]] = {"totals": {}, "sums": {}}
        self.snapshots: dict[int, Any] = {}

    def step(self, t: int) -> None:
        """Advance by step number `t`, counted from 0; where all samples are decided, only the answers stay."""
        if t:
            for trace in (*self.outputs.values(), *self.potentials.values()):
                trace[t] = trace[t - 1]
        if self.undecided.any():
            answers = self.stepper.step()
            self.note(t, answers)
            self.leave()
        snapshots = self.task.snapshots
        if snapshots is not None and t + 1 in snapshots.steps:
            self.shelve(self.undecided)
            self.snapshots[t + 1] = snapshots.measure(self.final["totals"])

    def note(self, t: int, answers: dict[str, Tensor]) -> None:
        """Keep the answers and traces of step `t` of all samples that were not decided before it."""
        live, record, states = self.undecided, self.task.record, self.stepper.states
        traces = [(self.outputs, key, value) for key, value in answers.items()]
        traces += [(self.spikes, name, self.stepper.sent[name] != 0) for name in record.spikes]
        for name in record.potentials:
            potential = states[name].potential
            assert potential is not None
            traces.append((self.potentials, name, potential))
        for kept, name, value in traces:
            if name not in kept:
                kept[name] = torch.zeros((self.task.time_steps, self.size, *value.shape[1:]), dtype=value.dtype)
            kept[name][t, self.rows[live].cpu()] = value[live].cpu()

    def leave(self) -> None:
        """Put away the samples that this step decided, and go on without them once they are many."""
        decided = self.stepper.states[self.decoder].decided
        assert decided is not None
        gone = self.undecided & (decided > 0)
        if not gone.any():
            return
        self.shelve(gone)
        self.decided[self.rows[gone].cpu()] = decided[gone].cpu()
        self.undecided &= ~gone
        left = self.undecided.nonzero().flatten()
        if 0 < len(left) <= CUT * len(self.rows):
            self.stepper.keep(left)
            self.rows = self.rows[left]
            self.undecided = torch.ones_like(self.rows, dtype=torch.bool)

    def shelve(self, chosen: Tensor) -> None:
        """Write what the chosen samples have sent so far to their places in the block."""
        for name, state in self.stepper.states.items():
            for kind, value in (("totals", state.count), ("sums", state.transmitted())):
                if value is None:
                    continue
                kept = self.final[kind]
                if name not in kept:
                    kept[name] = value.new_zeros((self.size, *value.shape[1:]))
                kept[name][self.rows[chosen]] = value[chosen]

    def block(self, batch: Batch) -> Block:
        """Return the recording of the block after the last step."""
        self.shelve(self.undecided)
        totals, sums = self.final["totals"], self.final["sums"]
        times = {self.decoder: self.decided}
        return Block(batch, self.outputs, totals, sums, self.spikes, self.potentials, self.snapshots, times)
