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
        self.steps = 0


@dataclass(frozen=True, eq=False)
class AccumulatedMaxPool(Stateful):
    """Send, at each step, the increment of the maximum of the accumulated inputs.

    y[t] = max over the window of (x[1] + ... + x[t])  -  the same at t-1. The sums telescope, so the mean output is the
    maximum of the mean inputs, exactly, at every t. Pooling each step by itself is biased instead: the mean of maxima
    is not the maximum of means. On spikes of one height the increments are spikes of that height.

    `pool` is a max-pool op; `of_spikes` says that its inputs are spikes, so that the increments count as spikes too. After
    each of the steps in `restarts` the sums start anew, as the neurons before and after the pool do there.
    """

    pool: Op
    of_spikes: bool = False
    restarts: tuple[int, ...] = ()

    @property
    def keeps(self) -> frozenset[str]:  # type: ignore[override]
        return frozenset({"count"} if self.of_spikes else ())

    def start(self, x: Tensor, first_sample: int = 0) -> Totals:  # noqa: ARG002 - deterministic
        return Totals(torch.zeros_like(x))

    def step(self, state: Totals, x: Tensor) -> Tensor:
        if state.steps in self.restarts:
            state.total.zero_()
            state.sent = None
        state.steps += 1
        maximum = self.pool(state.total.add_(x))
        increment = maximum if state.sent is None else maximum - state.sent
        state.sent = maximum
        if self.of_spikes:
            spikes = increment != 0
            state.count = spikes.to(x.dtype) if state.count is None else state.count.add_(spikes)
        return increment

    def analogue(self) -> Op:
        return self.pool
