"""Max-pooling of temporal signals that is exact in the limit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.parts import Op, State, Stateful


class Totals(State):
    """The sum of all inputs so far [batch, ...] and the maximum that was sent so far."""

    def __init__(self, total: Tensor) -> None:
        self.total = total
        self.sent: Tensor | None = None


@dataclass(frozen=True, eq=False)
class AccumulatedMaxPool(Stateful):
    """Send, at each step, the increment of the maximum of the accumulated inputs.

    y[t] = max over the window of (x[1] + ... + x[t])  -  the same at t-1. The sums telescope, so the mean output is the
    maximum of the mean inputs, exactly, at every t. Pooling each step by itself is biased instead: the mean of maxima
    is not the maximum of means. On spikes of one height the increments are spikes of that height.

    `pool` is a max-pool op.
    """

    pool: Op

    def start(self, x: Tensor, first_sample: int = 0) -> Totals:  # noqa: ARG002 - deterministic
        return Totals(torch.zeros_like(x))

    def step(self, state: Totals, x: Tensor) -> Tensor:
        maximum = self.pool(state.total.add_(x))
        increment = maximum if state.sent is None else maximum - state.sent
        state.sent = maximum
        return increment

    def analogue(self) -> Op:
        return self.pool
