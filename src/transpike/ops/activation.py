"""Pointwise non-linear ops, and the normalisers that end a classifier."""

from __future__ import annotations

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
    """y = activation(unit x) / unit: an activation in other units; `unit` is positive and broadcasts against one sample."""

    activation: Op
    unit: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(x * self.unit)
        return y / self.unit


@dataclass(frozen=True, eq=False)
class Sigmoid(Op):
    """y = 1 / (1 + exp(-x))."""

    def __call__(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x)


@dataclass(frozen=True, eq=False)
class Softmax(Op):
    """y = exp(x) / sum exp(x) along `axis` (counted with the batch), or its logarithm."""

    axis: int
    logarithm: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        return torch.log_softmax(x, self.axis) if self.logarithm else torch.softmax(x, self.axis)
