"""Currents into a neuron as functions of time, whose jumps and pulses are known in advance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.errors import ArgumentError, positive_whole


@dataclass(frozen=True)
class Current:
    """A current I(t), smooth between its breaks, plus charges that arrive at single moments.

    Time and amplitude are in the units of the neuron that it is given to. Currents add: `Step(0, 5, 1.0) + Pulses((2,), 3.0)`.
    """

    def __call__(self, time: float) -> float:
        """Return the current at `time`, pulses left out; at a break, that after it."""
        raise NotImplementedError

    def charge(self, time: float) -> float:
        """Return the integral of the current from 0 up to `time`, with all pulses before it."""
        raise NotImplementedError

    @property
    def breaks(self) -> tuple[float, ...]:
        """The moments at which the current jumps or bends."""
        raise NotImplementedError

    @property
    def pulses(self) -> tuple[tuple[float, float], ...]:
        """The moment and charge of each pulse."""
        return ()

    def sampled(self, duration: float, dt: float) -> Tensor:
        """Return the mean current of each step of `dt` [time], float64: no charge is lost, whatever the step.

        >>> Pulses((0.3,), 2.0).sampled(1.0, 0.25).tolist()
        [0.0, 8.0, 0.0, 0.0]
        """
        if not (dt > 0 and duration > 0 and math.isfinite(duration / dt)):
            raise ArgumentError(f"A step and a duration must be above 0, not {dt!r} and {duration!r}.")
        charges = [self.charge(k * dt) for k in range(positive_whole("The number of steps", round(duration / dt)) + 1)]
        return torch.tensor(charges, dtype=torch.float64).diff() / dt

    def __add__(self, other: Current) -> Sum:
        return Sum((*parts(self), *parts(other)))


@dataclass(frozen=True)
class Step(Current):
    """A constant current between two moments: I(t) = amplitude for start <= t < stop, else 0.

    Raises ArgumentError unless 0 <= start < stop and the amplitude is finite.

    >>> current = Step(1.0, 3.0, 10.0)
    >>> [current(t) for t in (0.5, 1.0, 2.9, 3.0)], current.charge(2.0)
    ([0.0, 10.0, 10.0, 0.0], 10.0)
    """

    start: float
    stop: float
    amplitude: float

    def __post_init__(self) -> None:
        require_order(self, self.start, self.stop)
        require_finite(self, self.start, self.amplitude)

    def __call__(self, time: float) -> float:
        return self.amplitude if self.start <= time < self.stop else 0.0

    def charge(self, time: float) -> float:
        return self.amplitude * (min(max(time, self.start), self.stop) - self.start)

    @property
    def breaks(self) -> tuple[float, ...]:
        return (self.start, self.stop)


@dataclass(frozen=True)
class Ramp(Current):
    """A current that changes evenly from `first` at `start` to `last` at `stop`, and is 0 before and after.

    Raises ArgumentError unless 0 <= start < stop, all finite.

    >>> Ramp(0.0, 10.0, 0.0, 5.0)(4.0)
    2.0
    """

    start: float
    stop: float
    first: float
    last: float

    def __post_init__(self) -> None:
        require_order(self, self.start, self.stop)
        require_finite(self, self.start, self.stop, self.first, self.last)

    def __call__(self, time: float) -> float:
        return self.at(time) if self.start <= time < self.stop else 0.0

    def at(self, time: float) -> float:
        """Return the height of the line at `time`."""
        return self.first + (self.last - self.first) * (time - self.start) / (self.stop - self.start)

    def charge(self, time: float) -> float:
        until = min(max(time, self.start), self.stop)
        return (until - self.start) * (self.first + self.at(until)) / 2

    @property
    def breaks(self) -> tuple[float, ...]:
        return (self.start, self.stop)


@dataclass(frozen=True)
class Pulses(Current):
    """Spikes that arrive: I(t) = sum of charge delta(t - t_k), each a jump of the potential by charge / C.

    Raises ArgumentError unless the moments are increasing and not negative. Source: Gerstner et al. 2014, Neuronal Dynamics,
    section 1.3.

    >>> Pulses((4.0, 5.0, 6.0), 0.4).charge(5.5)
    0.8
    """

    times: tuple[float, ...]
    size: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", tuple(float(time) for time in self.times))
        require_finite(self, *self.times, self.size)
        if any(later <= sooner for sooner, later in zip((-1e-300, *self.times), self.times, strict=False)):
            raise ArgumentError(f"Pulses need increasing moments from 0 on, not {self.times!r}.")

    def __call__(self, time: float) -> float:  # noqa: ARG002 - a pulse has no width
        return 0.0

    def charge(self, time: float) -> float:
        return self.size * sum(moment < time for moment in self.times)

    @property
    def breaks(self) -> tuple[float, ...]:
        return self.times

    @property
    def pulses(self) -> tuple[tuple[float, float], ...]:
        return tuple((time, self.size) for time in self.times)


@dataclass(frozen=True)
class Sum(Current):
    """Several currents at once."""

    parts: tuple[Current, ...]

    def __call__(self, time: float) -> float:
        return sum(part(time) for part in self.parts)

    def charge(self, time: float) -> float:
        return sum(part.charge(time) for part in self.parts)

    @property
    def breaks(self) -> tuple[float, ...]:
        return tuple(moment for part in self.parts for moment in part.breaks)

    @property
    def pulses(self) -> tuple[tuple[float, float], ...]:
        return tuple(pulse for part in self.parts for pulse in part.pulses)


FORMS: dict[str, tuple[type[Current], str]] = {
    "step": (Step, "step:START,STOP,AMPLITUDE"),
    "ramp": (Ramp, "ramp:START,STOP,FIRST,LAST"),
    "pulses": (Pulses, "pulses:SIZE,TIME,TIME,..."),
}


def read_current(text: str) -> Current:
    """Return the current that a text describes: a number for a constant one, or forms joined by `+`.

    The forms are step:START,STOP,AMPLITUDE; ramp:START,STOP,FIRST,LAST; pulses:SIZE,TIME,TIME,... Raises ArgumentError for any
    other text.

    >>> read_current("step:5,40,10 + pulses:2,60")
    Sum(parts=(Step(start=5.0, stop=40.0, amplitude=10.0), Pulses(times=(60.0,), size=2.0)))
    >>> read_current("7.5")(1e6)
    7.5
    """
    made = [read_part(part.strip()) for part in text.split(" + ")]
    return made[0] if len(made) == 1 else Sum(tuple(made))


def read_part(text: str) -> Current:
    """Return the current that one part of a text describes."""
    form, _, rest = text.rpartition(":")
    try:
        values = [float(value) for value in rest.split(",")]
        if not form and len(values) == 1:
            return Step(0.0, math.inf, values[0])
        if form == "pulses":
            return Pulses(tuple(values[1:]), values[0])
        return FORMS[form][0](*values)
    except ArgumentError:
        raise
    except (KeyError, TypeError, ValueError, IndexError):
        forms = ", ".join(shape for _, shape in FORMS.values())
        raise ArgumentError(
            f"A current is a number or one of {forms} (several joined by ' + '), in the units of the model, not {text!r}."
        ) from None


def parts(current: Current) -> tuple[Current, ...]:
    """Return what a current is the sum of."""
    return current.parts if isinstance(current, Sum) else (current,)


def require_order(current: Current, start: float, stop: float) -> None:
    """Raise ArgumentError unless a current begins at 0 or later and ends after it began."""
    if not 0 <= start < stop:
        raise ArgumentError(f"A current needs 0 <= start < stop: {current!r}.")


def require_finite(current: Current, *values: float) -> None:
    """Raise ArgumentError unless all values are finite."""
    if not all(math.isfinite(value) for value in values):
        raise ArgumentError(f"A current needs finite numbers: {current!r}.")


NONE: Current = Step(0.0, math.inf, 0.0)
