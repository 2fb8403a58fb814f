"""The engine in C++: work arises per spike, or per connection by 8-bit matrix instructions where spikes are many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from transpike.data import Batch
from transpike.simulation.engines.event.compiled import NAMES, is_neuron
from transpike.simulation.engines.event.kernels import builds, library
from transpike.simulation.engines.event.lowering import UnsupportedError
from transpike.simulation.engines.event.runner import EventRunner, plan_for
from transpike.simulation.task import Runner, Task

__all__ = ["HOW_TO", "EventEngine", "EventRunner", "builds", "kernels_of", "library"]

HOW_TO = "the kernels are not compiled: install a C++ compiler and then transpike again"
MOST_STEPS = 30_000


@dataclass(frozen=True)
class EventEngine:
    """Compute spikes event by event in compiled code, one sample at a time and layer by layer, on all threads.

    Of networks that were converted with `exact` all sums are of whole numbers; of others they are in float32.
    """

    name: ClassVar[str] = "event"

    def refusal(self, task: Task) -> str | None:
        reasons = {
            HOW_TO: library() is None,
            "it runs on the CPU only": task.network.device.type != "cpu",
            "it takes float32 inputs only": any(op.dtype != "float32" for op in task.network.inputs.values()),
            "it keeps no potentials": bool(task.record.potentials),
            f"it runs for at most {MOST_STEPS:,} time steps": task.time_steps > MOST_STEPS,
        }
        if any(reasons.values()):
            return next(reason for reason, holds in reasons.items() if holds)
        try:
            plan_for(task.network, task.time_steps)
        except UnsupportedError as error:
            return str(error)
        return None

    def prepare(self, task: Task) -> Runner:
        return EventRunner(task)


def kernels_of(runner: Runner, batch: Batch) -> list[tuple[str, str, float | None]]:
    """Return, for each stage, its kernel and the share of its neurons that fire in a step on `batch`; None for a read-out."""
    assert isinstance(runner, EventRunner)
    totals, steps = runner.run(batch).totals, runner.task.time_steps
    names = [NAMES[kernel] for kernel in runner.compiled.kernels]
    stages = runner.plan.stages
    rates = [float(totals[stage.name].mean()) / steps if is_neuron(stage) else None for stage in stages]
    return [(stage.name, name, rate) for stage, name, rate in zip(stages, names, rates, strict=True)]
