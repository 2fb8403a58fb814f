"""What codes in windows do to every value by itself, compiled by numba: see `pointwise`, whose bits these give."""

from __future__ import annotations

from typing import Any

import numpy as np

from transpike.compiled import Floats, bits_of, compiled, in_pieces
from transpike.neurons.counting_loops import ones, ones_of_samples, reaching

__all__ = [
    "arrived",
    "evenly",
    "fired",
    "in_pieces",
    "looked_up",
    "ones",
    "ones_of_samples",
    "quantised",
    "reached",
    "reaching",
]

BLOCK = 2048  # values that stay in the fastest cache through all slots


@compiled
def run_of(at: int, end: int, entries: int, inner: int) -> tuple[int, int, int]:
    """Return which entries meet the values from `at` on, and where the run ends in which they lie next to each other.

    An entry is that of `inner` values in a row, and then comes the next one; in a run of these there is one entry.
    """
    place = at // inner % entries
    stop = min(end, at + entries - place) if inner == 1 else min(end, at + inner - at % inner)
    return place, place + (stop - at if inner == 1 else 1), stop


@compiled
def divide(z: Floats, over: Floats, result: Floats) -> None:
    """Write z / over, each with an entry of its own, or all with the one that there is."""
    if over.shape[0] == 1:
        scale = over[0]
        for i in range(z.shape[0]):
            result[i] = z[i] / scale
    else:
        for i in range(z.shape[0]):
            result[i] = z[i] / over[i]


@compiled
def multiply(values: Floats, unit: Floats) -> None:
    """Multiply values in place, as `divide` divides."""
    if unit.shape[0] == 1:
        height = unit[0]
        for i in range(values.shape[0]):
            values[i] *= height
    else:
        for i in range(values.shape[0]):
            values[i] *= unit[i]


@compiled
def divided(z: Floats, over: Floats, inner: int, begin: int, end: int, result: Floats) -> None:
    """Divide values by their entries, run by run."""
    at = begin
    while at < end:
        first, last, stop = run_of(at, end, over.shape[0], inner)
        divide(z[at:stop], over[first:last], result[at - begin : stop - begin])
        at = stop


@compiled
def multiplied(values: Floats, unit: Floats, inner: int, begin: int, end: int) -> None:
    """Multiply values in place by their entries, run by run."""
    at = begin
    while at < end:
        first, last, stop = run_of(at, end, unit.shape[0], inner)
        multiply(values[at:stop], unit[first:last])
        at = stop


@compiled
def quantise(
    z: Floats,
    bias: Floats,
    times: Any,
    over: Floats,
    more: Floats,
    unit: Floats,
    most: Any,
    least: Any,
    levels: Floats,
    values: Floats,
) -> None:
    """Round values down to levels, each with a threshold and a unit of its own, or all with the one that there is."""
    zero = z.dtype.type(0)
    if over.shape[0] == 1:
        added, limit, start, worth = bias[0], over[0], more[0], unit[0]
        for i in range(z.shape[0]):
            level = min(max(np.floor((z[i] + added) * times / limit + start), zero), most)
            level = level if level >= least else zero
            levels[i] = level
            values[i] = level * worth
    else:
        for i in range(z.shape[0]):
            level = min(max(np.floor((z[i] + bias[i]) * times / over[i] + more[i]), zero), most)
            level = level if level >= least else zero
            levels[i] = level
            values[i] = level * unit[i]


@compiled
def quantised(
    z: Floats,
    bias: Floats,
    factor: int,
    threshold: Floats,
    initial: Floats,
    unit: Floats,
    most: int,
    smallest: int,
    inner: int,
    levels: Floats,
    values: Floats,
    begin: int,
    end: int,
) -> None:
    """Write levels and values; a threshold is that of `inner` values in a row, and then comes the next one."""
    kind = z.dtype.type
    times, top, least = kind(factor), kind(most), kind(smallest)
    at = begin
    while at < end:
        first, last, stop = run_of(at, end, threshold.shape[0], inner)
        of, run = slice(first, last), slice(at, stop)
        quantise(z[run], bias[of], times, threshold[of], initial[of], unit[of], top, least, levels[run], values[run])
        at = stop


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
def share(message: Floats, unit: Floats, step: Any, steps: Any, shown: Floats) -> None:
    """Write what a read-out makes of spikes that come evenly, after one step."""
    half, alone = message.dtype.type(0.5), unit[0]
    if unit.shape[0] == 1:
        for i in range(message.shape[0]):
            shown[i] = np.floor(message[i] * step / steps + half) * alone / step
    else:
        for i in range(message.shape[0]):
            shown[i] = np.floor(message[i] * step / steps + half) * unit[i] / step


@compiled
def evenly(message: Floats, unit: Floats, inner: int, ends: Floats, steps: int, shown: Floats, begin: int, end: int) -> None:
    """Write it for each step, for runs that stay in the fastest cache."""
    at, window = begin, message.dtype.type(steps)
    while at < end:
        first, last, stop = run_of(at, min(end, at + BLOCK), unit.shape[0], inner)
        for t in range(ends.shape[0]):
            share(message[at:stop], unit[first:last], ends[t], window, shown[t, at:stop])
        at = stop


@compiled
def climb(left: Floats, shift: int, edges: Floats, steps: Floats, counts: Floats, values: Floats) -> None:
    """Find the bin of each value by its highest bits, and compare with the one bound that lies in it.

    `edges` are the least values of the first and of the last bin; `steps` [4, bins] are the bound in each, NaN for none, how
    many lie below it, and what it is worth to reach those, and to reach it too.
    """
    one, zero = left.dtype.type(1), left.dtype.type(0)
    low, high = edges[0], edges[1]
    offset = bits_of(low) >> shift
    bounds, below, lower, upper = steps[0], steps[1], steps[2], steps[3]
    for i in range(left.shape[0]):
        v = left[i]
        inside = min(high, max(low, v))
        place = np.uint32((bits_of(inside) >> shift) - offset)
        over = v >= bounds[place]
        counts[i] = below[place] + (one if over else zero)
        values[i] = upper[place] if over else lower[place]


@compiled
def reached(
    z: Floats,
    over: Floats,
    shift: int,
    edges: Floats,
    steps: Floats,
    unit: Floats,
    inner: int,
    counts: Floats,
    values: Floats,
    begin: int,
    end: int,
) -> None:
    """Count the bounds that each value reaches; write that and what the highest one is worth."""
    left = np.empty(min(BLOCK, end - begin), z.dtype)
    for first in range(begin, end, BLOCK):
        last = min(first + BLOCK, end)
        v = left[: last - first]
        divided(z, over, inner, first, last, v)
        climb(v, shift, edges, steps, counts[first:last], values[first:last])
        multiplied(values, unit, inner, first, last)


@compiled
def fire(left: Floats, message: Floats, value: Floats, threshold: Any, reset: Any, height: Any) -> None:
    """Let potentials fire in one slot; by itself, so that several are taken at once."""
    one, zero = left.dtype.type(1), left.dtype.type(0)
    for i in range(left.shape[0]):
        fires = left[i] >= threshold
        left[i] -= reset if fires else zero
        message[i] += message[i] + (one if fires else zero)
        value[i] += height if fires else zero


@compiled
def fire_four(left: Floats, message: Floats, value: Floats, threshold: Floats, reset: Floats, height: Floats) -> None:
    """Let potentials fire in four slots, so that what changes stays in registers."""
    one, zero = left.dtype.type(1), left.dtype.type(0)
    t0, t1, t2, t3 = threshold[0], threshold[1], threshold[2], threshold[3]
    r0, r1, r2, r3 = reset[0], reset[1], reset[2], reset[3]
    h0, h1, h2, h3 = height[0], height[1], height[2], height[3]
    for i in range(left.shape[0]):
        v, m, y = left[i], message[i], value[i]
        fires = v >= t0
        v, m, y = v - (r0 if fires else zero), m + m + (one if fires else zero), y + (h0 if fires else zero)
        fires = v >= t1
        v, m, y = v - (r1 if fires else zero), m + m + (one if fires else zero), y + (h1 if fires else zero)
        fires = v >= t2
        v, m, y = v - (r2 if fires else zero), m + m + (one if fires else zero), y + (h2 if fires else zero)
        fires = v >= t3
        v, m, y = v - (r3 if fires else zero), m + m + (one if fires else zero), y + (h3 if fires else zero)
        left[i], message[i], value[i] = v, m, y


@compiled
def fired(
    z: Floats,
    over: Floats,
    thresholds: Floats,
    resets: Floats,
    heights: Floats,
    unit: Floats,
    inner: int,
    messages: Floats,
    values: Floats,
    begin: int,
    end: int,
) -> None:
    """Fire slot by slot; write the spikes as the binary digits of a number, and the sum of their heights."""
    zero = z.dtype.type(0)
    left = np.empty(min(BLOCK, end - begin), z.dtype)
    fours = thresholds.shape[0] // 4 * 4
    for first in range(begin, end, BLOCK):
        last = min(first + BLOCK, end)
        m, value, v = messages[first:last], values[first:last], left[: last - first]
        divided(z, over, inner, first, last, v)
        m[:] = zero
        value[:] = zero
        for k in range(0, fours, 4):
            fire_four(v, m, value, thresholds[k : k + 4], resets[k : k + 4], heights[k : k + 4])
        for k in range(fours, thresholds.shape[0]):
            fire(v, m, value, thresholds[k], resets[k], heights[k])
        multiplied(values, unit, inner, first, last)


@compiled
def looked_up(places: Floats, table: Floats, values: Floats, begin: int, end: int) -> None:
    """Read a table at each place."""
    for i in range(begin, end):
        values[i] = table[np.uint32(np.int32(places[i]))]  # no place counts from the end: faster
