"""What the length of a step costs: fixed steps against the adaptive solution, for several lengths and methods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from transpike.errors import ArgumentError
from transpike.neurons.models.base import Model
from transpike.neurons.models.currents import Current
from transpike.neurons.models.solving import Course
from transpike.neurons.models.stepping import METHODS, Method, Steps

RTOL = 1e-12
SMOOTH_PART = 0.9  # of the time to the first spike: the last rise to a reset is too steep to compare heights on
FEWEST = 3  # points that show an order: through two there is always a line
FLOOR = 1e-10  # errors below this part of the largest value are rounding: they do not fall with the step


@dataclass(frozen=True, eq=False)
class StepError:
    """What one method did in steps of `dt`.

    `error` is the largest difference of the shown variable from the solution, where a rule resets spikes only up to nine
    tenths of the time to the first; None if the variables ran away. `spikes` is how many there were, `late` the
    mean distance of their times from those of the solution; None where the numbers differ or there are none.
    """

    method: str
    order: int
    dt: float
    error: float | None
    spikes: int | None
    late: float | None
    steps: Steps | None


def step_errors(
    model: Model, current: Current, duration: float, dts: Sequence[float], methods: Sequence[Method] | None = None
) -> tuple[Course, tuple[StepError, ...]]:
    """Return the solution with tolerance 1e-12 and what each method makes of it in steps of each length.

    Methods default to all that the model allows. Currents are averaged over each step, so jumps within a step cost accuracy.
    Raises ArgumentError for steps that are not above 0 or not shorter than the duration.

    >>> from transpike.neurons.models import LIF, Euler, Step
    >>> _, errors = step_errors(LIF(), Step(0.0, 20.0, 150.0), 20.0, (0.5, 0.25), (Euler(),))
    >>> round(errors[0].error / errors[1].error, 1)
    2.0
    """
    if not dts or not all(0 < dt < duration for dt in dts):
        raise ArgumentError(f"Steps must lie above 0 and below the duration of {duration:g}, not {tuple(dts)!r}.")
    course = model.solve(current, duration, rtol=RTOL)
    chosen = methods or [method for method in METHODS if method.order or model.linear]
    return course, tuple(measured(model, current, course, dt, method) for method in chosen for dt in dts)


def measured(model: Model, current: Current, course: Course, dt: float, method: Method) -> StepError:
    """Return the errors of one method in steps of one length."""
    try:
        steps = model.run(current.sampled(course.duration, dt), dt, method)
    except ArgumentError:
        return StepError(method.name, method.order, dt, None, None, None, None)
    times = dt * np.arange(1, len(steps.fired) + 1)
    times = times[times <= course.duration]
    if model.resets and len(course.spikes):
        times = times[times <= SMOOTH_PART * course.spikes[0]]
    shown = list(model.variables).index(model.shown)
    error = np.abs(steps[model.shown][1 : len(times) + 1].numpy() - course.at(times)[shown]).max() if len(times) else None
    spikes = steps.spikes().numpy()
    late = float(np.abs(spikes - course.spikes).mean()) if len(spikes) == len(course.spikes) > 0 else None
    return StepError(method.name, method.order, dt, None if error is None else float(error), len(spikes), late, steps)


def fitted_order(dts: Iterable[float], errors: Iterable[float | None], floor: float = 0.0) -> float | None:
    """Return p of the least-squares line log error = p log dt + c through the errors above a floor; None below three points.

    >>> fitted_order((0.1, 0.2, 0.4), (0.01, 0.04, 0.16))
    2.0
    """
    points = [(np.log(dt), np.log(error)) for dt, error in zip(dts, errors, strict=True) if error and error > floor]
    if len(points) < FEWEST:
        return None
    steps, heights = np.array(points).T
    return float(round(np.polyfit(steps, heights, 1)[0], 3))


def orders(course: Course, errors: Sequence[StepError]) -> dict[str, tuple[float | None, float | None]]:
    """Return for each method the orders with which its error and the lateness of its spikes fall."""
    floor = FLOOR * float(np.abs(course.voltage).max())
    rows = {name: [each for each in errors if each.method == name] for name in dict.fromkeys(each.method for each in errors)}
    return {
        name: (
            fitted_order([each.dt for each in mine], [each.error for each in mine], floor),
            fitted_order([each.dt for each in mine], [each.late for each in mine], FLOOR * course.duration),
        )
        for name, mine in rows.items()
    }
