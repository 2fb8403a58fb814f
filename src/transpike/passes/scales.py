"""How the scale of a signal passes through linear ops: what values x are, if x = scale * y and an op acts on y instead.

A scale is a tensor [1, *shape of a sample] in float64, usually the same over all places of a channel (an expanded view).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from transpike.ops import (
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    Affine,
    AveragePool,
    Concatenate,
    Expand,
    Identity,
    Linear,
    MaxPool,
    Mean,
    Pad,
    Permute,
    Reshape,
    Slice,
    TransposedConvolution,
    Upsample,
)
from transpike.parts import Op
from transpike.passes.fold_batch_norm import Weighted, grouped

ROUTES = (Identity, Reshape, Permute, Slice, Concatenate, Expand)  # each value comes from one place
MIXES = (AveragePool, AdaptiveAveragePool, MaxPool, AdaptiveMaxPool, Upsample)  # values of one channel only


def ones(size: Iterable[int]) -> Tensor:
    """Return the scale of values in their own units."""
    return torch.ones(()).double().expand(1, *size)


def constant_over(scale: Tensor, axes: Iterable[int]) -> bool:
    """Whether a scale is the same along each of `axes`."""
    return all(bool((scale == scale.narrow(axis, 0, 1)).all()) for axis in axes if scale.shape[axis])


def by_row(scale: Tensor, axis: int) -> Tensor | None:
    """Return the scale [rows] along `axis`, or None if it varies along others."""
    others = [other for other in range(1, scale.ndim) if other != axis]
    return scale.movedim(axis, 0).flatten(1)[:, 0] if constant_over(scale, others) else None


def channel_axis_of(op: Weighted, scale: Tensor) -> int:
    """Return the axis of the channels that an op with weights reads or writes."""
    return scale.ndim - 1 if isinstance(op, Linear) else 1


def passed_on(op: Op, scales: list[Tensor], size: tuple[int, ...]) -> Tensor | None:
    """Return the scale of what `op` gives, for one sample of shape `size`; None if it mixes values of different scales."""
    scale = scales[0]
    if isinstance(op, ROUTES) or (isinstance(op, Pad) and op.mode != "constant"):
        routed: Tensor = op(*scales)
        return routed
    if isinstance(op, Pad):
        return None if op.value else padded(op, scale)
    if isinstance(op, Mean):
        return scale.amax(op.axes, keepdim=op.keepdim) if constant_over(scale, op.axes) else None
    if isinstance(op, MIXES) and constant_over(scale, range(2, scale.ndim)):
        return widened(scale, size)
    return None


def widened(scale: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return a scale that is the same over all places of a channel, for places of another number."""
    for axis in range(2, scale.ndim):
        scale = scale.narrow(axis, 0, 1)
    return scale.expand(1, *size)


def padded(op: Pad, scale: Tensor) -> Tensor:
    """Return the scale behind a border of zeros, which takes that of its neighbours: zero has every scale."""
    for number, (before, after) in enumerate(zip(op.widths[::2], op.widths[1::2], strict=True)):
        axis = scale.ndim - 1 - number
        places = torch.arange(-before, scale.shape[axis] + after).clamp(0, scale.shape[axis] - 1)
        scale = scale.index_select(axis, places.to(scale.device))
    return scale


def compact(scale: Tensor) -> Tensor:
    """Return a scale without the batch, with one entry along each axis on which it does not vary."""
    for axis in range(1, scale.ndim):
        if constant_over(scale, [axis]):
            scale = scale.narrow(axis, 0, 1)
    return scale[0].clone()


def rescaled(op: Op, into: Tensor, out: Tensor) -> Op:
    """Return `op` for inputs divided by `into` and an output divided by `out`: W' = W into / out, b' = b / out.

    For an op with weights `into` and `out` have one entry per channel; for an affine map they are scales.
    """
    if isinstance(op, Affine):
        factor = into / out if op.scale is None else op.scale.double() * into / out
        shift = None if op.shift is None else compact(op.shift.double() / out).to(op.shift.dtype)
        dtype = (op.scale if op.scale is not None else op.shift if op.shift is not None else factor).dtype
        return Affine(compact(factor).to(dtype), shift, None if op.original is None else rescaled(op.original, into, out))
    assert isinstance(op, Weighted)
    weight = op.weight.double()
    tail = [1] * (weight.ndim - 2)
    groups = getattr(op, "groups", 1)
    if isinstance(op, TransposedConvolution):  # weight [in, out/groups, ...]
        new = grouped(weight * into.reshape(-1, 1, *tail), groups) / out.reshape(groups, 1, -1, *tail)
    else:  # weight [out, in/groups, ...]
        new = grouped(weight / out.reshape(-1, 1, *tail), groups) * into.reshape(groups, 1, -1, *tail)
    bias = None if op.bias is None else (op.bias.double() / out).to(op.bias.dtype)
    changed = dataclasses.replace(op, weight=new.reshape(weight.shape).to(op.weight.dtype), bias=bias)
    original = getattr(op, "original", None)
    return changed if original is None else with_original(changed, rescaled(original, into, out))


def with_original(op: Op, original: Op) -> Op:
    """Return an op that says what the ANN has in its place."""
    changes: dict[str, Any] = {"original": original}
    return dataclasses.replace(op, **changes)
