"""Readers of products of two signals: matrices, attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from transpike import ops
from transpike.capture.call import Call, Signal
from transpike.capture.readers.shape import as_signal

MATRIX = 2  # axes
HIDDEN = -1e9  # what a mask adds to a score: its exponential is 0 in every precision, and sums of it over time stay finite


def matmul(call: Call) -> Signal:
    left = call.arguments["self"]
    right: Signal | Tensor = next(call.arguments[name] for name in ("other", "mat2", "vec") if name in call.arguments)
    if isinstance(left, Signal) and isinstance(right, Tensor) and right.ndim == MATRIX:
        return call.emit(ops.Linear(right.T.contiguous()), left)
    if isinstance(left, Signal) and isinstance(right, Tensor) and right.ndim == 1:
        return call.emit(ops.Reshape(call.shape), call.emit(ops.Linear(right[None]), left))
    if isinstance(left, Tensor) and left.ndim == MATRIX and isinstance(right, Signal) and len(right.shape) >= MATRIX:
        return turned(call, call.emit(ops.Linear(left), turned(call, right)))
    return product(call, as_signal(call, left), as_signal(call, right))


def product(call: Call, left: Signal, right: Signal) -> Signal:
    """Multiply two signals that hold matrices in their last two axes."""
    if len(left.shape) != len(right.shape) or len(left.shape) < MATRIX:
        raise call.refusal(
            f"the axes of its operands, {('batch', *left.shape)} and {('batch', *right.shape)}, do not align, so that samples "
            "would depend on each other"
        )
    return call.emit(ops.MatMul(), left, right)


def turned(call: Call, signal: Signal) -> Signal:
    """Exchange the last two axes of a signal."""
    rank = len(signal.shape) + 1
    return call.emit(ops.Permute((*range(rank - 2), rank - 1, rank - 2)), signal)


def added_product(call: Call) -> Signal:
    """Return beta self + alpha (batch1 @ batch2)."""
    dtype = call.node.meta["val"].dtype
    result = product(call, as_signal(call, call.batch1), as_signal(call, call.batch2))
    bias = call.arguments["self"]
    alpha = None if call.alpha == 1 else torch.tensor(float(call.alpha), dtype=dtype)
    if isinstance(bias, Tensor):
        return call.emit(ops.Affine(alpha, call.beta * bias), result)
    if alpha is not None:
        result = call.emit(ops.Affine(alpha), result)
    return call.emit(ops.Add(float(call.beta)), result, bias)


def attention(call: Call) -> Signal:
    """softmax(scale Q K^T + mask) V, as ordinary ops: heads that share keys and values get copies of them."""
    query, key, value = (as_signal(call, call.arguments[name]) for name in ("query", "key", "value"))
    if call.enable_gqa:
        key, value = (shared_heads(call, signal, query.shape[-3]) for signal in (key, value))
    dtype = call.node.meta["val"].dtype
    scores = product(call, query, turned(call, key))
    scale = torch.tensor(1 / math.sqrt(query.shape[-1]) if call.scale is None else float(call.scale), dtype=dtype)
    mask = call.attn_mask
    if call.is_causal:
        mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).tril()
    scores = call.emit(ops.Affine(scale, additive(mask, dtype) if isinstance(mask, Tensor) else None), scores)
    if isinstance(mask, Signal):
        scores = call.emit(ops.Add(), scores, hiding(call, mask), part="masked")
    return product(call, call.emit(ops.Softmax(len(scores.shape)), scores), value)


def shared_heads(call: Call, signal: Signal, heads: int) -> Signal:
    """Repeat each head of keys or values [batch, groups, tokens, features] until there are `heads`."""
    groups, *rest = signal.shape
    if groups == heads:
        return signal
    apart = call.emit(ops.Reshape((groups, 1, *rest)), signal)
    return call.emit(ops.Reshape((heads, *rest)), call.emit(ops.Expand((groups, heads // groups, *rest)), apart))


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Return what a constant mask adds to the scores."""
    return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, HIDDEN) if mask.dtype == torch.bool else mask.to(dtype)


def hiding(call: Call, mask: Signal) -> Signal:
    """Return what a mask that depends on the input adds to the scores."""
    dtype = call.node.meta["val"].dtype
    if mask.dtype != torch.bool:
        return mask
    number = call.emit(ops.Number(str(dtype).removeprefix("torch.")), mask, part="mask")
    most = torch.tensor(HIDDEN, dtype=dtype)
    return call.emit(ops.Affine(-most, most), number, part="mask")
