"""Leaky integrate-and-fire neurons in physical units, integrated exactly over each time step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from transpike.errors import ArgumentError
from transpike.neurons.base import Membrane, Neuron, row
from transpike.neurons.leaky_cell import LeakyCell
from transpike.parts import full_map


class LeakyMembrane(Membrane):
    """A membrane in volt; `blocked` is how long each neuron still rests, in seconds.

    `before` and `target` are the potentials at the start of the step and that the current would lead to; `active` is how
    long the neuron integrates in this step.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.blocked = torch.zeros_like(self.potential)
        self.before = self.target = self.active = self.potential


@dataclass(frozen=True, eq=False)
class LeakyIntegrateAndFire(Neuron):
    """Leaky integrate-and-fire neurons: a LeakyCell per neuron, stepped by `time_step` seconds.

    The activation x is turned into the current I = offset + slope x / (most threshold), in ampere. Within a step the
    current is constant and the potential is integrated exactly: V <- V_inf + (V - V_inf) exp(-time_step / tau), with
    V_inf = rest + I / g. A neuron that ends a step at or above its threshold potential spikes then, is reset, and rests for
    the refractory period. A spike is worth `threshold` = a_max / most, where most = largest_rate time_step is the number of
    spikes per step that stands for a_max; one spike per step is the limit.

    Charge is not conserved: C (V[T] - V[0]) = sum of I over the active time - g times the integral of (V - rest)
    - C sum over spikes of (V at the end of its step - reset). What exceeds the threshold at the end of the step is lost: the
    interval between spikes is rounded up to whole steps, an error of the rate below rate * time_step, which falls with the
    step. From V[0] = reset + initial (threshold potential - reset). A spike carries one bit.
    Source: Gerstner et al. 2014, Neuronal Dynamics, section 1.3; exact integration after Rotter and Diesmann 1999.
    """

    copies: ClassVar[int] = Neuron.copies + 7
    membrane: ClassVar[type[Membrane]] = LeakyMembrane

    cell: LeakyCell = field(default_factory=LeakyCell)
    time_step: float = 1e-3
    offset: float = 0.0
    slope: float = 1e-9
    largest_rate: float = 400.0

    def __post_init__(self) -> None:
        if not (self.time_step > 0 and 0 < self.largest_rate * self.time_step <= 1):
            raise ArgumentError(
                f"A neuron sends at most one spike per step: largest_rate ({self.largest_rate:g} per second) times "
                f"time_step ({self.time_step:g} s) must lie above 0 and be at most 1."
            )

    @property
    def most(self) -> float:  # type: ignore[override]
        return self.largest_rate * self.time_step

    def start(self, x: Tensor, first_sample: int = 0) -> Membrane:
        state = super().start(x, first_sample)
        initial = full_map(self.initial, x)
        state.potential.copy_((self.cell.reset + initial * (self.cell.threshold - self.cell.reset)).expand_as(x))
        return state

    def integrate(self, state: Membrane, x: Tensor) -> None:
        assert isinstance(state, LeakyMembrane)
        drive = x if self.bias is None else x + row(self.bias, state.steps)
        state.before = state.potential.clone()
        state.target = self.cell.target(self.offset + drive * (self.slope / (self.most * state.threshold)))
        state.active = (self.time_step - state.blocked).clamp_(min=0)
        state.blocked.sub_(self.time_step).clamp_(min=0)
        state.potential.copy_(self.after(state.before, state.target, state.active))

    def after(self, potential: Tensor | float, target: Tensor, seconds: Tensor) -> Tensor:
        """Return the potential after some seconds of a constant current that leads to `target`."""
        return target + (potential - target) * torch.exp(seconds / -self.cell.time_constant)

    def fire(self, state: Membrane) -> Tensor:
        return torch.ge(state.potential, self.cell.threshold, out=state.sent)

    def reset(self, state: Membrane, spikes: Tensor) -> None:
        assert isinstance(state, LeakyMembrane)
        fired = spikes > 0
        state.potential.masked_fill_(fired, self.cell.reset)
        state.blocked.masked_fill_(fired, self.cell.refractory)


@dataclass(frozen=True, eq=False)
class PreciseLeaky(LeakyIntegrateAndFire):
    """Leaky integrate-and-fire neurons that are reset at the moment, within the step, in which they reach the threshold.

    The crossing time tau ln((V_inf - V) / (V_inf - threshold potential)) is known in closed form; the refractory period
    starts there, and the rest of the step is integrated from the reset potential. No charge is lost to the time step: under
    a constant current the number of spikes is that of the rate curve, floor((T time_step - t_1) f(I)) + 1 for a
    first spike at t_1, as long as f(I) time_step <= 1. Source: as Morrison et al. 2007, with exact crossing times.
    """

    copies: ClassVar[int] = LeakyIntegrateAndFire.copies + 3

    def fire(self, state: Membrane) -> Tensor:
        assert isinstance(state, LeakyMembrane)
        return torch.ge(torch.maximum(state.before, state.potential), self.cell.threshold, out=state.sent)

    def reset(self, state: Membrane, spikes: Tensor) -> None:
        assert isinstance(state, LeakyMembrane)
        fired = spikes > 0
        above = state.target - self.cell.threshold
        above = above.where(above > 0, 1.0)  # where it is not, the potential was above the threshold before: no time is missing
        missing = (self.cell.threshold - state.before).clamp_(min=0)
        left = state.active - self.cell.time_constant * torch.log1p(missing / above) - self.cell.refractory
        again = self.after(self.cell.reset, state.target, left.clamp(min=0))
        torch.where(fired, again, state.potential, out=state.potential)
        torch.where(fired, left.neg_().clamp_(min=0), state.blocked, out=state.blocked)


@dataclass(frozen=True, eq=False)
class EulerLeaky(LeakyIntegrateAndFire):
    """Leaky integrate-and-fire neurons that follow the slope at the start of each step: what most simulators do.

    V <- V + (V_inf - V) time_step / tau instead of the exact exponential: an error of order time_step in the potential, on top
    of the spikes that wait for the end of their step. Raises ArgumentError for a step of 2 tau or more, over which it diverges.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.time_step >= 2 * self.cell.time_constant:
            raise ArgumentError(
                f"Euler's method diverges in steps of 2 tau ({2 * self.cell.time_constant:g} s) or more, not "
                f"{self.time_step:g} s: take shorter steps or PreciseLeaky, which is exact."
            )

    def after(self, potential: Tensor | float, target: Tensor, seconds: Tensor) -> Tensor:
        """Return the potential that the slope at the start of some seconds leads to."""
        return potential + (target - potential) * (seconds / self.cell.time_constant)
