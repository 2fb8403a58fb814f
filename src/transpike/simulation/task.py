"""What every engine is: it takes a task, or says why it cannot, and runs blocks of samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from transpike.data import Batch
from transpike.network import Network
from transpike.simulation.recording import Block, Record, Snapshots


@dataclass(frozen=True)
class Task:
    """What to simulate: a spiking network, for how many steps, and what to keep or measure on the way."""

    network: Network
    time_steps: int
    record: Record = field(default_factory=Record)
    snapshots: Snapshots | None = None


class Runner(Protocol):
    """A task made ready: everything that does not depend on the samples is done."""

    largest_block: int  # of how many samples at once it makes good use

    def bytes_per_sample(self) -> int:
        """Return about how much memory the simulation of one sample needs."""
        ...

    def run(self, batch: Batch, first_sample: int = 0) -> Block:
        """Simulate one block of samples, the first of which has the place `first_sample` in the whole run."""
        ...


class Engine(Protocol):
    """A way to simulate. All engines compute the same network; with exact arithmetic also the same bits."""

    name: ClassVar[str]

    def refusal(self, task: Task) -> str | None:
        """Return why the engine cannot run a task, as the end of a sentence, or None if it can."""
        ...

    def prepare(self, task: Task) -> Runner:
        """Return the task made ready to run. The engine does not refuse it."""
        ...
