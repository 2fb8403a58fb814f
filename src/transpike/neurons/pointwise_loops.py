"""What codes in windows do to every value by itself, compiled by numba: see `pointwise`, whose bits these give."""

from __future__ import annotations

from typing import Any

import numpy as np

from transpike.compiled import Floats, compiled, in_pieces, ones_of

__all__ = ["arrived", "fired", "in_pieces", "looked_up", "ones", "quantised", "reached"]

BLOCK = 2048  # values that stay in the fastest cache through all slots


@compiled
def quantise(z: Floats, times: Any, over: Floats, more: Floats, most: Any, least: Any, levels: Floats) -> None:
    """Round values down to levels, each with a threshold of its own, or all with the one that there is."""
    zero = z.dtype.type(0)
    if over.shape[0] == 1:
        limit, start = over[0], more[0]
        for i in range(z.shape[0]):
            level = min(max(np.floor(z[i] * times / limit + start), zero), most)
            levels[i] = level if level >= least else zero
    else:
        for i in range(z.shape[0]):
            level = min(max(np.floor(z[i] * times / over[i] + more[i]), zero), most)
            levels[i] = level if level >= least else zero


@compiled
def quantised(
    z: Floats,
    factor: int,
    threshold: Floats,
    initial: Floats,
    most: int,
    smallest: int,
    inner: int,
    levels: Floats,
    begin: int,
    end: int,
) -> None:
    """Round values down to levels; a threshold is that of `inner` values in a row, and then comes the next one."""
    kind = z.dtype.type
    times, top, least = kind(factor), kind(most), kind(smallest)
    first, each = begin, threshold.shape[0]
    while first < end:
        place = first // inner % each
        last = min(end, first + each - place) if inner == 1 else min(end, first + inner - first % inner)
        of = slice(place, place + (last - first if inner == 1 else 1))
        quantise(z[first:last], times, threshold[of], initial[of], top, least, levels[first:last])
        first = last


@compiled
def show(message: Floats, value: Floats, left: Any, shown: Floats) -> None:
    """Write the values whose messages are at least `left`."""
    zero = value.dtype.type(0)
    for i in range(message.shape[0]):
        shown[i] = value[i] if message[i] >= left else zero


@compiled
def arrived(message: Floats, value: Floats, left: Floats, shown: Floats, begin: int, end: int) -> None:
    """Write them for each time."""
    for first in range(begin, end, BLOCK):
        last = min(first + BLOCK, end)
        for t in range(left.shape[0]):
            show(message[first:last], value[first:last], left[t], shown[t, first:last])


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
        count[i] = ones_of(np.int32(whole >> drop))
