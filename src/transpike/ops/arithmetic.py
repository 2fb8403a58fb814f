"""Inputs, constants, sums and products of signals."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.parts import Op


@dataclass(frozen=True, eq=False)
class Input(Op):
    """An input of the model: `shape` of one sample and the name of its dtype."""

    shape: tuple[int, ...]
    dtype: str = "float32"


@dataclass(frozen=True, eq=False)
class Constant(Op):
    """A value that depends on no input, kept as [1, ...] so that it broadcasts along the batch."""

    value: Tensor

    def __call__(self) -> Tensor:
        return self.value


@dataclass(frozen=True, eq=False)
class Identity(Op):
    """y = x."""

    def __call__(self, x: Tensor) -> Tensor:
        return x


@dataclass(frozen=True, eq=False)
class Add(Op):
    """y = a + scale b, broadcasting."""

    scale: float = 1.0

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        if self.scale in (1, -1):
            return a + b if self.scale == 1 else a - b
        return torch.add(a, b, alpha=self.scale)


@dataclass(frozen=True, eq=False)
class Multiply(Op):
    """y = a b for two signals."""

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        return a * b


@dataclass(frozen=True, eq=False)
class Divide(Op):
    """y = a / b for two signals, or for a constant and a signal."""

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        return a / b


@dataclass(frozen=True, eq=False)
class Maximum(Op):
    """y = max(a, b) for two signals, element by element."""

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.maximum(a, b)


@dataclass(frozen=True, eq=False)
class MatMul(Op):
    """y = a b for two signals, matrices in their last two axes: [..., n, k] and [..., k, m]; the axes before broadcast."""

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.matmul(a, b)


@dataclass(frozen=True, eq=False)
class OnGrid(Op):
    """y = round(x 2^bits) / 2^bits, half to even: the nearest multiple of 2^-bits."""

    bits: int

    def __call__(self, x: Tensor) -> Tensor:
        return (x * 2.0**self.bits).round() * 2.0**-self.bits
