"""The neuron with several thresholds, each half the one before, that sends the nearest of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.neurons.base import Membrane, Neuron

NEAREST = 0.75  # of a level: halfway between it and the next smaller one


@dataclass(frozen=True, eq=False)
class MultiThreshold(Neuron):
    """Neurons that send, per step, the one of `levels` signed levels that is nearest to their potential.

    The levels are threshold * 2^i, i = 0 ... levels - 1. n[t] = sign(m) 2^i for the largest level with
    |m| >= 0.75 threshold 2^i; 0 below them all. A negative level is taken only up to what was sent before, so that the sum
    of what is sent never falls below 0. For a constant input of at most the largest level L, from v[0] = 0, the mean of
    `sent` over T steps lies within L / (2T) of it. A spike says which level and which sign.
    Source: Huang et al. 2024 (ACM MM, ECMT) and 2025 (ICML, DCGS), with L as their first threshold.
    """

    copies: ClassVar[int] = 9
    nets: ClassVar[bool] = True

    levels: int = 4

    @property
    def most(self) -> float:  # type: ignore[override]
        return 2 ** (self.levels - 1)

    @property
    def least(self) -> float:  # type: ignore[override]
        return -self.most

    @property
    def bits_per_spike(self) -> int:
        return 1 + (self.levels - 1).bit_length()

    def fire(self, state: Membrane) -> Tensor:
        ratio = torch.div(state.potential, state.threshold, out=state.sent)
        reach = torch.minimum(ratio.abs() / NEAREST, torch.where(ratio < 0, state.net, torch.inf))
        level = (torch.frexp(reach).exponent - 1).clamp_(max=self.levels - 1)  # floor of the logarithm, exactly
        return state.sent.copy_(torch.ldexp(ratio.sign(), level)).masked_fill_(level < 0, 0.0)

    def note(self, state: Membrane, spikes: Tensor) -> None:
        state.count.add_(spikes != 0)
        state.net.add_(spikes)
