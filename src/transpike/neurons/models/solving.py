"""Solving a neuron's equations by an adaptive method, stopping at every jump of the current and at every spike."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transpike.errors import ArgumentError, choose
from transpike.neurons.models.currents import Current
from transpike.neurons.models.equations import Equations

Array = NDArray[np.float64]
MOST_SPIKES = 100_000
RESOLUTION = 1000  # steps are at most this part of the duration
METHOD = "DOP853"  # Dormand and Prince, order 8, with interpolation of order 7
TIGHTEST, LOOSEST = 1e-13, 1e-2
FIRST_STEP = 1e-6  # of the longest step, where a neuron starts at its threshold and must leave it first


@dataclass(frozen=True, eq=False)
class Course:
    """What a neuron did: `times` [n], `states` [variables, n], `current` [n] and the moments of its `spikes` [spikes].

    At a spike that resets, at a pulse and at a jump of the current a moment stands twice: before and after. `pulses` are the
    moment and charge of each pulse, `pieces` the beginning and the interpolation of each smooth part.
    """

    equations: Equations
    duration: float
    times: Array
    states: Array
    current: Array
    spikes: Array
    pulses: tuple[tuple[float, float], ...]
    pieces: tuple[tuple[float, Callable[[Any], Array]], ...]

    def __getitem__(self, name: str) -> Array:
        """Return one variable [n]; raises ArgumentError for a name that the model does not have."""
        return self.states[list(self.equations.variables).index(choose("variable", name, self.equations.variables))]

    @property
    def voltage(self) -> Array:
        """The variable in which spikes show [n]."""
        return self[self.equations.shown]

    @property
    def rate(self) -> float:
        """Spikes per unit of time, over the whole duration."""
        return len(self.spikes) / self.duration

    @property
    def intervals(self) -> Array:
        """The times from spike to spike [spikes - 1]."""
        return np.diff(self.spikes)

    def at(self, times: Any) -> Array:
        """Return the state [variables, n] at any moments [n] within the duration, after what happens in them."""
        starts = np.array([start for start, _ in self.pieces])
        moments = np.asarray(times, dtype=float)
        which = np.searchsorted(starts, moments, side="right") - 1
        states = np.empty((len(self.states), len(moments)))
        for piece in np.unique(which):
            states[:, which == piece] = self.pieces[piece][1](moments[which == piece])
        return states


def solve(
    equations: Equations,
    current: Current,
    duration: float,
    state: Any = None,
    resolution: float | None = None,
    rtol: float = 1e-8,
) -> Course:
    """Return the course of a neuron from a state (default: its rest) under a current; see `Model.solve`."""
    if not (math.isfinite(duration) and duration > 0):
        raise ArgumentError(f"The duration must be above 0 and finite, not {duration!r}.")
    longest = duration / RESOLUTION if resolution is None else resolution
    if not longest > 0:
        raise ArgumentError(f"The resolution must be above 0, not {resolution!r}.")
    if not TIGHTEST <= rtol <= LOOSEST:
        raise ArgumentError(f"rtol must lie between {TIGHTEST:g} and {LOOSEST:g}, not {rtol!r}.")
    start = np.array(equations.rest() if state is None else state, dtype=float)
    if start.shape != (len(equations.variables),) or not np.isfinite(start).all():
        raise ArgumentError(f"A state of {equations.title} has a number for each of {', '.join(equations.variables)}.")
    walk = Walk(equations, current, longest, rtol, start)
    moments = sorted({0.0, float(duration), *(moment for moment in current.breaks if 0 < moment < duration)})
    with np.errstate(all="ignore"):
        for begin, end in pairwise(moments):
            walk.receive(begin)
            walk.go(begin, end)
    return walk.course(duration)


class Walk:
    """A neuron on its way through time, and what was seen of it."""

    def __init__(self, equations: Equations, current: Current, longest: float, rtol: float, state: Array) -> None:
        self.equations, self.current, self.longest, self.rtol, self.state = equations, current, longest, rtol, state
        self.free = 0.0  # the end of the pause after a spike
        self.spikes: list[float] = []
        self.seen: list[tuple[Array, Array, Array]] = []
        self.pieces: list[tuple[float, Callable[[Any], Array]]] = []

        def excess(_: float, y: Array) -> float:
            return float(equations.excess(y))

        excess.terminal, excess.direction = equations.resets, 1.0  # type: ignore[attr-defined]
        self.excess = excess

    def receive(self, time: float) -> None:
        """Take the pulses of a moment, unless the neuron pauses; a pulse may itself cause the spike."""
        charge = sum(size for moment, size in self.current.pulses if moment == time)
        before = self.equations.excess(self.state)
        if charge and time >= self.free:
            self.state = np.array(self.equations.kicked(self.state.tolist(), charge))
        at_start = time == 0 and self.equations.resets and before >= 0
        if at_start or before < 0 <= self.equations.excess(self.state):
            self.fire(time)

    def fire(self, time: float) -> None:
        """Note a spike and what it changes."""
        if len(self.spikes) >= MOST_SPIKES:
            raise ArgumentError(f"{self.equations.title} spikes more than {MOST_SPIKES:,} times: lower current or duration.")
        self.spikes.append(time)
        self.state = np.array(self.equations.reset(self.state.tolist()))
        self.free = time + self.equations.pause

    def go(self, begin: float, end: float) -> None:
        """Follow the neuron from one jump of the current to the next."""
        edge = 1e-12 * (end - begin)

        def current(time: float) -> float:
            return self.current(min(max(time, begin + edge), end - edge))

        time = begin
        while time < end:
            if time < self.free:
                until = min(self.free, end)
                self.hold(time, until, current)
                time = until
                continue
            time = self.solve(time, end, current)

    def hold(self, begin: float, end: float, current: Callable[[float], float]) -> None:
        """Stay in a state."""
        kept, times = self.state, np.array([begin, end])
        self.pieces.append((begin, lambda moments: np.repeat(kept[:, None], len(moments), 1)))
        self.seen.append((times, np.stack([kept, kept], 1), np.array([current(time) for time in times])))

    def solve(self, begin: float, end: float, current: Callable[[float], float]) -> float:
        """Follow the equations to the next spike that resets, or to the end; return where that was."""
        from scipy.integrate import solve_ivp

        leaving = {"first_step": FIRST_STEP * min(self.longest, end - begin)} if self.excess(0.0, self.state) >= 0 else {}
        solution = solve_ivp(
            lambda t, y: self.equations.derivative(y.tolist(), current(t)),
            (begin, end),
            self.state,
            METHOD,
            events=self.excess,
            dense_output=True,
            max_step=self.longest,
            rtol=self.rtol,
            atol=self.rtol,
            **leaving,
        )
        if solution.status < 0 or not np.isfinite(solution.y).all():
            raise ArgumentError(
                f"{self.equations.title} cannot be solved beyond {solution.t[-1]:g} {self.equations.time_unit}: its variables "
                "grow without bound. Take a smaller current or other parameters."
            )
        self.seen.append((solution.t, solution.y, np.array([current(time) for time in solution.t])))
        self.pieces.append((begin, solution.sol))
        self.state = solution.y[:, -1]
        if solution.status == 0:
            self.spikes.extend([] if self.equations.resets else solution.t_events[0].tolist())
            return end
        time = float(solution.t[-1])
        self.fire(time)
        return time

    def course(self, duration: float) -> Course:
        """Return all that was seen."""
        last = self.state  # a spike at the very end still resets
        self.seen.append((np.array([duration]), last[:, None], self.seen[-1][2][-1:]))
        times, states, current = (np.concatenate(part, -1) for part in zip(*self.seen, strict=True))
        pulses = tuple(pulse for pulse in self.current.pulses if pulse[0] <= duration)
        return Course(self.equations, duration, times, states, current, np.array(self.spikes), pulses, tuple(self.pieces))
