"""Max-pooling of temporal signals: exact in the limit, and three published forms that are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from transpike.ops import AdaptiveMaxPool, MaxPool
from transpike.parts import Op, State, Stateful

INDEXED = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
ADAPTIVE_INDEXED = {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}


@dataclass(frozen=True, eq=False)
class TemporalMaxPool(Stateful):
    """A max-pool that acts on a signal in time.

    `pool` is the max-pool op; `of_spikes` says that its inputs are spikes, so that what it sends counts as spikes too.
    """

    routes: ClassVar[bool] = True

    pool: Op
    of_spikes: bool = False

    @property
    def keeps(self) -> frozenset[str]:  # type: ignore[override]
        return frozenset({"count"} if self.of_spikes else ())

    def tallied(self, state: State, sent: Tensor) -> Tensor:
        """Count what is sent in one step, if it is spikes, and return it."""
        if self.of_spikes:
            spikes = sent != 0
            state.count = spikes.to(sent.dtype) if state.count is None else state.count.add_(spikes)
        return sent

    def analogue(self) -> Op:
        return self.pool


class Totals(State):
    """The sum of all inputs so far [batch, ...] and the maximum that was sent so far."""

    def __init__(self, total: Tensor) -> None:
        self.total = total
        self.sent: Tensor | None = None
        self.steps = 0


@dataclass(frozen=True, eq=False)
class AccumulatedMaxPool(TemporalMaxPool):
    """Send, at each step, the increment of the maximum of the accumulated inputs.

    y[t] = max over the window of (x[1] + ... + x[t])  -  the same at t-1. The sums telescope, so the mean output is the
    maximum of the mean inputs, exactly, at every t. Pooling each step by itself is biased instead: the mean of maxima
    is not the maximum of means. On spikes of one height the increments are spikes of that height.

    After each of the steps in `restarts` the sums start anew, as the neurons before and after the pool do there.
    """

    restarts: tuple[int, ...] = ()

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
        return self.tallied(state, increment)


@dataclass(frozen=True, eq=False)
class StepMaxPool(TemporalMaxPool):
    """Pool each step by itself: y[t] = max over the window of x[t].

    Right where the input is the same at each step. Else the mean of maxima is at least the maximum of means, and the
    excess does not fall with T: it grows with the spread of the inputs over time.
    Source: the usual choice for pooling the current before a neuron, as in local threshold balancing (CVPR 2025).
    """

    def start(self, x: Tensor, first_sample: int = 0) -> State:  # noqa: ARG002 - remembers nothing
        return State()

    def step(self, state: State, x: Tensor) -> Tensor:
        return self.tallied(state, self.pool(x))


@dataclass(frozen=True, eq=False)
class GatedMaxPool(TemporalMaxPool):
    """Pass on what the input with the largest sum so far sends: y[t] = x_i[t], i = argmax over the window of x[1]+...+x[t].

    Of equal sums the first in the window counts. Once one input leads for good the rate is its own; each change of the
    leader before that leaves an error that falls as 1/T. Inputs that keep overtaking each other by turns are passed on
    whenever they lead, so that the output can be larger than either: up to their sum.
    Source: Rueckauer et al. 2017, section 2.3.4 (gating by the estimated firing rate).
    """

    def start(self, x: Tensor, first_sample: int = 0) -> Totals:  # noqa: ARG002 - deterministic
        return Totals(torch.zeros_like(x))

    def step(self, state: Totals, x: Tensor) -> Tensor:
        leaders = winners(self.pool, state.total.add_(x))
        axes = spatial_axes(self.pool)
        passed = x.flatten(-axes).gather(-1, leaders.flatten(-axes)).reshape(leaders.shape)
        return self.tallied(state, passed)


def spatial_axes(pool: Op) -> int:
    """Return over how many trailing axes a max-pool acts."""
    assert isinstance(pool, MaxPool | AdaptiveMaxPool)
    return len(pool.size if isinstance(pool, AdaptiveMaxPool) else pool.kernel)


def winners(pool: Op, x: Tensor) -> Tensor:
    """Return the place of the maximum of each window, as an index into the flattened spatial axes of `x`."""
    if isinstance(pool, AdaptiveMaxPool):
        return ADAPTIVE_INDEXED[len(pool.size)](x, pool.size, return_indices=True)[1]
    assert isinstance(pool, MaxPool)
    arguments = (pool.kernel, pool.stride, pool.padding, pool.dilation, pool.ceil_mode)
    return INDEXED[len(pool.kernel)](x, *arguments, return_indices=True)[1]
