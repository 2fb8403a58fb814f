"""Integrate-and-fire neurons that listen before they fire, and fire for what they expect."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import torch
from torch import Tensor

from transpike.errors import ArgumentError
from transpike.neurons.base import Membrane
from transpike.neurons.integrate_and_fire import IntegrateAndFire


@dataclass(frozen=True, eq=False)
class LookAhead(IntegrateAndFire):
    """Integrate-and-fire neurons that start to fire `ahead` steps after their input starts, each for `window` steps.

    In its k-th firing step, the (delay + k)-th of all, a neuron has received K = min(k + ahead, window) steps of input,
    S = I[1] + ... + I[K]. It fires as if this were evenly spread over the window, so that k steps had brought S k / K:
    s[k] = 1 where v[0] + S k / K - threshold (s[1] + ... + s[k-1]) >= threshold. In the last step k = K = `window`, where
    the neuron has all of its input. Input from before or after the window is not integrated. `last` is the number of steps
    that the network was laid out for, at which ArgumentError is raised: with none, the neuron stays silent after its window.
    With `ahead` 0 and no bound on the window it is `IntegrateAndFire`. Source: this project.

    >>> neuron = LookAhead(torch.tensor(1.0), torch.tensor(0.0), None, delay=1, ahead=1, window=4)
    >>> state = neuron.start(torch.zeros(1))
    >>> [float(neuron.step(state, torch.tensor([x]))) for x in (2.0, 0.0, 0.0, 0.0, 9.0)]
    [0.0, 1.0, 0.0, 0.0, 1.0]
    """

    ahead: int = field(default=0, kw_only=True)
    window: int = field(default=sys.maxsize, kw_only=True)
    last: int | None = field(default=None, kw_only=True)

    def counted(self, time_steps: int) -> int:
        return min(super().counted(time_steps), self.window)

    def listens(self) -> slice:
        return slice(self.delay - self.ahead, self.delay - self.ahead + self.window)

    def step(self, state: Membrane, x: Tensor) -> Tensor:
        state.steps += 1
        if self.last is not None and state.steps > self.last:
            raise ArgumentError(
                f"This network looks ahead within {self.last} time steps: its lower layers are silent after them. Simulate "
                f"{self.last} steps, or convert it with a larger time_steps=."
            )
        fired = state.steps - self.delay
        if 0 < fired + self.ahead <= self.window:
            self.integrate(state, x)
        if not 0 < fired <= self.window:
            return state.sent.zero_()
        spikes = self.expected(state, fired, min(fired + self.ahead, self.window))
        self.note(state, spikes)
        self.reset(state, spikes)
        return self.worth(state, spikes)

    def expected(self, state: Membrane, fired: int, heard: int) -> Tensor:
        """Return the spikes [batch, ...] of firing step `fired`, of `heard` steps of input."""
        if fired == heard:
            return self.fire(state)
        kept = state.threshold * (self.initial - state.net)
        mean = (state.potential - kept).mul_(fired).add_(kept, alpha=heard)  # times `heard`: no quotient, no rounding
        return torch.ge(mean, heard * state.threshold, out=state.sent)
