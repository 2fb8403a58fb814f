"""Readers of ops with weights: convolutions, matrices, batch norm."""

from __future__ import annotations

import torch
from torch import Tensor

from transpike import ops
from transpike.capture.call import Call, tuple_of
from transpike.capture.layout import STRAIGHT, Signal


def need_constant(call: Call, name: str) -> Tensor | None:
    """Return a weight that must not depend on the input."""
    value = call.arguments[name]
    if isinstance(value, Signal):
        raise call.refusal(f"its {name} depends on the input, which makes it a product of two signals")
    return value


def convolution(call: Call) -> Signal:
    weight = need_constant(call, "weight")
    assert weight is not None
    rank = weight.ndim - 2
    stride, dilation = tuple_of(call.stride, rank), tuple_of(call.dilation, rank)
    source: Signal = call.input
    if isinstance(call.padding, str):
        padding, source = named_padding(call, source, weight, dilation)
    else:
        padding = tuple_of(call.padding, rank)
    op = ops.Convolution(weight, need_constant(call, "bias"), stride, padding, dilation, call.groups)
    return call.emit(op, source)


def named_padding(call: Call, source: Signal, weight: Tensor, dilation: tuple[int, ...]) -> tuple[tuple[int, ...], Signal]:
    """Turn "same" or "valid" into numbers; where "same" is uneven, PyTorch pads one more behind."""
    rank = weight.ndim - 2
    totals = [d * (k - 1) * (call.padding == "same") for d, k in zip(dilation, weight.shape[2:], strict=True)]
    if any(total % 2 for total in totals):
        extra = [width for total in reversed(totals) for width in (0, total % 2)]
        source = call.emit(ops.Pad(tuple(extra)), source)
    return tuple(total // 2 for total in totals)[:rank], source


def transposed(call: Call) -> Signal:
    weight = need_constant(call, "weight")
    assert weight is not None
    rank = weight.ndim - 2
    op = ops.TransposedConvolution(
        weight,
        need_constant(call, "bias"),
        tuple_of(call.stride, rank),
        tuple_of(call.padding, rank),
        tuple_of(call.output_padding, rank),
        call.groups,
        tuple_of(call.dilation, rank),
    )
    return call.emit(op, call.input)


def linear(call: Call) -> Signal:
    weight = need_constant(call, "weight")
    assert weight is not None
    return call.emit(ops.Linear(weight, need_constant(call, "bias")), call.input)


def addmm(call: Call) -> Signal:
    bias, left, right = call.arguments["self"], call.mat1, call.mat2
    constant = isinstance(bias, Tensor) and isinstance(right, Tensor) and isinstance(left, Signal)
    if constant and bias.ndim == 1 and call.alpha == call.beta == 1:
        return call.emit(ops.Linear(right.T.contiguous(), bias), left)
    raise call.refusal("only a constant matrix and bias make it linear")


def batch_norm(call: Call) -> tuple[Signal, None, None]:
    mean, variance = call.arguments.get("running_mean"), call.arguments.get("running_var")
    if mean is None or variance is None or call.arguments.get("training", False):
        raise call.refusal(
            "it normalises with the statistics of the batch, so that samples would depend on each other",
            "Use running statistics (track_running_stats=True) and model.eval().",
        )
    scale, shift = call.weight, call.bias
    scale = torch.ones_like(mean) if scale is None else scale
    shift = torch.zeros_like(mean) if shift is None else shift
    norm = ops.BatchNorm(scale, shift, mean, variance, call.eps)
    return call.emit(norm if call.layout == STRAIGHT else along_channels(call, norm), call.input), None, None


def along_channels(call: Call, norm: ops.BatchNorm) -> ops.Affine:
    """Return batch norm as a scale and a shift along the model's axis 1, wherever the signal has it."""
    axis = call.axis(1, call.input)
    shape = (-1, *[1] * (len(call.input.shape) - axis))
    scale, shift = (values.to(norm.scale.dtype).reshape(shape) for values in norm.affine())
    return ops.Affine(scale, shift)
