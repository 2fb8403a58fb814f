"""Pointwise non-linear ops beside those of rectifiers: smooth activations and elementary functions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from transpike.parts import Op


@dataclass(frozen=True, eq=False)
class Gelu(Op):
    """y = x Phi(x), with Phi the normal distribution; with `tanh` Phi(x) ~ (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.

    Source: Hendrycks and Gimpel 2016 (GELU).
    """

    tanh: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        return F.gelu(x, approximate="tanh" if self.tanh else "none")


@dataclass(frozen=True, eq=False)
class Silu(Op):
    """y = x / (1 + exp(-x)), also called swish."""

    def __call__(self, x: Tensor) -> Tensor:
        return F.silu(x)


@dataclass(frozen=True, eq=False)
class Hardswish(Op):
    """y = x clip(x + 3, 0, 6) / 6."""

    def __call__(self, x: Tensor) -> Tensor:
        return F.hardswish(x)


@dataclass(frozen=True, eq=False)
class Hardsigmoid(Op):
    """y = clip(x + 3, 0, 6) / 6."""

    def __call__(self, x: Tensor) -> Tensor:
        return F.hardsigmoid(x)


@dataclass(frozen=True, eq=False)
class Mish(Op):
    """y = x tanh(log(1 + exp(x)))."""

    def __call__(self, x: Tensor) -> Tensor:
        return F.mish(x)


@dataclass(frozen=True, eq=False)
class Elu(Op):
    """y = scale x where x > 0, else scale alpha (exp(steepness x) - 1): ELU, SELU and CELU."""

    alpha: float = 1.0
    scale: float = 1.0
    steepness: float = 1.0

    def __call__(self, x: Tensor) -> Tensor:
        below = self.alpha * torch.expm1(self.steepness * x.clamp(max=0))
        return self.scale * torch.where(x > 0, x, below)


@dataclass(frozen=True, eq=False)
class Softplus(Op):
    """y = log(1 + exp(beta x)) / beta, and x where beta x > threshold."""

    beta: float = 1.0
    threshold: float = 20.0

    def __call__(self, x: Tensor) -> Tensor:
        return F.softplus(x, self.beta, self.threshold)


@dataclass(frozen=True, eq=False)
class Threshold(Op):
    """y = x where x > threshold, else value."""

    threshold: float
    value: float = 0.0

    def __call__(self, x: Tensor) -> Tensor:
        return F.threshold(x, self.threshold, self.value)


@dataclass(frozen=True, eq=False)
class Exponential(Op):
    """y = exp(x)."""

    def __call__(self, x: Tensor) -> Tensor:
        return torch.exp(x)


@dataclass(frozen=True, eq=False)
class Logarithm(Op):
    """y = log(x)."""

    def __call__(self, x: Tensor) -> Tensor:
        return torch.log(x)


@dataclass(frozen=True, eq=False)
class Power(Op):
    """y = x^exponent: squares, square roots (1/2), reciprocals (-1) and their products."""

    exponent: float

    def __call__(self, x: Tensor) -> Tensor:
        return torch.pow(x, int(self.exponent) if math.isfinite(self.exponent) and self.exponent % 1 == 0 else self.exponent)


@dataclass(frozen=True, eq=False)
class Absolute(Op):
    """y = |x|."""

    def __call__(self, x: Tensor) -> Tensor:
        return torch.abs(x)


@dataclass(frozen=True, eq=False)
class ErrorFunction(Op):
    """y = 2 / sqrt(pi) times the integral of exp(-u^2) from 0 to x."""

    def __call__(self, x: Tensor) -> Tensor:
        return torch.erf(x)


@dataclass(frozen=True, eq=False)
class Sine(Op):
    """y = sin(x + phase); the cosine has phase pi / 2."""

    phase: float = 0.0

    def __call__(self, x: Tensor) -> Tensor:
        return torch.sin(x + self.phase) if self.phase else torch.sin(x)
