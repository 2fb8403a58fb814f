"""Ops on whole numbers, such as words, lengths and masks, which come from outside; and their way into vectors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from transpike.parts import Op


@dataclass(frozen=True, eq=False)
class Embedding(Op):
    """y = table[x]: one row of the table [rows, ...] for each whole number; one spike on that line of a weight matrix."""

    table: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return self.table[x.long()]


@dataclass(frozen=True, eq=False)
class OneHot(Op):
    """y[..., k] = 1 if x = k, else 0, for `classes` classes."""

    classes: int

    def __call__(self, x: Tensor) -> Tensor:
        if x.is_meta:  # where torch has no one_hot
            return x.new_empty(*x.shape, self.classes, dtype=torch.int64)
        return F.one_hot(x.long(), self.classes)


@dataclass(frozen=True, eq=False)
class Number(Op):
    """y = x, a whole number or a truth value, as a number of `dtype`."""

    dtype: str = "float32"

    def __call__(self, x: Tensor) -> Tensor:
        return x.to(getattr(torch, self.dtype))
