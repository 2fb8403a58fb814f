"""Products of two signals in time: the ANN's product of the values that both stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.ops import Multiply
from transpike.parts import Op, State, Stateful


class Sums(State):
    """The sums of both inputs so far, and what was sent so far."""

    def __init__(self, shape: torch.Size, like: Tensor) -> None:
        self.first = like.new_zeros(shape)
        self.second = like.new_zeros(shape)
        self.sent = like.new_zeros(shape)
        self.steps = 0


@dataclass(frozen=True, eq=False)
class MeanProduct(Stateful):
    """Send, at each step, the increment of the product of the means of two signals: a gate.

    With A[t], B[t] the sums of both up to t: y[t] = A[t] B[t] / t - A[t-1] B[t-1] / (t-1). The increments telescope, so that
    the mean of y is the product of both means at every t. In codes with windows it is the product of two decoded values. It
    multiplies numbers: no spikes do that, and reports count it apart.
    """

    joins: ClassVar[bool] = True
    copies: ClassVar[int] = 6

    def start(self, x: Tensor, first_sample: int = 0) -> Sums:  # noqa: ARG002 - deterministic
        return Sums(x.shape, x)

    def step(self, state: Sums, x: Tensor, other: Tensor) -> Tensor:  # type: ignore[override]
        state.steps += 1
        state.first.add_(x)
        state.second.add_(other)
        product = state.first * state.second / state.steps
        increment = product - state.sent
        state.sent = product
        return increment

    def analogue(self) -> Op:
        return Multiply()


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
class CountProduct(MeanProduct):
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
