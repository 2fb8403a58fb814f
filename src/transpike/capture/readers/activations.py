"""Readers of non-linear ops."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from transpike import ops
from transpike.capture.call import Call
from transpike.capture.layout import Signal
from transpike.capture.readers.weights import need_constant


def clipped(call: Call) -> Signal:
    low, high = call.arguments.get("min", call.arguments.get("min_val")), call.arguments.get("max")
    high = call.arguments.get("max_val", high)
    if isinstance(low, Signal | Tensor) or isinstance(high, Signal | Tensor):
        raise call.refusal("its bounds must be numbers")
    low, high = -math.inf if low is None else float(low), math.inf if high is None else float(high)
    op = ops.Relu() if (low, high) == (0, math.inf) else ops.Clip(low, high)
    return call.emit(op, call.arguments["self"])


def leaky(call: Call) -> Signal:
    slope = torch.tensor(float(call.negative_slope), dtype=call.dtype)
    return call.emit(ops.LeakyRelu(slope), call.arguments["self"])


def prelu(call: Call) -> Signal:
    signal, slope = call.arguments["self"], need_constant(call, "weight")
    assert slope is not None
    spread = slope.reshape(-1, *[1] * (len(signal.shape) - 1)) if slope.numel() > 1 else slope.reshape(())
    return call.emit(ops.LeakyRelu(spread), signal)


def qcfs(call: Call) -> Signal:
    return call.emit(ops.Qcfs(trained_threshold(call), call.levels, call.shift), call.x)


def slip_relu(call: Call) -> Signal:
    op = ops.SlipRelu(trained_threshold(call), call.levels, call.slope, call.shift, call.offset)
    return call.emit(op, call.x)


def clamped(call: Call) -> Signal:
    return call.emit(ops.Clamped(trained_threshold(call), call.floor), call.x)


def trained_threshold(call: Call) -> Tensor:
    threshold = need_constant(call, "threshold")
    assert threshold is not None
    return threshold


def softmax(call: Call, logarithm: bool = False) -> Signal:
    signal = call.arguments["self"]
    return call.emit(ops.Softmax(call.axis(call.dim, signal), logarithm), signal)


def normal_curve(call: Call) -> Signal:
    return call.emit(ops.NormalCurve(call.sigma, call.low), call.x)
