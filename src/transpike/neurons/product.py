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
