"""The scan on GPUs: one Triton kernel that keeps the states of its neurons in registers through all steps."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 256  # neurons of one program


@triton.jit
def fired(v, n, limit, lower, SIGNED: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return the spikes of a step."""
    spike = (v >= limit).to(v.dtype)
    if SIGNED:
        spike = tl.where((v <= lower) & (n > 0), -1.0, spike).to(v.dtype)
    return spike


@triton.jit
def steps_of(  # type: ignore[no-untyped-def]
    current,
    bias,
    threshold,
    floor,
    height,
    potential,
    count,
    net,
    accumulated,
    sent,
    neurons,
    size,
    steps,
    current_stride,
    bias_stride,
    height_stride,
    SIGNED: tl.constexpr,
    FORGIVES: tl.constexpr,
    ACCUMULATES: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    """Step one block of neurons through all steps."""
    place = tl.program_id(0).to(tl.int64) * WIDTH + tl.arange(0, WIDTH)
    inside = place < neurons
    unit = place % size
    limit = tl.load(threshold + unit, mask=inside, other=1.0)
    v = tl.load(potential + place, mask=inside, other=0.0)
    c = tl.load(count + place, mask=inside, other=0.0)
    n, lower, total = c, limit, v
    if SIGNED:
        n = tl.load(net + place, mask=inside, other=0.0)
        lower = tl.load(floor + unit, mask=inside, other=0.0)
    if ACCUMULATES:
        total = tl.load(accumulated + place, mask=inside, other=0.0)
    for _ in range(steps):
        v += tl.load(current + place, mask=inside, other=0.0)
        v += tl.load(bias + unit, mask=inside, other=0.0)
        spike = fired(v, n, limit, lower, SIGNED)
        if SIGNED:
            n += spike
        v -= spike * limit
        if FORGIVES:
            v = tl.where((n == 0) & (v < 0), 0.0, v).to(v.dtype)
        c += tl.abs(spike)
        worth = spike * tl.load(height + unit, mask=inside, other=0.0)
        tl.store(sent + place, worth, mask=inside)
        if ACCUMULATES:
            total += worth
        current += current_stride
        bias += bias_stride
        height += height_stride
        sent += neurons
    tl.store(potential + place, v, mask=inside)
    tl.store(count + place, c, mask=inside)
    if SIGNED:
        tl.store(net + place, n, mask=inside)
    if ACCUMULATES:
        tl.store(accumulated + place, total, mask=inside)


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
    """Step the neurons in one launch; see `fire_scan`. Products are with 0, 1 or -1, so fused ones give the same bits."""
    neurons, size = len(potential), len(threshold)

    def stride(table: Tensor | None) -> int:
        return 0 if table is None or len(table) == 1 else table.shape[1]

    launch: Any = steps_of[(triton.cdiv(neurons, BLOCK),)]
    launch(
        current,
        torch.zeros_like(threshold) if bias is None else bias,
        threshold,
        retract * threshold,
        height,
        potential,
        count,
        count if net is None else net,
        count if accumulated is None else accumulated,
        sent,
        neurons,
        size,
        len(sent),
        stride(current),
        stride(bias),
        stride(height),
        SIGNED=net is not None,
        FORGIVES=net is not None and forgives_debt,
        ACCUMULATES=accumulated is not None,
        WIDTH=BLOCK,
    )
