"""The menu of engines, and which one runs a task."""

from __future__ import annotations

import functools
import warnings

from transpike.errors import ArgumentError, SlowEngineWarning, choose
from transpike.simulation.engines.decoded import DecodedEngine
from transpike.simulation.engines.event import HOW_TO, EventEngine, library
from transpike.simulation.engines.layerwise import LayerwiseEngine
from transpike.simulation.engines.stepwise import StepwiseEngine
from transpike.simulation.engines.stopping import StoppingEngine
from transpike.simulation.engines.windows import WindowEngine
from transpike.simulation.task import Engine, Runner, Task

AUTO = "auto"
# The faster before the slower; those that stop samples before all that would run them to the end.
ENGINES: tuple[Engine, ...] = (
    WindowEngine(),
    EventEngine(),
    StoppingEngine(),
    DecodedEngine(),
    LayerwiseEngine(),
    StepwiseEngine(),
)


def engine_for(task: Task, wanted: str | Engine = AUTO) -> Engine:
    """Return the engine for a task: the one named or given, or with "auto" the first of `ENGINES` that takes it.

    Raises ArgumentError for an unknown name, and with the reason if a wanted engine refuses the task.
    """
    if wanted == AUTO:
        picked = next(engine for engine in ENGINES if engine.refusal(task) is None)
        if isinstance(picked, LayerwiseEngine) and library() is None:
            say_once(picked)
        return picked
    named = {engine.name: engine for engine in ENGINES}
    engine = named[choose("engine", wanted, [AUTO, *named])] if isinstance(wanted, str) else wanted
    reason = engine.refusal(task)
    if reason is not None:
        raise ArgumentError(f'Engine {engine.name!r} cannot run this: {reason}. Leave engine="auto", which takes one that can.')
    return engine


@functools.cache
def say_once(picked: Engine) -> None:
    """Warn that a faster engine is not there, the first time that it would have been taken."""
    message = f"Simulating on the {picked.name!r} engine. The faster 'event' engine is not there: {HOW_TO}."
    warnings.warn(message, SlowEngineWarning, stacklevel=4)


__all__ = [
    "AUTO",
    "ENGINES",
    "DecodedEngine",
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
