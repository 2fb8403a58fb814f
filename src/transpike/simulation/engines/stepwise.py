"""The engine that every network runs on: all nodes step by step through time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from transpike.data import Batch
from transpike.network.turns import sequential
from transpike.simulation.engines.laid_out import LaidOutNetwork
from transpike.simulation.recording import Block, Tape
from transpike.simulation.stepper import Stepper
from transpike.simulation.task import Runner, Task


@dataclass(frozen=True)
class StepwiseEngine:
    """Compute all nodes of one time step before the next: any network of the concurrent schedule, live input too."""

    name: ClassVar[str] = "stepwise"

    def refusal(self, task: Task) -> str | None:
        return "the layers of a sequential network take turns" if sequential(task.network) else None

    def prepare(self, task: Task) -> Runner:
        return StepwiseRunner(task)


class StepwiseRunner(LaidOutNetwork):
    """A network laid out for stepping."""

    @torch.inference_mode()
    def run(self, batch: Batch, first_sample: int = 0) -> Block:
        network, steps, record, snapshots = self.network, self.task.time_steps, self.task.record, self.task.snapshots
        stepper = Stepper(network, [tensor.to(network.device) for tensor in batch.inputs], first_sample)
        tape = Tape(record)
        outputs: dict[str, Tensor] = {}
        kept: dict[int, Any] = {}
        for t in range(steps):
            for key, value in stepper.step().items():
                if t == 0:
                    outputs[key] = torch.empty((steps, *value.shape), dtype=value.dtype)
                outputs[key][t] = value
            tape.note(stepper)
            if snapshots is not None and t + 1 in snapshots.steps:
                kept[t + 1] = snapshots.measure(spike_totals(stepper))
        stacked = {name: torch.stack(trace) for name, trace in tape.spikes.items()}
        potentials = {name: torch.stack(trace) for name, trace in tape.potentials.items()}
        sums = {name: sent for name, state in stepper.states.items() if (sent := state.transmitted()) is not None}
        decided = {name: state.decided.cpu() for name, state in stepper.states.items() if state.decided is not None}
        return Block(batch, outputs, spike_totals(stepper), sums, stacked, potentials, kept, decided)


def spike_totals(stepper: Stepper) -> dict[str, Tensor]:
    """Return the spikes of each neuron so far [batch, ...], by node."""
    return {name: state.count for name, state in stepper.states.items() if state.count is not None}
