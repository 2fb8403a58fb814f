"""Pointwise non-linear ops, and the normalisers that end a classifier."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.parts import Op


@dataclass(frozen=True, eq=False)
class Relu(Op):
    """y = max(x, 0)."""

    def __call__(self, x: Tensor) -> Tensor:
        return torch.relu(x)


@dataclass(frozen=True, eq=False)
class Relay(Op):
    """y = x, sent as spikes: a number that neurons encode anew, so that the weights behind it read spikes."""

    def __call__(self, x: Tensor) -> Tensor:
        return x


@dataclass(frozen=True, eq=False)
class Clip(Op):
    """y = min(max(x, low), high); ReLU6 is Clip(0, 6). Either bound may be infinite."""

    low: float
    high: float

    def __call__(self, x: Tensor) -> Tensor:
        return torch.clamp(x, self.low, self.high)


@dataclass(frozen=True, eq=False)
class LeakyRelu(Op):
    """y = x where x > 0, else slope x; slope broadcasts against one sample (PReLU: per channel)."""

    slope: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, self.slope * x)


@dataclass(frozen=True, eq=False)
class Rescaled(Op):
    """y = activation(unit x) / out: an activation in other units, which are positive and broadcast against one sample.

    Without `out` both are the same.
    """

    activation: Op
    unit: Tensor
    out: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(x * self.unit)
        return y / (self.unit if self.out is None else self.out)


@dataclass(frozen=True, eq=False)
class Qcfs(Op):
    """y = threshold clip(floor(levels x / threshold + shift) / levels, 0, 1): quantisation, clip, floor and shift.

    `threshold` broadcasts against one sample and is positive. Source: Bu et al. 2022 (QCFS).
    """

    threshold: Tensor
    levels: int
    shift: float = 0.5

    def __call__(self, x: Tensor) -> Tensor:
        return quantised(x, self.threshold, self.levels, self.shift)


@dataclass(frozen=True, eq=False)
class SlipRelu(Op):
    """y = slope clip(x + offset threshold / levels, 0, threshold) + (1 - slope) qcfs(x), with slope in 0 .. 1.

    Slope 0 is QCFS, slope 1 a clipped (and shifted) ReLU. Source: Jiang et al. 2023 (SlipReLU).
    """

    threshold: Tensor
    levels: int
    slope: float
    shift: float = 0.5
    offset: float = 0.0

    def __call__(self, x: Tensor) -> Tensor:
        clipped = (x + self.offset / self.levels * self.threshold).clamp(min=0).minimum(self.threshold)
        return self.slope * clipped + (1 - self.slope) * quantised(x, self.threshold, self.levels, self.shift)


@dataclass(frozen=True, eq=False)
class Clamped(Op):
    """y = min(x, threshold) where x >= floor * threshold, else 0: no small values. `threshold` broadcasts against one sample.

    Source: Rueckauer and Liu 2018 (TTFS clamped).
    """

    threshold: Tensor
    floor: float = 0.1

    def __call__(self, x: Tensor) -> Tensor:
        return torch.where(x >= self.floor * self.threshold, x.clamp(min=0), 0).minimum(self.threshold)


def quantised(x: Tensor, threshold: Tensor, levels: int, shift: float) -> Tensor:
    """Return threshold clip(floor(levels x / threshold + shift) / levels, 0, 1) in one new tensor."""
    return position(x, threshold, levels, shift).floor_().clamp_(0, levels).mul_(threshold / levels)


def position(x: Tensor, threshold: Tensor, levels: int, shift: float) -> Tensor:
    """Return levels x / threshold + shift in one new tensor: the whole part is the level of `x`."""
    return (x * (levels / threshold)).add_(shift)


def ceiling(op: Op) -> Tensor:
    """Return the largest value of an activation, to broadcast against one sample, in float64; infinity if it has none."""
    if isinstance(op, Qcfs | SlipRelu | Clamped):
        return op.threshold.detach().cpu().double()
    return torch.tensor(op.high if isinstance(op, Clip) else math.inf, dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Sigmoid(Op):
    """y = 1 / (1 + exp(-x))."""

    def __call__(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x)


@dataclass(frozen=True, eq=False)
class Tanh(Op):
    """y = tanh(x)."""

    def __call__(self, x: Tensor) -> Tensor:
        return torch.tanh(x)


@dataclass(frozen=True, eq=False)
class NormalCurve(Op):
    """y = low + (1 - low) Phi(x / sigma), with Phi the distribution of a normal variable of mean 0 and deviation 1.

    From 0 to 1 with `low` 0 in place of a sigmoid, from -1 to 1 with `low` -1 in place of tanh. Source: a thesis on
    conversion, section 5.2 and its outlook.
    """

    sigma: float
    low: float = 0.0

    def __call__(self, x: Tensor) -> Tensor:
        return self.low + (1 - self.low) * torch.special.ndtr(x / self.sigma)


@dataclass(frozen=True, eq=False)
class Softmax(Op):
    """y = exp(x) / sum exp(x) along `axis` (counted with the batch), or its logarithm."""

    axis: int
    logarithm: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        return torch.log_softmax(x, self.axis) if self.logarithm else torch.softmax(x, self.axis)
