"""The integrate-and-fire neuron with reset by subtraction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.parts import Op, State, Stateful, full_map


class Membrane(State):
    """Membrane potentials [batch, ...], spike counts alike, and the threshold of each neuron [1, ...]."""

    def __init__(self, potential: Tensor, threshold: Tensor) -> None:
        self.potential: Tensor = potential
        self.threshold = threshold
        self.count: Tensor = torch.zeros_like(potential)
        self.sent = torch.empty_like(potential)


@dataclass(frozen=True, eq=False)
class IntegrateAndFire(Stateful):
    """Integrate-and-fire neurons with reset by subtraction, in the units of the activation that they replace.

    m[t] = v[t-1] + I[t];  s[t] = 1 where m[t] >= threshold;  sent[t] = threshold s[t];  v[t] = m[t] - sent[t],
    from v[0] = initial * threshold. For an even input of mean z the mean of `sent` over T steps is
    threshold/T * clip(floor(z T / threshold + initial), 0, T).

    `threshold` broadcasts against one sample (per channel: [C, 1, 1]); it is positive and finite. `activation` is what
    the neuron approaches as T grows, up to its threshold. A spike carries one bit.
    Source: Rueckauer et al. 2017 (reset by subtraction); Bu et al. 2022, equation 12 (closed form, initial = 1/2).
    """

    keeps: ClassVar[frozenset[str]] = frozenset({"count", "potential"})

    threshold: Tensor
    initial: float
    activation: Op

    def start(self, x: Tensor, first_sample: int = 0) -> Membrane:  # noqa: ARG002 - deterministic
        threshold = full_map(self.threshold, x)
        potential = torch.empty_like(x).copy_(threshold.expand_as(x)).mul_(self.initial)
        return Membrane(potential, threshold)

    def step(self, state: Membrane, x: Tensor) -> Tensor:
        # Floats instead of booleans: comparing into a float buffer is four times faster than converting a mask.
        state.potential.add_(x)
        spikes = torch.ge(state.potential, state.threshold, out=state.sent)
        state.count.add_(spikes)
        sent = spikes.mul_(state.threshold)
        state.potential.sub_(sent)
        return sent

    def analogue(self) -> Op:
        return self.activation
