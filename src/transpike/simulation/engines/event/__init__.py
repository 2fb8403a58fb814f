"""The engine in C++: work arises per spike, or per connection by 8-bit matrix instructions where spikes are many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from transpike.simulation.engines.event.library import library
from transpike.simulation.engines.event.lowering import UnsupportedError
from transpike.simulation.engines.event.runner import EventRunner, plan_for
from transpike.simulation.task import Runner, Task

HOW_TO = "the kernels are not compiled: install a C++ compiler and then transpike again"
MOST_STEPS = 30_000


@dataclass(frozen=True)
class EventEngine:
    """Compute spikes event by event in compiled code, one sample at a time and layer by layer, on all threads.

    Of networks that were converted with `exact` all sums are of whole numbers; of others they are in float32.
    """

    name: ClassVar[str] = "event"

    def refusal(self, task: Task) -> str | None:
        if library() is None:
            return HOW_TO
        if task.network.device.type != "cpu":
            return "it runs on the CPU only"
        if any(op.dtype != "float32" for op in task.network.inputs.values()):
            return "it takes float32 inputs only"
        if task.record.potentials:
            return "it keeps no potentials"
        if task.time_steps > MOST_STEPS:
            return f"it runs for at most {MOST_STEPS:,} time steps"
        try:
            plan_for(task.network, task.time_steps)
        except UnsupportedError as error:
            return str(error)
        return None

    def prepare(self, task: Task) -> Runner:
        return EventRunner(task)
