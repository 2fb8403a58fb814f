"""The scan on CPUs, compiled by numba: time inside blocks of neurons that stay in the fastest cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy.typing as npt
from torch import Tensor

from transpike.compiled import Floats, array, compiled, in_pieces

BLOCK = 2048  # neurons: their potentials, counts, thresholds and currents of one step take 32 KB in float32


@compiled
def charge(v: Floats, x: Floats, bias: Floats) -> None:
    """Add the current and then the bias of a step."""
    for i in range(v.shape[0]):
        v[i] = (v[i] + x[i]) + bias[i]


@compiled
def gather(total: Floats, sent: Floats) -> None:
    """Add what was sent in a step to the sum of it."""
    for i in range(total.shape[0]):
        total[i] += sent[i]


@compiled
def mark(values: Floats, marks: npt.NDArray[Any], sign: int) -> None:
    """Write `sign` where a value is not 0, and 0 elsewhere."""
    for i in range(values.shape[0]):
        marks[i] = sign if values[i] != 0 else 0


@compiled
def binary(
    current: Floats,
    bias: Floats | None,
    threshold: Floats,
    height: Floats,
    potential: Floats,
    count: Floats,
    accumulated: Floats | None,
    sent: Floats,
    begin: int,
    end: int,
) -> None:
    """Step the neurons `begin` to `end`, whose spikes are positive and single."""
    one, zero = potential.dtype.type(1), potential.dtype.type(0)
    size = threshold.shape[0]
    first = begin
    while first < end:
        low = first % size
        high = min(low + BLOCK, size, low + end - first)
        last = first + high - low
        v, c, limit = potential[first:last], count[first:last], threshold[low:high]
        for t in range(sent.shape[0]):
            x = current[t if current.shape[0] > 1 else 0, first:last]
            s, h = sent[t, first:last], height[t if height.shape[0] > 1 else 0, low:high]
            if bias is not None:
                charge(v, x, bias[t if bias.shape[0] > 1 else 0, low:high])
            for i in range(v.shape[0]):
                m = v[i] if bias is not None else v[i] + x[i]
                fires = m >= limit[i]
                v[i] = m - limit[i] if fires else m
                c[i] += one if fires else zero
                s[i] = h[i] if fires else zero
            if accumulated is not None:
                gather(accumulated[first:last], s)
        first = last


@compiled
def signed(
    current: Floats,
    bias: Floats | None,
    threshold: Floats,
    height: Floats,
    potential: Floats,
    count: Floats,
    net: Floats,
    accumulated: Floats | None,
    sent: Floats,
    floor: Floats,
    forgives: bool,
    begin: int,
    end: int,
) -> None:
    """Step the neurons `begin` to `end`, which take spikes back at potentials up to `floor` [one sample]."""
    one, zero = potential.dtype.type(1), potential.dtype.type(0)
    size = threshold.shape[0]
    first = begin
    while first < end:
        low = first % size
        high = min(low + BLOCK, size, low + end - first)
        last = first + high - low
        v, c, n = potential[first:last], count[first:last], net[first:last]
        limit, lower = threshold[low:high], floor[low:high]
        for t in range(sent.shape[0]):
            x = current[t if current.shape[0] > 1 else 0, first:last]
            s, h = sent[t, first:last], height[t if height.shape[0] > 1 else 0, low:high]
            if bias is not None:
                charge(v, x, bias[t if bias.shape[0] > 1 else 0, low:high])
            for i in range(v.shape[0]):
                m = v[i] if bias is not None else v[i] + x[i]
                spike = -one if m <= lower[i] and n[i] > zero else one if m >= limit[i] else zero
                left = m - spike * limit[i]
                total = n[i] + spike
                v[i] = zero if forgives and total == zero and left < zero else left
                n[i] = total
                c[i] += abs(spike)
                s[i] = spike * h[i]
            if accumulated is not None:
                gather(accumulated[first:last], s)
        first = last


def scan(
    current: Tensor,
    bias: Tensor | None,
    threshold: Tensor,
    height: Tensor,
    potential: Tensor,
    count: Tensor,
    net: Tensor | None,
    accumulated: Tensor | None,
    sent: Tensor,
    retract: float,
    forgives_debt: bool,
) -> None:
    """Step the neurons in compiled loops, on as many threads as torch has; see `fire_scan`."""
    before = [array(part) for part in (current, bias, threshold, height, potential, count)]
    after = [array(part) for part in (accumulated, sent)]
    step: Callable[..., None] = binary
    given: tuple[Any, ...] = (*before, *after)
    if net is not None:
        step, given = signed, (*before, array(net), *after, array(retract * threshold), forgives_debt)
    in_pieces(step, given, len(potential), len(sent))
