"""Difference neurons on CPUs, compiled by numba: as they read streams, and as they read what streams stand for."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from transpike.compiled import Floats, array, bits_of, compiled, float_of, in_pieces
from transpike.neurons.differential import FORMATS, SLACK, DifferenceNeuron
from transpike.simulation.scan.compiled import BLOCK


@compiled
def shortened(size: Any, digit: Any, coarse: Any, limit: Any, nearest: Any) -> Any:
    """Return a number with `digit` as the last bit of its mantissa: `coarse` for what comes to `limit` or more.

    Rounded to the nearest such number if `nearest` is 1, down if it is 0. All are given as bits but the number.
    """
    bits = bits_of(size)
    fine = (bits + nearest * (digit >> 1)) & -digit
    rough = (bits + nearest * (coarse >> 1)) & -coarse
    return float_of(fine if bits < limit else rough, size)


@compiled
def spike(v: Any, before: Any, height: Any, sizes: Any, limit: Any, least: Any, most: Any) -> Any:
    """Return what a neuron with potential v sends that has sent `before`; `sizes` as `sizes_of` says."""
    digit, coarse, more, signed = sizes
    zero = height - height
    size = shortened(abs(v / height), digit, coarse, limit, 1)
    if not signed:
        allowed = shortened(max(zero, before / height * more), digit, coarse, limit, 0)
        held = min(allowed, size)
        size = size if v > zero else held
    size = min(most, size)
    size = (size if size >= least else zero) * height
    return size if v > zero else -size


@compiled
def differ(
    v: Floats, c: Floats, n: Floats, x: Floats, sent: Floats, height: Floats, by: Any, over: Any, sizes: Any, step: Any
) -> None:
    """Step neurons that read streams: their potentials, sums and counts; `by` and `over` scale to this step from the last."""
    limit, least, most = step
    one, zero = n.dtype.type(1), n.dtype.type(0)
    for i in range(v.shape[0]):
        m = v[i] * by / over + x[i]
        total = c[i] * by / over
        s = spike(m, total, height[i], sizes, limit, least, most)
        v[i] = m - s
        c[i] = total + s
        n[i] += one if s != zero else zero
        sent[i] = s


@compiled
def follow(r: Floats, n: Floats, x: Floats, sent: Floats, height: Floats, t: Any, share: Any, sizes: Any, step: Any) -> None:
    """Step neurons that are given what their inputs stand for, and give the same; r is what they gave before."""
    limit, least, most = step
    one, zero = n.dtype.type(1), n.dtype.type(0)
    for i in range(r.shape[0]):
        before = r[i]
        s = spike((x[i] - before) * t, before * t, height[i], sizes, limit, least, most)
        n[i] += one if s != zero else zero
        sent[i] = before + s * share


@compiled
def owe(v: Floats, r: Floats, x: Floats, height: Floats, t: Any, sizes: Any, step: Any) -> None:
    """Write what is left in the potentials after such a step."""
    limit, least, most = step
    for i in range(r.shape[0]):
        m = (x[i] - r[i]) * t
        v[i] = m - spike(m, r[i] * t, height[i], sizes, limit, least, most)


@compiled
def differences(
    current: Floats,
    threshold: Floats,
    potential: Floats,
    total: Floats,
    count: Floats,
    sent: Floats,
    sizes: Any,
    each: Any,
    steps: int,
    begin: int,
    end: int,
) -> None:
    """Step the difference neurons `begin` to `end`, after so many steps."""
    kind = potential.dtype.type
    limits, least, most = each
    size = threshold.shape[0]
    first = begin
    while first < end:
        low = first % size
        high = min(low + BLOCK, size, low + end - first)
        last = first + high - low
        v, c, n, height = potential[first:last], total[first:last], count[first:last], threshold[low:high]
        if steps == 0:
            c[:] = kind(0)
            n[:] = kind(0)
        for t in range(sent.shape[0]):
            x, s = current[t if current.shape[0] > 1 else 0, first:last], sent[t, first:last]
            by, over = kind(steps + t + 1), kind(max(1, steps + t))  # 1 / 1 at the first step
            differ(v, c, n, x, s, height, by, over, sizes, (limits[t], least[t], most[t]))
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
    each: Any,
    steps: int,
    begin: int,
    end: int,
) -> None:
    """Do the same for neurons that are given what their inputs stand for; `sent` is what their spikes stand for so far.

    Their potentials follow from these, and are written if there is room for them.
    """
    kind = rate.dtype.type
    limits, least, most = each
    size, steps_now = threshold.shape[0], sent.shape[0]
    first = begin
    while first < end:
        low = first % size
        high = min(low + BLOCK, size, low + end - first)
        last = first + high - low
        n, height, r = count[first:last], threshold[low:high], rate[first:last]
        if steps == 0:
            r[:] = kind(0)
            n[:] = kind(0)
        for t in range(steps_now):
            x, s = value[t if value.shape[0] > 1 else 0, first:last], sent[t, first:last]
            before, after, step = sent[t - 1, first:last] if t else r, steps + t + 1, (limits[t], least[t], most[t])
            follow(before, n, x, s, height, kind(after), kind(1.0 / after), sizes, step)
            if t == steps_now - 1 and potential.shape[0] > 0:
                owe(potential[first:last], before, x, height, kind(after), sizes, step)
        r[:] = sent[steps_now - 1, first:last]
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
    in_pieces(loop, (*given, *sizes_of(op, sent.dtype, steps, len(sent)), steps), len(total), len(sent))


@lru_cache(maxsize=1024)
def sizes_of(op: DifferenceNeuron, dtype: torch.dtype, steps: int, more: int) -> tuple[Any, Any]:
    """Return what loops need to know of the sizes: of all steps, and of each of the next ones.

    The last bit of a fine size's mantissa, and that of a coarse one; the slack; and whether all signs are free. For each
    step, from where on sizes are coarse, as bits, and the smallest and the largest size.
    """
    whole, digits = FORMATS[dtype]
    kinds = torch.zeros(1, dtype=dtype).numpy().dtype.type, torch.zeros(1, dtype=whole).numpy().dtype.type
    always = (kinds[1](1 << (digits - op.mantissa)), kinds[1](1 << digits), kinds[0](1 + SLACK), op.signed)
    scales = torch.tensor([op.scale(steps + t + 1) for t in range(more)], dtype=dtype)
    each = (scales.view(whole), scales * 2.0 ** (1 - op.levels), scales.clamp(min=1))
    return always, tuple(map(array, each))
