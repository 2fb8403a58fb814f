"""Readers of sums, products and casts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from transpike import ops
from transpike.capture.call import Call, Signal


def passed_on(call: Call) -> Signal:
    """Identity in inference: dropout, clones, layout changes."""
    signal: Signal = call.arguments["input" if "input" in call.arguments else "self"]
    return signal


def cast(call: Call) -> Signal:
    """Pass on a change of dtype or device that changes nothing; refuse real casts."""
    source, result = call.node.args[0].meta["val"].dtype, call.node.meta["val"].dtype  # type: ignore[union-attr]
    if not source.is_floating_point and result.is_floating_point:
        return call.emit(ops.Number(str(result).removeprefix("torch.")), passed_on(call))
    if source != result:
        raise call.refusal(f"it casts {source} to {result}", "Cast the samples before they enter the model.")
    return passed_on(call)


def constant_term(call: Call, value: Any, signal: Signal) -> Tensor:
    """Return a constant operand without the batch axis, in the dtype of the network."""
    dtype = call.node.meta["val"].dtype
    tensor = torch.as_tensor(value, dtype=dtype)
    if tensor.ndim > len(signal.shape) + 1 or (tensor.ndim == len(signal.shape) + 1 and tensor.shape[0] != 1):
        raise call.refusal(f"a constant of shape {tuple(tensor.shape)} varies along the batch")
    return tensor[0] if tensor.ndim == len(signal.shape) + 1 else tensor


def two_signals(call: Call, a: Signal, b: Signal) -> None:
    """Refuse two signals whose batch axes do not meet."""
    if len(a.shape) != len(b.shape):
        raise call.refusal(f"its operands have {len(a.shape) + 1} and {len(b.shape) + 1} axes, so batches do not align")


def added(call: Call, sign: float = 1.0) -> Signal:
    a, b = call.arguments["self"], call.other
    scale = sign * call.arguments.get("alpha", 1)
    if isinstance(a, Signal) and isinstance(b, Signal):
        two_signals(call, a, b)
        return call.emit(ops.Add(float(scale)), a, b)
    if isinstance(a, Signal):
        return call.emit(ops.Affine(None, scale * constant_term(call, b, a)), a)
    factor = torch.tensor(scale, dtype=call.node.meta["val"].dtype)
    return call.emit(ops.Affine(factor, constant_term(call, a, b)), b)


def reverse_subtracted(call: Call) -> Signal:
    signal = call.arguments["self"]
    factor = torch.tensor(-float(call.arguments.get("alpha", 1)), dtype=call.node.meta["val"].dtype)
    if isinstance(call.other, Signal):
        two_signals(call, call.other, signal)
        return call.emit(ops.Add(float(factor)), call.other, signal)
    return call.emit(ops.Affine(factor, constant_term(call, call.other, signal)), signal)


def multiplied(call: Call) -> Signal:
    a, b = call.arguments["self"], call.other
    if isinstance(a, Signal) and isinstance(b, Signal):
        two_signals(call, a, b)
        return call.emit(ops.Multiply(), a, b)
    signal, factor = (a, b) if isinstance(a, Signal) else (b, a)
    return call.emit(ops.Affine(constant_term(call, factor, signal)), signal)


def divided(call: Call) -> Signal:
    a, b = call.arguments["self"], call.other
    if call.arguments.get("rounding_mode"):
        raise call.refusal("it rounds", "Divide without a rounding mode.")
    if isinstance(a, Signal) and isinstance(b, Signal):
        two_signals(call, a, b)
        return call.emit(ops.Divide(), a, b)
    if isinstance(b, Signal):
        return call.emit(ops.Affine(constant_term(call, a, b)), call.emit(ops.Power(-1.0), b))
    return call.emit(ops.Affine(1 / constant_term(call, b, a)), a)


def negated(call: Call) -> Signal:
    return call.emit(ops.Affine(torch.tensor(-1.0, dtype=call.node.meta["val"].dtype)), call.arguments["self"])
