"""What codes in windows do to every value by itself, compiled by numba: see `pointwise`, whose bits these give."""

from __future__ import annotations

from typing import Any

import numpy as np

from transpike.compiled import Floats, compiled, in_pieces

__all__ = ["fired", "in_pieces", "looked_up", "ones", "reached"]

BLOCK = 2048  # values that stay in the fastest cache through all slots


@compiled
def reached(values: Floats, bounds: Floats, count: Floats, begin: int, end: int) -> None:
    """Count the bounds that each value reaches."""
    one, zero = values.dtype.type(1), values.dtype.type(0)
    for first in range(begin, end, BLOCK):
        last = min(first + BLOCK, end)
        v, c = values[first:last], count[first:last]
        c[:] = zero
        for bound in bounds:
            for i in range(v.shape[0]):
                c[i] += one if v[i] >= bound else zero


@compiled
def fire(left: Floats, message: Floats, threshold: Any, reset: Any) -> None:
    """Let potentials fire in one slot; by itself, so that several are taken at once."""
    one, zero = left.dtype.type(1), left.dtype.type(0)
    for i in range(left.shape[0]):
        fires = left[i] >= threshold
        left[i] -= reset if fires else zero
        message[i] += message[i] + (one if fires else zero)


@compiled
def fired(potential: Floats, thresholds: Floats, resets: Floats, message: Floats, begin: int, end: int) -> None:
    """Fire slot by slot, and write the spikes as the binary digits of a number."""
    zero = potential.dtype.type(0)
    left = np.empty(min(BLOCK, end - begin), potential.dtype)
    for first in range(begin, end, BLOCK):
        last = min(first + BLOCK, end)
        m, v = message[first:last], left[: last - first]
        v[:] = potential[first:last]
        m[:] = zero
        for k in range(thresholds.shape[0]):
            fire(v, m, thresholds[k], resets[k])


@compiled
def looked_up(places: Floats, table: Floats, values: Floats, begin: int, end: int) -> None:
    """Read a table at each place."""
    for i in range(begin, end):
        values[i] = table[np.int32(places[i])]


@compiled
def ones(numbers: Floats, signed: bool, drop: int, count: Floats, begin: int, end: int) -> None:
    """Count the binary digits, or those of the non-adjacent form, of whole numbers, less the `drop` last ones."""
    for i in range(begin, end):
        whole = np.int32(numbers[i])
        if signed:
            whole = (whole ^ (whole + whole + whole)) >> 1
        whole >>= drop
        whole -= (whole >> 1) & 0x55555555
        whole = (whole & 0x33333333) + ((whole >> 2) & 0x33333333)
        whole = (whole + (whole >> 4)) & 0x0F0F0F0F
        whole += whole >> 8
        count[i] = (whole + (whole >> 16)) & 0x3F
