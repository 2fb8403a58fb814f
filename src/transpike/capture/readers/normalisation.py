"""Readers of normalisation by the sample's own statistics."""

from __future__ import annotations

import torch
from torch import Tensor

from transpike import ops
from transpike.capture.call import Call
from transpike.capture.layout import Signal
from transpike.capture.readers.weights import need_constant


def constants(call: Call) -> tuple[Tensor | None, Tensor | None]:
    """Return the weight and the bias of a call, where it has them."""
    bias = need_constant(call, "bias") if "bias" in call.arguments else None
    return need_constant(call, "weight"), bias


def layer_norm(call: Call) -> Signal:
    return call.emit(ops.LayerNorm(tuple(call.normalized_shape), *constants(call), float(call.eps)), call.input)


def rms_norm(call: Call) -> Signal:
    eps = None if call.eps is None else float(call.eps)
    return call.emit(ops.RMSNorm(tuple(call.normalized_shape), constants(call)[0], eps), call.input)


def group_norm(call: Call) -> Signal:
    return call.emit(ops.GroupNorm(int(call.num_groups), *constants(call), float(call.eps)), call.input)


def instance_norm(call: Call) -> Signal:
    """Group norm with as many groups as channels; with running statistics, batch norm."""
    weight, bias = constants(call)
    channels = call.input.shape[0]
    if call.use_input_stats:
        return call.emit(ops.GroupNorm(channels, weight, bias, float(call.eps)), call.input)
    mean, variance = call.running_mean, call.running_var
    scale = torch.ones_like(mean) if weight is None else weight
    shift = torch.zeros_like(mean) if bias is None else bias
    return call.emit(ops.BatchNorm(scale, shift, mean, variance, float(call.eps)), call.input)
