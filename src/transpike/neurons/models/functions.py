"""Functions of floats, numpy arrays and tensors alike, so that each equation is written once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

NEARLY_ZERO = 1e-6  # below it the quotient is its first-order expansion, right to 1e-13


def exp(x: Any) -> Any:
    """Return e^x; infinity where that is beyond the largest number."""
    if isinstance(x, Tensor):
        return torch.exp(x)
    if isinstance(x, float):
        try:
            return math.exp(x)
        except OverflowError:
            return math.inf
    return np.exp(x)


def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent."""
    if isinstance(x, Tensor):
        return torch.tanh(x)
    return math.tanh(x) if isinstance(x, float) else np.tanh(x)


def at_most(x: Any, bound: float) -> Any:
    """Return the lesser of x and a bound."""
    if isinstance(x, Tensor):
        return x.clamp(max=bound)
    return min(x, bound) if isinstance(x, float) else np.minimum(x, bound)


def at_least(x: Any, bound: float) -> Any:
    """Return the greater of x and a bound."""
    return -at_most(-x, -bound)


def ramp(x: Any) -> Any:
    """Return x / (1 - e^-x), which is 1 at 0: the rates of Hodgkin and Huxley without their gap.

    >>> ramp(0.0), round(ramp(1.0), 4), ramp(torch.zeros(2)).tolist()
    (1.0, 1.582, [1.0, 1.0])
    """
    if isinstance(x, Tensor):
        near = x.abs() < NEARLY_ZERO
        return torch.where(near, 1 + x / 2, x / -torch.expm1(-x.where(~near, 1.0)))
    if isinstance(x, float):
        return 1 + x / 2 if abs(x) < NEARLY_ZERO else x / (1 - exp(-x))
    near = np.abs(x) < NEARLY_ZERO
    return np.where(near, 1 + x / 2, x / -np.expm1(-np.where(near, 1.0, x)))
