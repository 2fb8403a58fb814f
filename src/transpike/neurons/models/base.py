"""A neuron model: its equations, solved adaptively for one neuron or in fixed steps for many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from transpike.neurons.models.currents import Current
from transpike.neurons.models.equations import Equations
from transpike.neurons.models.solving import Course, solve
from transpike.neurons.models.stepping import Cells, Euler, Method, RungeKutta4, Steps, advanced, require_step, run, started


@dataclass(frozen=True, kw_only=True)
class Model(Equations):
    """Equations with the ways to solve them; all settings are their parameters."""

    def solve(
        self,
        current: Current,
        duration: float,
        *,
        state: Any = None,
        resolution: float | None = None,
        rtol: float = 1e-8,
    ) -> Course:
        """Return the course of one neuron, from `state` (default: at rest), under a current.

        The method is that of Dormand and Prince of order 8 (scipy's DOP853) with relative and absolute tolerance `rtol`, begun
        anew at each jump of the current, pulse and reset; spikes are located by root finding on its interpolation. No step
        is longer than `resolution` (default: a thousandth of the duration). Raises ArgumentError for a duration that is
        not above 0, for a state of the wrong size, and where the variables grow without bound.
        """
        return solve(self, current, duration, state, resolution, rtol)

    def start(self, like: Tensor, state: Any = None) -> Cells:
        """Return neurons at `state` (default: at rest), one for each entry of `like` [batch, ...]."""
        return started(self, like, state)

    def step(self, cells: Cells, current: Tensor, dt: float, method: Method | None = None) -> tuple[Cells, Tensor]:
        """Return neurons after `dt` under currents [batch, ...], and which fired [batch, ...], at the end of the step.

        The method is Euler's unless another is given.
        """
        require_step(dt)
        return advanced(self, cells, current, (method or Euler()).prepared(self, dt), round(self.pause / dt))

    def run(self, currents: Tensor, dt: float, method: Method | None = None, *, state: Any = None) -> Steps:
        """Return what neurons did under currents [time, batch, ...], each constant for one step of `dt`.

        The method is RungeKutta4() unless another is given. Spikes fall on the ends of steps, and a pause after a spike lasts
        round(pause / dt) of them: errors of order dt, whatever the method. Raises ArgumentError where a step is so long that
        the variables run away.
        """
        return run(self, currents, dt, method or RungeKutta4(), state)
