"""Readers of smooth activations and elementary functions."""

from __future__ import annotations

import math

import torch

from transpike import ops
from transpike.capture.call import Call
from transpike.capture.layout import Signal
from transpike.parts import Op


def pointwise(call: Call, op: Op) -> Signal:
    """Read an operator that has one input and is one op."""
    return call.emit(op, call.arguments["self"])


def gelu(call: Call) -> Signal:
    return pointwise(call, ops.Gelu(tanh=call.approximate == "tanh"))


def elu(call: Call) -> Signal:
    return pointwise(call, ops.Elu(float(call.alpha), float(call.scale), float(call.input_scale)))


SELU = ops.Elu(1.6732632423543772, 1.0507009873554805)  # Klambauer et al. 2017: keeps mean 0 and variance 1


def celu(call: Call) -> Signal:
    return pointwise(call, ops.Elu(float(call.alpha), 1.0, 1 / float(call.alpha)))


def softplus(call: Call) -> Signal:
    return pointwise(call, ops.Softplus(float(call.beta), float(call.threshold)))


def log_sigmoid(call: Call) -> Signal:
    """-softplus(-x)."""
    minus = ops.Affine(torch.tensor(-1.0, dtype=call.dtype))
    return call.emit(minus, call.emit(ops.Softplus(), call.emit(minus, call.arguments["self"])))


def threshold(call: Call) -> Signal:
    return pointwise(call, ops.Threshold(float(call.threshold), float(call.value)))


def cosine(call: Call) -> Signal:
    return pointwise(call, ops.Sine(math.pi / 2))


def power(call: Call) -> Signal:
    """x^y: a power of a signal, or a number to the power of a signal."""
    base, exponent = call.arguments["self"], call.exponent
    if isinstance(base, Signal) and isinstance(exponent, int | float):
        return base if exponent == 1 else call.emit(ops.Power(float(exponent)), base)
    if isinstance(exponent, Signal) and isinstance(base, int | float) and base > 0:
        factor = torch.tensor(math.log(base), dtype=call.dtype)
        return call.emit(ops.Exponential(), call.emit(ops.Affine(factor), exponent))
    raise call.refusal("only a signal to the power of a number, or a positive number to that of a signal, is pointwise")


def gated_halves(call: Call) -> Signal:
    """GLU: the first half times the sigmoid of the second."""
    signal = call.arguments["self"]
    axis = call.axis(call.dim, signal)
    half = signal.shape[axis - 1] // 2
    first, second = (call.emit(ops.Slice(axis, start, start + half), signal) for start in (0, half))
    return call.emit(ops.Multiply(), first, call.emit(ops.Sigmoid(), second))
