"""Integrate-and-fire neurons that listen first: after each of some windows of steps they restart, corrected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from transpike.neurons.base import Membrane, Neuron
from transpike.neurons.integrate_and_fire import IntegrateAndFire

RESIDUAL = 1e-3  # in thresholds: below it a potential counts as none
MARGIN = 1e-3  # in thresholds: by how much a corrected potential passes the threshold


@dataclass(frozen=True, eq=False)
class Restarting(IntegrateAndFire):
    """Integrate-and-fire neurons that restart after each of `windows` windows of `length` steps.

    All their spikes count as spikes; what is decoded from them are those since the last restart. The input must be the
    same in each window: constant currents, and neurons before them that restart too.
    """

    nets: ClassVar[bool] = True

    length: int = 4
    windows: int = 1

    def step(self, state: Membrane, x: Tensor) -> Tensor:
        if self.restarts(state.steps + 1):
            self.learn(state, state.steps // self.length)
            state.potential.copy_((state.threshold * self.initial).expand_as(state.potential))
            state.net.zero_()
            if state.accumulated is not None:
                state.accumulated.zero_()
            self.apply(state)
        return super().step(state, x)

    def restarts(self, step: int) -> bool:
        done, inside = divmod(step - 1, self.length)
        return inside == 0 and 0 < done <= self.windows

    def learn(self, state: Membrane, done: int) -> None:
        """Look at the state after window number `done`, before the restart."""
        raise NotImplementedError

    def apply(self, state: Membrane) -> None:
        """Apply what was learnt, after a restart."""

    def note(self, state: Membrane, spikes: Tensor) -> None:
        state.count.add_(spikes)
        state.net.add_(spikes)

    def counted(self, time_steps: int) -> int:
        return time_steps - min((time_steps - 1) // self.length, self.windows) * self.length


class SilencedMembrane(Membrane):
    """A membrane, and whether each neuron is silenced."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.silenced = torch.zeros_like(self.potential, dtype=torch.bool)


@dataclass(frozen=True, eq=False)
class ResidualSilenced(Restarting):
    """Integrate-and-fire neurons that are silenced if their residual potential after a trial says that they are not active.

    A trial of `length` steps; where v[length] <= 0.001 threshold the neuron sends nothing any more; all restart from
    initial * threshold. Made for networks trained with QCFS: in others, active neurons are silenced by chance too, an error
    that more steps do not remove. Source: Hao et al. 2023 (AAAI, SRP), of which `length` is the parameter tau.
    """

    copies: ClassVar[int] = Neuron.copies + 2
    membrane: ClassVar[type[Membrane]] = SilencedMembrane

    def learn(self, state: Membrane, done: int) -> None:  # noqa: ARG002 - there is one window
        assert isinstance(state, SilencedMembrane)
        torch.le(state.potential, RESIDUAL * state.threshold, out=state.silenced)

    def fire(self, state: Membrane) -> Tensor:
        assert isinstance(state, SilencedMembrane)
        return super().fire(state).masked_fill_(state.silenced, 0.0)


class OffsetMembrane(Membrane):
    """A membrane, and in thresholds: the least potential that fired, the greatest that did not, and the correction."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.fired = torch.full_like(self.potential, torch.inf)
        self.silent = torch.full_like(self.potential, -torch.inf)
        self.correction = torch.zeros_like(self.potential)


@dataclass(frozen=True, eq=False)
class OffsetCalibrated(Restarting):
    """Integrate-and-fire neurons that calibrate their offset spike: one spike too many or too few, seen from the potential.

    In window `layer` the neuron, whose inputs are corrected by then, watches itself; n spikes and v = v[length] in units of
    the threshold. v < 0 and n > 0: one spike too many, v[0] -= max(1, least potential that fired - 0.999). v >= 1: one too
    few, v[0] += max(1, 1.001 - greatest potential that did not fire), unless it fired at every step. From then on it
    restarts from there.
    Source: Hao et al. 2023 (ICLR, COS), of which `length` is the parameter rho.
    """

    copies: ClassVar[int] = Neuron.copies + 6
    membrane: ClassVar[type[Membrane]] = OffsetMembrane

    layer: int = 1

    def fire(self, state: Membrane) -> Tensor:
        assert isinstance(state, OffsetMembrane)
        spikes = super().fire(state)
        if (state.steps - 1) // self.length == self.layer - 1:
            potential = state.potential / state.threshold
            torch.minimum(state.fired, potential.where(spikes > 0, torch.inf), out=state.fired)
            torch.maximum(state.silent, potential.where(spikes == 0, -torch.inf), out=state.silent)
        return spikes

    def learn(self, state: Membrane, done: int) -> None:
        assert isinstance(state, OffsetMembrane)
        if done != self.layer:
            return
        surplus = (state.potential < 0) & (state.net > 0)
        missing = (state.potential >= state.threshold) & (state.silent > -torch.inf)
        less = (state.fired - (1 - MARGIN)).clamp(min=1).where(surplus, 0.0)
        more = (1 + MARGIN - state.silent).clamp(min=1).where(missing, 0.0)
        torch.mul(more - less, state.threshold, out=state.correction)

    def apply(self, state: Membrane) -> None:
        assert isinstance(state, OffsetMembrane)
        state.potential.add_(state.correction)
