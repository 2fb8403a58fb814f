"""Time to first spike, simulated in time: neurons that integrate the pulses which other neurons' first spikes started."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.errors import positive_whole
from transpike.neurons.base import Membrane, Neuron
from transpike.ops import Identity
from transpike.parts import Op, State, Stateful


class Firing(Membrane):
    """A membrane whose neurons are on or off: `on` is 1 from a spike on, `decoded` the value that its time stands for."""

    def __init__(self, potential: Tensor, threshold: Tensor, heights: Tensor | None, *, separate_net: bool) -> None:
        super().__init__(potential, threshold, heights, separate_net=separate_net)
        self.on = torch.zeros_like(potential)
        self.decoded = torch.zeros_like(potential)

    def transmitted(self) -> Tensor:
        return self.decoded * self.steps


@dataclass(frozen=True, eq=False)
class FirstSpike(Neuron):
    """Neurons that fire once, when the charge that they have collected reaches `resolution` times the threshold.

    m[t] = m[t-1] + I[t]; the first t with m[t] >= resolution * threshold is the time of the spike, and stands for the value
    height * resolution / t: a neuron of constant current z fires at t = resolution * threshold / z. The spike starts a pulse
    at its receivers, a current of its height that lasts (see `Pulse`). Then the neuron is refractory for the rest of the
    `steps`. What arrives later is lost: a neuron may fire too early, before a negative input.
    Source: Rueckauer and Liu 2018 (TTFS base), as in a thesis on conversion, equations 6.1 and 6.2.
    """

    membrane: ClassVar[type[Membrane]] = Firing

    resolution: int = 8
    steps: int = 128

    @property
    def own_window(self) -> int:
        return self.steps

    def with_window(self, steps: int) -> FirstSpike:
        return dataclasses.replace(self, steps=positive_whole("window", steps))

    def fires(self, state: Firing) -> Tensor:
        """Return where the neurons fire, given their potential: 1, 0, or -1 for a spike that takes one back."""
        return (state.potential >= state.threshold * self.resolution) * (1 - state.on)

    def step(self, state: Firing, x: Tensor) -> Tensor:  # type: ignore[override]
        state.steps += 1
        self.collect(state, x)
        spikes = self.fires(state)
        self.tell(state, spikes)
        return spikes * state.height

    def tell(self, state: Firing, spikes: Tensor) -> None:
        """Note the spikes of a step, and what they stand for."""
        state.on.add_(spikes)
        state.count.add_(spikes.abs())
        value = state.height * (self.resolution / state.steps)
        state.decoded = torch.where(spikes > 0, value, state.decoded) * state.on

    def loudest(self, step: int) -> Tensor:
        height = self.threshold if self.height is None else self.height[0]
        return height if step == 1 else torch.zeros_like(height)

    def collect(self, state: Firing, x: Tensor) -> None:
        """Add the current of one step, unless the neuron has fired."""
        state.potential.add_(x if self.bias is None else x + self.bias[0]).mul_(1 - state.on)


@dataclass(frozen=True, eq=False)
class CorrectiveFirstSpike(FirstSpike):
    """First-spike neurons that go on integrating, and take their spike back when the potential falls below the threshold.

    A spike of -1 ends the pulse that the first one started; the neuron may fire again later. One bit and a sign.
    Source: the spike code ttfs_corrective of SNN Toolbox (Rueckauer et al.).
    """

    @property
    def bits_per_spike(self) -> int:
        return 2

    def fires(self, state: Firing) -> Tensor:
        return (state.potential >= state.threshold * self.resolution).to(state.on.dtype) - state.on

    def collect(self, state: Firing, x: Tensor) -> None:
        state.potential.add_(x if self.bias is None else x + self.bias[0])


@dataclass(frozen=True, eq=False)
class PatientFirstSpike(FirstSpike):
    """First-spike neurons whose threshold is higher while inputs that have been announced are missing.

    theta[t] = resolution (threshold + missing[t]), where `missing` is the second input: the sum over the neurons that have
    announced a spike and not sent it (see `Announcement`) of their heights times the magnitudes of the weights, or of the
    negative ones alone (see `passes.AnnounceSpikes`).
    Source: Rueckauer and Liu 2018 (TTFS with dynamic thresholds).
    """

    def step(self, state: Firing, x: Tensor, missing: Tensor | None = None) -> Tensor:  # type: ignore[override]
        if missing is None:
            return super().step(state, x)
        threshold = state.threshold
        state.threshold = threshold + missing
        spikes = super().step(state, x)
        state.threshold = threshold
        return spikes


class Held(State):
    """What a pulse has come to [batch, ...]."""

    def __init__(self, value: Tensor) -> None:
        self.value = value


@dataclass(frozen=True, eq=False)
class Pulse(Stateful):
    """Turn each spike into a current that lasts: y[t] = x[1] + ... + x[t]."""

    routes: ClassVar[bool] = True

    def start(self, x: Tensor, first_sample: int = 0) -> Held:  # noqa: ARG002 - deterministic
        return Held(torch.zeros_like(x))

    def step(self, state: Held, x: Tensor) -> Tensor:
        state.value = state.value + x
        return state.value

    def analogue(self) -> Op:
        return Identity()


class Announced(State):
    """Which neurons have announced a spike and not sent it, which have fired, and how often either was told [batch, ...]."""

    def __init__(self, x: Tensor) -> None:
        self.charge = torch.zeros_like(x)
        self.waiting = torch.zeros_like(x)
        self.fired = torch.zeros_like(x)
        self.count: Tensor = torch.zeros_like(x)


@dataclass(frozen=True, eq=False)
class Announcement(Stateful):
    """Announce a neuron's spike as soon as its charge exceeds `level` (0 without), and withdraw it when that is over.

    Reads the current of the neurons, which it collects, and their spikes; sends `height` while a spike is announced and
    missing. Each announcement and each withdrawal is a spike that is counted; the neuron's own spike ends the announcement
    for nothing.
    Source: Rueckauer and Liu 2018 (TTFS with dynamic thresholds): a first spike that signals a missing input. Theirs goes by
    the sign of the current, which changes more often.
    """

    keeps: ClassVar[frozenset[str]] = frozenset({"count"})

    height: Tensor
    level: Tensor | None = None

    def start(self, x: Tensor, first_sample: int = 0) -> Announced:  # noqa: ARG002 - deterministic
        return Announced(x)

    def step(self, state: Announced, x: Tensor, spikes: Tensor) -> Tensor:  # type: ignore[override]
        state.fired = ((state.fired > 0) | (spikes > 0)).to(x.dtype)
        state.charge.add_(x)
        expected = state.charge > (0 if self.level is None else self.level)
        waiting = (expected & (state.fired == 0)).to(x.dtype)
        told = (waiting != state.waiting) & (spikes <= 0)
        state.count.add_(told)
        state.waiting = waiting
        return waiting * self.height

    def analogue(self) -> Op:
        return Identity()
