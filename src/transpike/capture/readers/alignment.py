"""Bring operands that broadcast against each other into one layout, with the batch of all along one axis."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from transpike import ops
from transpike.capture.call import Call
from transpike.capture.layout import Laid, Layout, Signal, parted
from transpike.capture.readers.shape import spread

HIDDEN = -1e9  # what hides a score from a softmax: its exponential is 0 in every precision, and sums over time stay finite
LOWEST = -1e30


def aligned(call: Call, *values: Any, dtype: torch.dtype | None = None) -> list[Any]:
    """Return signals with as many axes as the result has, and constants and numbers as tensors without a batch axis.

    Sets the layout of the call. Constants get the dtype of the result unless another is given.
    """
    rank = call.node.meta["val"].ndim
    parts = [parted(value) for value in values if isinstance(value, Signal | Laid)]
    layouts = {replace(layout, place=layout.place + rank - layout.rank(signal)) for signal, layout in parts}
    if len(layouts) > 1:
        raise call.refusal("its operands have the batch along different axes, so that samples would depend on each other")
    call.layout = layouts.pop()
    return [operand(call, value, rank, dtype or call.dtype) for value in values]


def operand(call: Call, value: Any, rank: int, dtype: torch.dtype) -> Any:
    """Return one operand of a call whose result has `rank` axes in the model."""
    if isinstance(value, Signal | Laid):
        return widened(call, *parted(value), rank)
    tensor = bounded_below(torch.as_tensor(value, dtype=dtype))
    return tensor if tensor.ndim < rank - call.layout.place else spread(call, tensor, rank)[0]


def bounded_below(constant: Tensor) -> Tensor:
    """Return a constant with `HIDDEN` for minus infinity and the lowest numbers, by which models hide scores from a softmax.

    Their sums over time would overflow.
    """
    return constant.masked_fill(constant < LOWEST, HIDDEN) if constant.is_floating_point() else constant


def widened(call: Call, signal: Signal, layout: Layout, rank: int) -> Signal:
    """Return a signal with axes of size 1 in front, as broadcasting adds them."""
    new = rank - layout.rank(signal)
    return call.emit(ops.Reshape((*layout.shared, *[1] * new, *layout.others(signal))), signal) if new else signal


def as_node(call: Call, value: Signal | Tensor) -> Signal:
    """Return an aligned operand as a signal; a constant, without batch axis, gets a node of its own."""
    if isinstance(value, Signal):
        return value
    full = value.reshape(1, *[1] * (call.node.meta["val"].ndim - 1 + len(call.layout.shared) - value.ndim), *value.shape)
    return call.program.add("constant", ops.Constant(full), (), call.origin, tuple(full.shape[1:]), full.dtype)
