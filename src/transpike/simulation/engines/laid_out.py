"""What the engines share that walk a network in torch."""

from __future__ import annotations

from transpike.network import Network
from transpike.simulation.memory import block_on, bytes_per_sample
from transpike.simulation.remembered import remembered
from transpike.simulation.stepper import laid_out
from transpike.simulation.task import Task


class LaidOutNetwork:
    """The network of a task with its weights laid out for this device."""

    def __init__(self, task: Task) -> None:
        self.task = task
        kept = remembered(task.network)
        if "laid out" not in kept:
            kept["laid out"] = laid_out(task.network)
        self.network: Network = kept["laid out"]
        self.largest_block = block_on(self.network.device)

    def bytes_per_sample(self) -> int:
        """Return about how much memory the simulation of one sample needs."""
        kept = remembered(self.task.network)
        if "bytes per sample" not in kept:
            kept["bytes per sample"] = bytes_per_sample(self.task.network)
        found: int = kept["bytes per sample"]
        return found
