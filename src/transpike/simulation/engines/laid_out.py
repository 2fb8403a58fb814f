"""What the engines share that walk a network in torch."""

from __future__ import annotations

from transpike.network.remembered import once
from transpike.simulation.memory import block_on, bytes_per_sample
from transpike.simulation.stepper import laid_out
from transpike.simulation.task import Task


class LaidOutNetwork:
    """The network of a task with its weights laid out for this device."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.network = once(task.network, "laid out", laid_out)
        self.largest_block = block_on(self.network.device)

    def bytes_per_sample(self) -> int:
        """Return about how much memory the simulation of one sample needs."""
        return once(self.task.network, "bytes per sample", bytes_per_sample)
