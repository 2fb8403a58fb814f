"""Neurons that send several thresholds in one step: bursts of binary spikes, or one graded spike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.neurons.base import Membrane, Neuron


@dataclass(frozen=True, eq=False)
class Burst(Neuron):
    """Integrate-and-fire neurons that send up to `limit` binary spikes within one step.

    n[t] = clip(floor(m[t] / threshold), 0, limit). A group of `limit` neurons that share one membrane, the k-th of them with
    k times the threshold, does the same. For an even input of mean z the mean of `sent` over T steps is
    threshold/T * clip(floor(z T / threshold + initial), 0, limit T). A spike carries one bit; a step takes `limit` spike slots.
    Source: burst spikes (Li and Zeng, IJCAI 2022); group neurons (ICASSP 2024); adaptive firing (Wang et al., AAAI 2025).
    """

    limit: int = 4

    @property
    def most(self) -> float:  # type: ignore[override]
        return self.limit

    @property
    def at_once(self) -> int:
        return self.limit

    def fire(self, state: Membrane) -> Tensor:
        return torch.div(state.potential, state.threshold, out=state.sent).floor_().clamp_(0, self.limit)


@dataclass(frozen=True, eq=False)
class Graded(Burst):
    """Multi-threshold neurons: one spike per step whose value is one of `limit` multiples of the smallest threshold.

    With limit = 2^n - 1 this is the neuron of n thresholds threshold * 2^i, of which each step sends the binary expansion
    of floor(m / threshold): a spike carries n bits, and n adders receive it.
    Source: H-MT neuron (AAAI 2026).
    """

    copies: ClassVar[int] = 6
    nets: ClassVar[bool] = True

    limit: int = 15

    @property
    def bits_per_spike(self) -> int:
        return self.limit.bit_length()

    @property
    def accumulates(self) -> int:
        return self.limit.bit_length()

    @property
    def at_once(self) -> int:
        return 1

    def note(self, state: Membrane, spikes: Tensor) -> None:
        state.count.add_(spikes != 0)
        state.net.add_(spikes)


@dataclass(frozen=True, eq=False)
class SignedGraded(Graded):
    """Graded neurons for signed activations: n[t] = clip(floor(m[t] / threshold), -limit, limit).

    They equal two graded neurons, one on u and one on -u, that tell each other what they sent: their potentials v and
    threshold - v always add up to the threshold, so that one membrane is enough. For an even input of mean z the mean of
    `sent` is threshold/T * clip(floor(z T / threshold + initial), -limit T, limit T). A spike carries a sign too.
    Source: H-MT neuron with communication (AAAI 2026).
    """

    @property
    def least(self) -> float:  # type: ignore[override]
        return -self.limit

    @property
    def bits_per_spike(self) -> int:
        return 1 + self.limit.bit_length()

    def fire(self, state: Membrane) -> Tensor:
        return torch.div(state.potential, state.threshold, out=state.sent).floor_().clamp_(-self.limit, self.limit)
