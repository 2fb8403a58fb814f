"""What codes in windows do to every value by itself: in compiled loops on processors, in plain torch elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor


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
    loops = compiled_loops() if values.device.type == "cpu" and values.dtype in {torch.float32, torch.float64} else None

    def write(flat: Tensor, out: Tensor) -> None:
        if loops is None:
            out.copy_(plain(flat))
            return
        tables = [one.detach().to(flat.dtype).numpy() if isinstance(one, Tensor) else one for one in given]
        loops.in_pieces(getattr(loops, name), (flat.numpy(), *tables, out.numpy()), flat.numel(), 1)

    return as_laid_out(values, write)


def as_laid_out(values: Tensor, write: Callable[[Tensor, Tensor], object]) -> Tensor:
    """Return what `write` puts into its second argument for its first, all values in a row, in their layout in memory."""
    values = values if torch.ops.aten.is_non_overlapping_and_dense(values) else values.contiguous()
    result = torch.empty_like(values)
    write(*(one.as_strided((one.numel(),), (1,)) for one in (values, result)))
    return result


@cache
def compiled_loops() -> ModuleType | None:
    """Return the compiled loops; None where their compiler is not installed."""
    try:
        from transpike.neurons import pointwise_loops  # numba takes a while to load
    except ImportError:
        return None
    return pointwise_loops
