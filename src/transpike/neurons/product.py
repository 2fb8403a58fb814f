"""Products of numbers of spikes: each spike adds the other factor."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.neurons.functions import MeanFunction
from transpike.parts import Op


@dataclass(frozen=True, eq=False)
class Levels(Op):
    """The whole number k of spikes, inhibitory ones below 0, that a value base + up k (k > 0) or base + down k stands for."""

    base: float
    up: float
    down: float

    def __call__(self, value: Tensor) -> Tensor:
        above = value.double() - self.base
        return torch.where(above > 0, above / self.up, above / self.down).round()

    def worth(self, count: Tensor) -> Tensor:
        """Return what a spike of this count is worth."""
        return torch.full_like(count, self.down).masked_fill_(count > 0, self.up)


@dataclass(frozen=True, eq=False)
class CountProduct(MeanFunction):
    """The product of a number of spikes and another signal, which each spike adds once: no multiplier is needed.

    With k spikes of a population that stand for base + u k: y = base x + u (k x), where k x is x added k times. If x is the
    count of a population too, x = base' + u' k', then y = base base' + base u' k' + base' u k + u u' (k k'), where k k' is a
    whole number and exact. `first` counts spikes of the first input, `second` those of the second, None where that is a number.
    """

    first: Levels | None = None
    second: Levels | None = None

    def of_means(self, one: Tensor, other: Tensor) -> Tensor:  # type: ignore[override]
        if self.first is None or self.second is None:
            count, levels, number = (other, self.second, one) if self.first is None else (one, self.first, other)
            assert levels is not None
            spikes = levels(count)
            return (levels.base * number + levels.worth(spikes) * (spikes * number)).to(one.dtype)
        a, b = self.first(one), self.second(other)
        u, v = self.first.worth(a), self.second.worth(b)
        alone = self.first.base * self.second.base + self.first.base * v * b + self.second.base * u * a
        return (alone + u * v * (a * b)).to(one.dtype)


@dataclass(frozen=True, eq=False)
class SpikeProduct(MeanFunction):
    """Products of two signals in codes whose slots have a worth: where two spikes meet, a number is added.

    With a = sum over i of g_i s_i and b = sum over j of h_j z_j over the slots: a b = sum over i, j of (g_i h_j) s_i z_j, where
    g_i h_j is known beforehand and s_i z_j is 1 if both have fired. So a product of the decoded values, exactly, takes as many
    accumulates as pairs of spikes meet, and no multiplier; of matrices alike, summed over the axis that they share.
    Source: MBE neurons (AAAI 2026), products of spike trains.
    """
