"""Where a model has the batch: as axis 0, as another axis, or sharing an axis with others, as windows of attention do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Signal:
    """A value that depends on an input: the node that computes it, the shape of one sample, and the kind of its numbers.

    `whole` says that it depends on whole numbers alone that come from outside, such as a mask: it is there before any spike.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    whole: bool = False


@dataclass(frozen=True)
class Layout:
    """The model's axis `place` is (before, batch, after); its signal is [batch, *before, *after, *the other axes].

    `before` and `after` hold the size of an axis that shares the batch's, or nothing.

    >>> windows = Layout(after=(4,))  # [batch * 4, tokens, features] in the model, [batch, 4, tokens, features] here
    >>> windows.axis(1), windows.axis(2), windows.factor
    (2, 3, 4)
    """

    place: int = 0
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()

    @property
    def shared(self) -> tuple[int, ...]:
        """The sizes of the axes that share the batch's."""
        return (*self.before, *self.after)

    @property
    def factor(self) -> int:
        """By how much the model's axis is larger than the batch."""
        return math.prod(self.shared)

    def axis(self, dim: int) -> int:
        """Return the axis of the signal for an axis of the model other than that of the batch."""
        return dim + len(self.shared) + (dim < self.place)

    def rank(self, signal: Signal) -> int:
        """Return how many axes a signal has in the model."""
        return len(signal.shape) + 1 - len(self.shared)

    def others(self, signal: Signal) -> tuple[int, ...]:
        """Return the sizes of the model's axes other than that of the batch."""
        return signal.shape[len(self.shared) :]


STRAIGHT = Layout()
TURNED = Layout(place=1)


@dataclass(frozen=True)
class Laid:
    """A signal that the model has in another layout than [batch, ...], such as a sequence with time as its first axis."""

    signal: Signal
    layout: Layout


def laid(signal: Signal, layout: Layout) -> Signal | Laid:
    """Return a signal with its layout, if that is not the usual one."""
    return signal if layout == STRAIGHT else Laid(signal, layout)


def parted(value: Signal | Laid) -> tuple[Signal, Layout]:
    """Return the signal of a value and how the model has it."""
    return (value.signal, value.layout) if isinstance(value, Laid) else (value, STRAIGHT)


@dataclass(frozen=True)
class BatchSize:
    """Stands for `factor` times the size of the batch wherever a model asks for it."""

    factor: int = 1


@dataclass(frozen=True)
class Sizes:
    """The sizes of an exported value: its axis `place` is `factor` times the batch, beside `others`."""

    place: int
    factor: int
    others: tuple[int, ...]


def multiple(size: Any, symbol: str) -> int | None:
    """Return k for a size that is k times the batch, whose symbol is given; None for any other size.

    A size is a formula of torch.export's: it is tried on two numbers.
    """
    if isinstance(size, int) or [str(free) for free in size.node.expr.free_symbols] != [symbol]:
        return None
    (free,) = size.node.expr.free_symbols
    one, many = (size.node.expr.subs(free, count) for count in (1, 997))
    return int(one) if one > 0 and many == 997 * one else None


def sizes_of(shape: Sequence[Any], symbol: str) -> Sizes | None:
    """Return the sizes of an exported value; None unless exactly one axis is a multiple of the batch, the others numbers."""
    factors = [multiple(size, symbol) for size in shape]
    places = [place for place, factor in enumerate(factors) if factor is not None]
    if len(places) != 1:
        return None
    others = [number(size) for place, size in enumerate(shape) if place != places[0]]
    factor = factors[places[0]]
    if factor is None or None in others:
        return None
    return Sizes(places[0], factor, tuple(size for size in others if size is not None))


def number(size: Any) -> int | None:
    """Return a size that is a number, perhaps written as a formula; None for any other."""
    if isinstance(size, int):
        return size
    return int(size.node.expr) if size.node.expr.is_Integer else None
