"""The menu of engines, and which one runs a task."""

from __future__ import annotations

from transpike.errors import ArgumentError, choose
from transpike.simulation.engines.event import EventEngine
from transpike.simulation.engines.layerwise import LayerwiseEngine
from transpike.simulation.engines.stepwise import StepwiseEngine
from transpike.simulation.engines.stopping import StoppingEngine
from transpike.simulation.engines.windows import WindowEngine
from transpike.simulation.task import Engine, Runner, Task

AUTO = "auto"
# The faster before the slower; the one that stops samples before all that would run them to the end.
ENGINES: tuple[Engine, ...] = (WindowEngine(), StoppingEngine(), EventEngine(), LayerwiseEngine(), StepwiseEngine())


def engine_for(task: Task, wanted: str | Engine = AUTO) -> Engine:
    """Return the engine for a task: the one named or given, or with "auto" the first of `ENGINES` that takes it.

    Raises ArgumentError for an unknown name, and with the reason if a wanted engine refuses the task.
    """
    if wanted == AUTO:
        return next(engine for engine in ENGINES if engine.refusal(task) is None)
    named = {engine.name: engine for engine in ENGINES}
    engine = named[choose("engine", wanted, [AUTO, *named])] if isinstance(wanted, str) else wanted
    reason = engine.refusal(task)
    if reason is not None:
        raise ArgumentError(f'Engine {engine.name!r} cannot run this: {reason}. Leave engine="auto", which takes one that can.')
    return engine


__all__ = [
    "AUTO",
    "ENGINES",
    "Engine",
    "EventEngine",
    "LayerwiseEngine",
    "Runner",
    "StepwiseEngine",
    "StoppingEngine",
    "Task",
    "WindowEngine",
    "engine_for",
]
