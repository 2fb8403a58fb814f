"""Ops on whole numbers, such as words, lengths and masks, which come from outside; and their way into vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from transpike.parts import Op

FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "eq": torch.eq,
    "ne": torch.ne,
    "lt": torch.lt,
    "le": torch.le,
    "gt": torch.gt,
    "ge": torch.ge,
    "and": torch.bitwise_and,
    "bitwise_and": torch.bitwise_and,
    "logical_and": torch.logical_and,
    "or": torch.bitwise_or,
    "bitwise_or": torch.bitwise_or,
    "logical_or": torch.logical_or,
    "bitwise_not": torch.bitwise_not,
    "logical_not": torch.logical_not,
    "mul": torch.mul,
}


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


@dataclass(frozen=True, eq=False)
class Whole(Op):
    """y = function(x, ...) for whole numbers and truth values, element by element: a row of `FUNCTIONS`."""

    function: str

    def __call__(self, *inputs: Tensor) -> Tensor:
        return FUNCTIONS[self.function](*inputs)


@dataclass(frozen=True, eq=False)
class LargestPlace(Op):
    """The place of the first of the largest whole numbers along `axis` (counted with the batch, never 0)."""

    axis: int
    keepdim: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        return x.to(torch.int64).argmax(self.axis, keepdim=self.keepdim)
