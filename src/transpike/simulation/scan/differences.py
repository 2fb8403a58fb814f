"""Difference neurons on CPUs, compiled by numba: as they read streams, and as they read what streams stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from transpike.compiled import Floats, array, compiled, in_pieces
from transpike.neurons.differential import FORMATS, SLACK, DifferenceNeuron
from transpike.simulation.scan.compiled import BLOCK


@compiled
def scale(values: Floats, by: Any, over: Any) -> None:
    """Multiply and then divide all values."""
    for i in range(values.shape[0]):
        values[i] = values[i] * by / over


@compiled
def receive(v: Floats, x: Floats, height: Floats, size: Floats, by: Any, over: Any) -> None:
    """Scale the potentials, add the current of a step, and write how many thresholds they are worth."""
    for i in range(v.shape[0]):
        m = v[i] * by / over + x[i]
        v[i] = m
        size[i] = abs(m / height[i])


@compiled
def owe(v: Floats, x: Floats, rate: Floats, height: Floats, size: Floats, step: Any) -> None:
    """Write what the neurons still owe after what they have sent, and how many thresholds that is worth."""
    for i in range(v.shape[0]):
        m = (x[i] - rate[i]) * step
        v[i] = m
        size[i] = abs(m / height[i])


@compiled
def allow(allowed: Floats, total: Floats, times: Any, height: Floats, more: Any) -> None:
    """Write how many thresholds neurons have sent before, and a little more."""
    for i in range(total.shape[0]):
        share = total[i] * times / height[i] * more
        allowed[i] = share if share > 0 else share * 0


@compiled
def shorten(bits: npt.NDArray[Any], digit: Any, coarse: Any, limit: Any, nearest: Any) -> None:
    """Round numbers, given as their bits, so that the bit `digit` is the last of their mantissas: `coarse` from `limit` on.

    To the nearest such number if `nearest` is 1, down if it is 0.
    """
    one = bits.dtype.type(1)
    half, mask = nearest * (digit >> one), -digit
    coarse_half, coarse_mask = nearest * (coarse >> one), -coarse
    for i in range(bits.shape[0]):
        fine = (bits[i] + half) & mask
        bits[i] = fine if bits[i] < limit else (bits[i] + coarse_half) & coarse_mask


@compiled
def hold(size: Floats, bits: Any, v: Floats, allowed: Floats, digit: Any, coarse: Any, limit: Any) -> None:
    """Let neurons below 0 send at most the largest size that is allowed; `bits` are those of `size`."""
    shorten(allowed.view(bits.dtype), digit, coarse, limit, bits.dtype.type(0))
    for i in range(v.shape[0]):
        least = min(allowed[i], size[i])
        size[i] = size[i] if v[i] > 0 else least


@compiled
def level(v: Floats, size: Floats, height: Floats, least: Any, most: Any) -> None:
    """Write what is sent in place of the rounded sizes, and take it from the potentials."""
    zero = v.dtype.type(0)
    for i in range(v.shape[0]):
        found = min(most, size[i])
        found = (found if found >= least else zero) * height[i]
        found = found if v[i] > zero else -found
        size[i] = found
        v[i] -= found


@compiled
def add_scaled(total: Floats, sent: Floats, by: Any, over: Any) -> None:
    """Scale the sum of what was sent, and add a step."""
    for i in range(total.shape[0]):
        total[i] = total[i] * by / over + sent[i]


@compiled
def note(count: Floats, sent: Floats) -> None:
    """Count the spikes of a step."""
    one, zero = count.dtype.type(1), count.dtype.type(0)
    for i in range(count.shape[0]):
        count[i] += one if sent[i] != zero else zero


@compiled
def stand_for(rate: Floats, sent: Floats, share: Any) -> None:
    """Add what was sent to what that stands for, and write this in its place."""
    for i in range(rate.shape[0]):
        rate[i] += sent[i] * share
        sent[i] = rate[i]


@compiled
def differences(
    current: Floats,
    threshold: Floats,
    potential: Floats,
    total: Floats,
    count: Floats,
    sent: Floats,
    sizes: Any,
    slack: float,
    signed_output: bool,
    steps: int,
    begin: int,
    end: int,
) -> None:
    """Step the difference neurons `begin` to `end`, after so many steps; `sizes` as `sizes_of` says."""
    kind = potential.dtype.type
    bits, digit, coarse, limits, least, most = sizes
    more, one, nearest = kind(slack), kind(1), bits.dtype.type(1)
    size = threshold.shape[0]
    allowed = np.empty(BLOCK, potential.dtype)
    first = begin
    while first < end:
        low = first % size
        high = min(low + BLOCK, size, low + end - first)
        last = first + high - low
        v, c, n = potential[first:last], total[first:last], count[first:last]
        height, may = threshold[low:high], allowed[: high - low]
        for t in range(sent.shape[0]):
            x, s, b = current[t if current.shape[0] > 1 else 0, first:last], sent[t, first:last], bits[t, first:last]
            by, over = kind(steps + t + 1), kind(max(1, steps + t))  # 1 / 1 at the first step
            receive(v, x, height, s, by, over)
            shorten(b, digit, coarse, limits[t], nearest)
            if not signed_output:
                scale(c, by, over)
                allow(may, c, one, height, more)
                hold(s, b, v, may, digit, coarse, limits[t])
                by, over = one, one
            level(v, s, height, least[t], most[t])
            add_scaled(c, s, by, over)
            note(n, s)
        first = last


@compiled
def followers(
    value: Floats,
    threshold: Floats,
    potential: Floats,
    rate: Floats,
    count: Floats,
    sent: Floats,
    sizes: Any,
    slack: float,
    signed_output: bool,
    steps: int,
    begin: int,
    end: int,
) -> None:
    """Do the same for neurons that are given what their inputs stand for; `sent` is what their spikes stand for so far."""
    kind = potential.dtype.type
    bits, digit, coarse, limits, least, most = sizes
    more, nearest = kind(slack), bits.dtype.type(1)
    size = threshold.shape[0]
    allowed = np.empty(BLOCK, potential.dtype)
    first = begin
    while first < end:
        low = first % size
        high = min(low + BLOCK, size, low + end - first)
        last = first + high - low
        v, r, n = potential[first:last], rate[first:last], count[first:last]
        height, may = threshold[low:high], allowed[: high - low]
        for t in range(sent.shape[0]):
            x, s, b = value[t if value.shape[0] > 1 else 0, first:last], sent[t, first:last], bits[t, first:last]
            step = kind(steps + t + 1)
            owe(v, x, r, height, s, step)
            shorten(b, digit, coarse, limits[t], nearest)
            if not signed_output:
                allow(may, r, step, height, more)
                hold(s, b, v, may, digit, coarse, limits[t])
            level(v, s, height, least[t], most[t])
            note(n, s)
            stand_for(r, s, kind(1.0 / (steps + t + 1)))
        first = last


def scan_differences(
    current: Tensor,
    threshold: Tensor,
    potential: Tensor,
    total: Tensor,
    count: Tensor,
    sent: Tensor,
    op: DifferenceNeuron,
    steps: int,
) -> None:
    """Step difference neurons in compiled loops, as `DifferenceNeuron.step` does; `steps` are those before."""
    scanned(differences, current, threshold, potential, total, count, sent, op, steps)


def scan_followers(
    value: Tensor,
    threshold: Tensor,
    potential: Tensor,
    rate: Tensor,
    count: Tensor,
    sent: Tensor,
    op: DifferenceNeuron,
    steps: int,
) -> None:
    """Step neurons that read and give values in compiled loops, as `Follower.step` does."""
    scanned(followers, value, threshold, potential, rate, count, sent, op, steps)


def scanned(
    loop: Callable[..., None],
    current: Tensor,
    threshold: Tensor,
    potential: Tensor,
    total: Tensor,
    count: Tensor,
    sent: Tensor,
    op: DifferenceNeuron,
    steps: int,
) -> None:
    """Run compiled loops over all neurons."""
    given = [array(part) for part in (current, threshold, potential, total, count, sent)]
    in_pieces(loop, (*given, sizes_of(op, sent, steps), 1 + SLACK, op.signed, steps), len(potential), len(sent))


def sizes_of(op: DifferenceNeuron, sent: Tensor, steps: int) -> tuple[Any, ...]:
    """Return what loops need to know of the sizes of the next steps.

    The memory of what is sent, as whole numbers; the last bit of a fine size's mantissa, and that of a coarse one; and, for
    each step, from where on sizes are coarse, also as a whole number, and the smallest and the largest size.
    """
    whole, digits = FORMATS[sent.dtype]
    bits = sent.view(whole).numpy()
    digit, coarse = (bits.dtype.type(1 << place) for place in (digits - op.mantissa, digits))
    scales = torch.tensor([op.scale(steps + t + 1) for t in range(len(sent))], dtype=sent.dtype)
    each = (scales.view(whole), scales * 2.0 ** (1 - op.levels), scales.clamp(min=1))
    return (bits, digit, coarse, *map(array, each))
