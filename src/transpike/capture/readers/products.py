"""Readers of products of two signals: matrices, attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from transpike import ops
from transpike.capture.call import Call
from transpike.capture.layout import Laid, Signal, laid, parted
from transpike.capture.readers.alignment import HIDDEN, aligned, as_node, operand
from transpike.capture.readers.repetition import repeated_elements

MATRIX = 2  # axes


def matmul(call: Call) -> Signal:
    left = call.arguments["self"]
    right = next(call.arguments[name] for name in ("other", "mat2", "vec") if name in call.arguments)
    if isinstance(right, Tensor) and right.ndim <= MATRIX:
        return by_matrix(call, left, right)
    if isinstance(left, Tensor) and left.ndim == MATRIX and rank_of(right) > MATRIX:
        signal, call.layout = parted(right)
        return turned(call, call.emit(ops.Linear(left), turned(call, signal)))
    return product(call, left, right)


def by_matrix(call: Call, left: Signal | Laid, right: Tensor) -> Signal:
    """Read a signal times a constant matrix, or vector, as weights."""
    signal, call.layout = parted(left)
    if right.ndim == MATRIX:
        return call.emit(ops.Linear(right.T.contiguous()), signal)
    result = call.emit(ops.Linear(right[None]), signal)
    return call.emit(ops.Reshape(result.shape[:-1]), result)


def rank_of(value: Signal | Laid) -> int:
    """Return how many axes a value has in the model."""
    signal, layout = parted(value)
    return layout.rank(signal)


def product(call: Call, *values: Signal | Laid | Tensor) -> Signal:
    """Multiply matrices in the last two axes, of which at least one depends on the input."""
    ranks = {value.ndim if isinstance(value, Tensor) else rank_of(value) for value in values}
    left, right = aligned(call, *values)
    if min(ranks) < MATRIX or call.layout.place > max(ranks) - 1 - MATRIX:
        raise call.refusal("it multiplies along the batch, so that samples would depend on each other")
    return call.emit(ops.MatMul(), as_node(call, left), as_node(call, right))


def turned(call: Call, signal: Signal) -> Signal:
    """Exchange the last two axes of a signal."""
    rank = len(signal.shape) + 1
    return call.emit(ops.Permute((*range(rank - 2), rank - 1, rank - 2)), signal, part="turned")


def added_product(call: Call) -> Signal:
    """Return beta self + alpha (batch1 @ batch2)."""
    result = product(call, call.batch1, call.batch2)
    layout = call.layout
    bias, result = aligned(call, call.arguments["self"], laid(result, layout))
    alpha = None if call.alpha == 1 else torch.tensor(float(call.alpha), dtype=call.dtype)
    if isinstance(bias, Tensor):
        return call.emit(ops.Affine(alpha, call.beta * bias), result)
    scaled = call.emit(ops.Affine(alpha), result) if alpha is not None else result
    return call.emit(ops.Add(float(call.beta)), scaled, bias)


def attention(call: Call) -> Signal:
    """softmax(scale Q K^T + mask) V, as ordinary ops: heads that share keys and values get copies of them."""
    query, key, value = aligned(call, call.query, call.key, call.value)
    if call.enable_gqa:
        key, value = (shared_heads(call, signal, query.shape[-3]) for signal in (key, value))
    scores = call.emit(ops.MatMul(), query, turned(call, key), part="scores")
    scale = torch.tensor(1 / math.sqrt(query.shape[-1]) if call.scale is None else float(call.scale), dtype=call.dtype)
    mask = call.attn_mask
    if call.is_causal:
        mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).tril()
    layout = call.layout
    if mask is not None and not isinstance(mask, Tensor):
        (mask,) = aligned(call, mask)
        scaled = call.emit(ops.Affine(scale), scores, part="scaled")
        scores = call.emit(ops.Add(), scaled, hiding(call, mask), part="masked")
    else:
        scores = call.emit(ops.Affine(scale, hidden(call, mask)), scores, part="scaled")
    call.layout = layout
    weights = call.emit(ops.Softmax(len(scores.shape)), scores, part="weights")
    return call.emit(ops.MatMul(), weights, value)


def shared_heads(call: Call, signal: Signal, heads: int) -> Signal:
    """Repeat each head of keys or values [batch, ..., groups, tokens, features] until there are `heads`."""
    groups = signal.shape[-3]
    axis = len(signal.shape) - 2
    return signal if groups == heads else repeated_elements(call, signal, axis, heads // groups)


def hidden(call: Call, mask: Tensor | None) -> Tensor | None:
    """Return what a constant mask adds to the scores."""
    if mask is None:
        return None
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=call.dtype).masked_fill(~mask, HIDDEN)
    shift: Tensor = operand(call, mask, call.node.meta["val"].ndim, call.dtype)
    return shift


def hiding(call: Call, mask: Signal) -> Signal:
    """Return what a mask that depends on the input adds to the scores."""
    if mask.dtype != torch.bool:
        return mask
    number = call.emit(ops.Number(str(call.dtype).removeprefix("torch.")), mask, part="mask")
    most = torch.tensor(HIDDEN, dtype=call.dtype)
    return call.emit(ops.Affine(-most, most), number, part="mask")
