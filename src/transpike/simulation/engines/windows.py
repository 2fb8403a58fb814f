"""The engine of the sequential schedule: one pass gives all windows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch

from transpike.data import Batch
from transpike.network.turns import sequential
from transpike.simulation.engines.laid_out import LaidOutNetwork
from transpike.simulation.recording import Block, Later
from transpike.simulation.sequential import run_windows
from transpike.simulation.task import Runner, Task


@dataclass(frozen=True)
class WindowEngine:
    """Compute what each layer sends in its window from the sum of what it received: about one pass of the ANN."""

    name: ClassVar[str] = "windows"

    def refusal(self, task: Task) -> str | None:
        return None if sequential(task.network) else "its layers fire at every step and do not take turns"

    def prepare(self, task: Task) -> Runner:
        return WindowRunner(task)


class WindowRunner(LaidOutNetwork):
    """A sequential network laid out for its passes."""

    @torch.inference_mode()
    def run(self, batch: Batch, first_sample: int = 0) -> Block:
        network, record, snapshots = self.network, self.task.record, self.task.snapshots
        placed = [tensor.to(network.device) for tensor in batch.inputs]
        windows = run_windows(network, placed, self.task.time_steps, first_sample)
        outputs = {k: each.expand(-1, len(batch), *each.shape[2:]) for k, each in windows.outputs().items()}
        kept = {step: snapshots.measure(windows.spikes_by(step)) for step in snapshots.steps} if snapshots else {}
        trains = {name: windows.train(name).cpu() for name in record.spikes}
        potentials = {name: windows.potentials(name).cpu() for name in record.potentials}
        times = {name: windows.times(name).cpu() for name in record.times}
        of_samples = {name: partial(windows.spikes_of_samples, name) for name in windows.messages}
        totals = Later({name: partial(windows.spikes_of, name) for name in windows.messages}, of_samples)
        sums = Later({name: partial(windows.transmitted, name) for name in windows.messages})
        return Block(batch, outputs, totals, sums, trains, potentials, kept, {}, times)
