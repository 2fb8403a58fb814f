"""What codes in windows do to every value by itself: in compiled loops on processors, in plain torch elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

ROW = 1024  # values that are taken at once
FEW = 1 << 16  # below so many values a loop does not pay for its call


def quantised(z: Tensor, factor: int, threshold: Tensor, initial: Tensor, most: int, smallest: int = 1) -> Tensor:
    """Return clip(floor(z factor / threshold + initial), 0, most), and 0 for levels below the smallest."""

    def plain(z: Tensor) -> Tensor:
        level = (z * factor / threshold + initial).floor_().clamp_(0, most)
        return level if smallest <= 1 else torch.threshold_(level, smallest - 0.5, 0.0)

    if z.numel() < FEW:
        return plain(z)
    z = dense(z)
    inner = apart(z, threshold)
    loops = loops_for(z)
    if loops is None or inner is None or initial.numel() not in {1, threshold.numel()}:
        return plain(z)
    given = repeated(threshold, initial, inner == 1)

    def write(flat: Tensor, out: Tensor) -> None:
        loops.in_pieces(loops.quantised, (flat.numpy(), factor, *given, most, smallest, inner, out.numpy()), flat.numel(), 1)

    return as_laid_out(z, write)


@lru_cache(maxsize=1024)
def repeated(threshold: Tensor, initial: Tensor, rows: bool) -> tuple[Any, Any]:
    """Return both as arrays of as many entries; in `rows` so often that many values in a row meet as many entries."""
    times = -(-ROW // threshold.numel()) if rows else 1
    return np.tile(threshold.flatten().numpy(), times), np.tile(initial.flatten().expand(threshold.numel()).numpy(), times)


def apart(values: Tensor, entries: Tensor) -> int | None:
    """Return how far apart in memory values are that meet neighbouring entries; None if these differ along several axes."""
    axes = [axis - entries.ndim for axis, size in enumerate(entries.shape) if size > 1]
    if not axes:
        return max(1, values.numel())
    same = len(axes) == 1 and values.ndim >= entries.ndim and values.shape[axes[0]] == entries.numel()
    return values.stride(axes[0]) if same else None


def arrived(message: Tensor, value: Tensor, left: Tensor) -> Tensor:
    """Return [times, ...] the values whose messages are at least `left` [times], 0 in place of the others."""
    loops = loops_for(message)
    alike = message.stride() == value.stride() and torch.ops.aten.is_non_overlapping_and_dense(message)
    if loops is None or not alike:
        return torch.where(message >= left.reshape(-1, *[1] * message.ndim), value, 0.0)

    def write(flat: Tensor, out: Tensor) -> None:
        given = flat.numpy(), in_a_row(value).numpy(), left.numpy(), out.numpy()
        loops.in_pieces(loops.arrived, given, flat.numel(), len(left))

    return as_laid_out(message, write, len(left))


def reached(values: Tensor, bounds: Tensor) -> Tensor:
    """Return how many of the ascending bounds each value is at least equal to."""
    return applied("reached", values, lambda flat: torch.bucketize(flat, bounds, right=True), bounds)


def fired(potential: Tensor, thresholds: Tensor, resets: Tensor) -> Tensor:
    """Return the number whose binary digits, the first slot the highest, say in which slots a potential reaches its threshold.

    Where it does it is lowered by the reset of the slot.
    """

    def plain(left: Tensor) -> Tensor:
        message = torch.zeros_like(left)
        for threshold, reset in zip(thresholds, resets, strict=True):
            fires = torch.ge(left, threshold, out=torch.empty_like(left))
            left = torch.addcmul(left, fires, reset, value=-1)
            message.mul_(2).add_(fires)
        return message

    return applied("fired", potential, plain, thresholds, resets)


def looked_up(table: Tensor, places: Tensor) -> Tensor:
    """Return what a table has at places that are whole numbers."""
    return applied("looked_up", places, lambda flat: table[flat.int()], table)


def ones(numbers: Tensor, drop: int = 0, *, signed: bool = False) -> Tensor:
    """Return how many binary digits of whole numbers from 0 to 2^29, less the `drop` last ones, are 1.

    Of `signed` ones, how many digits of their non-adjacent form are not 0: those of (q xor 3q) / 2.
    """

    def plain(flat: Tensor) -> Tensor:  # adds neighbouring groups of digits
        whole = flat.int()
        whole = ((whole ^ 3 * whole) >> 1 if signed else whole) >> drop
        pairs = whole - ((whole >> 1) & 0x55555555)
        fours = (pairs & 0x33333333) + ((pairs >> 2) & 0x33333333)
        eights = (fours + (fours >> 4)) & 0x0F0F0F0F
        sixteens = eights + (eights >> 8)
        return (sixteens + (sixteens >> 16)) & 0x3F

    return applied("ones", numbers, plain, signed, drop)


def applied(name: str, values: Tensor, plain: Callable[[Tensor], Tensor], *given: Any) -> Tensor:
    """Return what the loop of a name, or plain torch, makes of every value, in the layout of the values in memory."""
    loops = loops_for(values)

    def write(flat: Tensor, out: Tensor) -> None:
        if loops is None:
            out.copy_(plain(flat))
            return
        tables = [one.detach().to(flat.dtype).numpy() if isinstance(one, Tensor) else one for one in given]
        loops.in_pieces(getattr(loops, name), (flat.numpy(), *tables, out.numpy()), flat.numel(), 1)

    return as_laid_out(values, write)


def as_laid_out(values: Tensor, write: Callable[[Tensor, Tensor], object], times: int | None = None) -> Tensor:
    """Return what `write` puts into its second argument for its first, all values in a row, in their layout in memory.

    With `times` it puts so many rows there, which are returned as [times, ...].
    """
    values = dense(values)
    if times is None:
        result = torch.empty_like(values)
        write(in_a_row(values), in_a_row(result))
        return result
    rows = values.new_empty((times, values.numel()))
    write(in_a_row(values), rows)
    return rows.as_strided((times, *values.shape), (values.numel(), *values.stride()))


def dense(values: Tensor) -> Tensor:
    """Return values that lie in memory without gaps."""
    return values if torch.ops.aten.is_non_overlapping_and_dense(values) else values.contiguous()


def in_a_row(values: Tensor) -> Tensor:
    """Return dense values in the order of their memory."""
    return values.as_strided((values.numel(),), (1,))


def loops_for(values: Tensor) -> ModuleType | None:
    """Return the compiled loops, if they are there and take such values."""
    return compiled_loops() if values.device.type == "cpu" and values.dtype in {torch.float32, torch.float64} else None


@cache
def compiled_loops() -> ModuleType | None:
    """Return the compiled loops; None where their compiler is not installed."""
    try:
        from transpike.neurons import pointwise_loops  # numba takes a while to load
    except ImportError:
        return None
    return pointwise_loops
