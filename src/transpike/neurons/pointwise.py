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
MOST_BINS = 4096
FEW = 1 << 16  # below so many values a loop does not pay for its call


def quantised(
    z: Tensor,
    factor: int,
    threshold: Tensor,
    initial: Tensor,
    most: int,
    unit: Tensor,
    smallest: int = 1,
    bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the level clip(floor((z + bias) factor / threshold + initial), 0, most), and level * unit.

    Levels below the smallest are 0.
    """

    def plain(z: Tensor) -> tuple[Tensor, Tensor]:
        z = z if bias is None else z + bias
        level = (z * factor / threshold + initial).floor_().clamp_(0, most)
        level = level if smallest <= 1 else torch.threshold_(level, smallest - 0.5, 0.0)
        return level, level * unit

    if z.numel() < FEW:
        return plain(z)
    added = nothing(z.dtype) if bias is None else bias
    z = dense(z)
    inner = apart(z, threshold)
    loops = loops_for(z)
    if loops is None or inner is None or not {initial.numel(), unit.numel(), added.numel()} <= {1, threshold.numel()}:
        return plain(z)
    times = repetitions(threshold, inner)
    tables = threshold, initial, added, unit
    limits, starts, biases, units = (in_turns(each, threshold.numel(), times) for each in tables)

    def write(flat: Tensor, levels: Tensor, values: Tensor) -> None:
        arrays = flat.numpy(), biases, factor, limits, starts, units, most, smallest, inner, levels.numpy(), values.numpy()
        loops.in_pieces(loops.quantised, arrays, flat.numel(), 1)

    return both_laid_out(z, write)


@cache
def nothing(dtype: torch.dtype) -> Tensor:
    """Return the bias of neurons that have none."""
    return torch.zeros(1, dtype=dtype)


def repetitions(entries: Tensor, inner: int) -> int:
    """Return how often entries are repeated, so that many values in a row meet as many of them."""
    return -(-ROW // entries.numel()) if inner == 1 else 1


@lru_cache(maxsize=4096)
def in_turns(each: Tensor, entries: int, times: int) -> Any:
    """Return an array of so many entries, or of one so often, as many times in a row."""
    return each.detach().flatten().expand(entries).repeat(times).numpy()


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


def evenly(message: Tensor, unit: Tensor, steps: range, time_steps: int) -> Tensor:
    """Return floor(message t / time_steps + 1/2) unit / t for each t of some steps [steps, ...]."""
    message = dense(message)
    inner = apart(message, unit)
    loops = loops_for(message)
    ends = torch.tensor(list(steps), dtype=message.dtype, device=message.device)
    if loops is None or inner is None:
        t = ends.reshape(-1, *[1] * message.ndim)
        return torch.mul(message, t).div_(time_steps).add_(0.5).floor_().mul_(unit).div_(t)
    units = in_turns(unit, unit.numel(), repetitions(unit, inner))

    def write(flat: Tensor, out: Tensor) -> None:
        arrays = flat.numpy(), units, inner, ends.numpy(), time_steps, out.numpy()
        loops.in_pieces(loops.evenly, arrays, flat.numel(), len(ends))

    return as_laid_out(message, write, len(ends))


def reached(z: Tensor, scale: Tensor, bounds: Tensor, worths: Tensor, unit: Tensor) -> tuple[Tensor, Tensor]:
    """Return how many of the bounds, 0 < b1 < b2 ..., z / scale is at least equal to, and worth * unit of the last, else 0."""

    def plain(left: Tensor) -> tuple[Tensor, Tensor]:
        count = torch.bucketize(left.nan_to_num(0.0, torch.inf, -torch.inf).contiguous(), bounds, right=True)
        return count.to(left.dtype), torch.cat([worths.new_zeros(1), worths])[count]

    found = bins(bounds, worths, z.dtype) if loops_for(z) else None
    return answered("reached" if found else None, z, scale, unit, plain, *(found or ()))


@lru_cache(maxsize=64)
def bins(bounds: Tensor, worths: Tensor, dtype: torch.dtype) -> tuple[int, Any, Any] | None:
    """Return what `climb` needs to find the one bound to compare with: bits that a bin leaves open, edges, and steps.

    Floats above 0 are in order of their bits, so that the highest bits say between which bounds a value lies, but for one.
    None if bounds lie so close to each other, and others so far away, that there would be too many bins.
    """
    kind, whole = (np.float32, np.int32) if dtype == torch.float32 else (np.float64, np.int64)
    ascending = bounds.numpy().astype(kind)
    every: Any = ascending.view(whole)
    shift = next(shift for shift in range(np.finfo(kind).nmant, -1, -1) if (np.diff(every >> shift) > 0).all())
    held = every >> shift
    if held[-1] - held[0] > MOST_BINS:
        return None
    numbers = np.arange(held[0] - 1, held[-1] + 2, dtype=whole)
    below = np.searchsorted(held, numbers)
    some = below < np.searchsorted(held, numbers, side="right")
    earned = np.concatenate([[0], worths.numpy().astype(kind), [0]])
    steps = [np.where(some, np.append(ascending, np.nan)[below], np.nan), below, earned[below], earned[below + 1]]
    return shift, (numbers[[0, -1]] << shift).view(kind), np.stack(steps).astype(kind)


def fired(z: Tensor, scale: Tensor, thresholds: Tensor, resets: Tensor, heights: Tensor, unit: Tensor) -> tuple[Tensor, Tensor]:
    """Return the number whose binary digits, the first slot the highest, say in which slots z / scale reaches its threshold.

    Where it does it is lowered by the reset of the slot. And the sum of the heights of these slots, times the unit.
    """

    def plain(left: Tensor) -> tuple[Tensor, Tensor]:
        message, value = torch.zeros_like(left), torch.zeros_like(left)
        for threshold, reset, height in zip(thresholds, resets, heights, strict=True):
            fires = torch.ge(left, threshold, out=torch.empty_like(left))
            left = torch.addcmul(left, fires, reset, value=-1)
            message.mul_(2).add_(fires)
            value.addcmul_(fires, height)
        return message, value

    return answered("fired", z, scale, unit, plain, thresholds, resets, heights)


def answered(
    name: str | None, z: Tensor, scale: Tensor, unit: Tensor, plain: Callable[[Tensor], tuple[Tensor, Tensor]], *tables: Any
) -> tuple[Tensor, Tensor]:
    """Return message and value of z / scale as the loop of a name, if any, makes them, or plain torch; the value in units."""
    z = dense(z)
    inner = apart(z, scale)
    loops = loops_for(z)
    if loops is None or name is None or inner is None or unit.numel() not in {1, scale.numel()}:
        message, value = plain(z / scale)
        return message, value * unit
    given = [each.detach().to(z.dtype).numpy() if isinstance(each, Tensor) else each for each in tables]
    times = repetitions(scale, inner)
    scales, units = (in_turns(each, scale.numel(), times) for each in (scale, unit))

    def write(flat: Tensor, messages: Tensor, values: Tensor) -> None:
        arrays = flat.numpy(), scales, *given, units, inner, messages.numpy(), values.numpy()
        loops.in_pieces(getattr(loops, name), arrays, flat.numel(), 1)

    return both_laid_out(z, write)


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


def ones_of_samples(numbers: Tensor, drop: int = 0, *, signed: bool = False) -> Tensor:
    """Return the sum of `ones` over each sample [batch]."""
    found = of_samples("ones_of_samples", numbers, signed, drop)
    return in_samples(ones(numbers, drop, signed=signed)).long() if found is None else found


def reaching(values: Tensor, least: float) -> Tensor:
    """Return how many values of each sample [batch, ...] are at least so large [batch]."""
    found = of_samples("reaching", values, float(least))
    return in_samples(values >= least) if found is None else found


def in_samples(values: Tensor) -> Tensor:
    """Return the sum of the values of each sample [batch], however they lie in memory."""
    return values.sum(tuple(range(1, values.ndim))) if values.ndim > 1 else values


def of_samples(name: str, values: Tensor, *given: Any) -> Tensor | None:
    """Return the whole numbers [batch] that the loop of a name makes of the values of each sample; None if no loop can."""
    loops = loops_for(values)
    size = values[0].numel() if len(values) else 0
    if loops is None or not size or values.stride(0) < size or not torch.ops.aten.is_non_overlapping_and_dense(values):
        return None
    sums = torch.empty(len(values), dtype=torch.int64)
    loops.in_pieces(getattr(loops, name), (in_a_row(values).numpy(), *given, size, sums.numpy()), len(values), size)
    return sums


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


def both_laid_out(values: Tensor, write: Callable[[Tensor, Tensor, Tensor], object]) -> tuple[Tensor, Tensor]:
    """Return what `write` puts into its other arguments for its first; two tensors, since the first is kept for longer."""
    values = dense(values)
    results = torch.empty_like(values), torch.empty_like(values)
    write(in_a_row(values), *map(in_a_row, results))
    return results


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
