"""Differentially coded streams on CPUs, compiled by numba: what they stand for, and what is to be sent, in one pass each."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from transpike.compiled import Floats, compiled, in_pieces

BLOCK = 2048  # values: those of one step stay in the fastest cache through all steps


@compiled
def decode(x: Floats, value: Floats, values: Floats, steps: int, begin: int, end: int) -> None:
    """Add x[t] / t to `value`, and write what that is after each step; `steps` are those before."""
    first = begin
    while first < end:
        last = min(first + BLOCK, end)
        r = value[first:last]
        for t in range(x.shape[0]):
            share = r.dtype.type(1.0 / (steps + t + 1))
            received, now = x[t, first:last], values[t, first:last]
            for i in range(r.shape[0]):
                r[i] += received[i] * share
                now[i] = r[i]
        first = last


@compiled
def send(values: Floats, before: Floats, steps: int, begin: int, end: int) -> None:
    """Write t (values[t] - values[t-1]) in place of values[t], and the last of them into `before`."""
    first = begin
    while first < end:
        last = min(first + BLOCK, end)
        b = before[first:last]
        for t in range(values.shape[0]):
            step = b.dtype.type(steps + t + 1)
            v = values[t, first:last]
            for i in range(b.shape[0]):
                now = v[i]
                v[i] = (now - b[i]) * step
                b[i] = now
        first = last


def decoded(x: Tensor, value: Tensor, steps: int) -> Tensor:
    """Return what a stream [time, batch, ...] stands for after each step, with memory laid out alike; changes `value`."""
    values = torch.empty_like(x)
    in_pieces(decode, (flat(x), value.numpy(), flat(values), steps), value.numel(), len(x))
    return values


def sent(values: Tensor, before: Tensor, steps: int) -> Tensor:
    """Return, in their place, what is to be sent to stand for values [time, batch, ...]; changes `before`."""
    in_pieces(send, (flat(values), before.numpy(), steps), before.numel(), len(values))
    return values


def lies_flat(x: Tensor) -> bool:
    """Whether a tensor [time, batch, ...] lies in memory without gaps, one step after the other."""
    return x.stride(0) == x[0].numel() and bool(torch.ops.aten.is_non_overlapping_and_dense(x))


def flat(x: Tensor) -> Any:
    """Return [time, values] in the order of the memory."""
    return x.as_strided((len(x), x[0].numel()), (x[0].numel(), 1)).numpy()
