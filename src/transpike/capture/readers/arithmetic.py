"""Readers of sums, products, choices and casts."""

from __future__ import annotations

from collections.abc import Callable

import torch

from transpike import ops
from transpike.capture.call import Call
from transpike.capture.layout import Laid, Signal, parted
from transpike.capture.readers.alignment import aligned, as_node


def passed_on(call: Call) -> Signal:
    """Identity in inference: dropout, clones, layout changes."""
    signal: Signal = call.arguments["input" if "input" in call.arguments else "self"]
    return signal


def cast(call: Call) -> Signal:
    """Pass on a change of dtype or device that changes nothing; refuse real casts of what is no whole number."""
    signal = passed_on(call)
    source, result = signal.dtype, call.dtype
    if source == result:
        return signal
    if not signal.whole:
        raise call.refusal(f"it casts {source} to {result}", "Cast the samples before they enter the model.")
    return call.emit(ops.Number(str(result).removeprefix("torch.")), signal)


def added(call: Call, sign: float = 1.0) -> Signal:
    a, b = aligned(call, call.arguments["self"], call.other)
    return plus(call, a, b, sign * call.arguments.get("alpha", 1))


def reverse_subtracted(call: Call) -> Signal:
    a, b = aligned(call, call.arguments["self"], call.other)
    return plus(call, b, a, -float(call.arguments.get("alpha", 1)))


def plus(call: Call, a: Signal | torch.Tensor, b: Signal | torch.Tensor, scale: float) -> Signal:
    """Return a + scale b, one of which may be constant."""
    if isinstance(a, Signal) and isinstance(b, Signal):
        return call.emit(ops.Add(float(scale)), a, b)
    if isinstance(b, torch.Tensor):
        assert isinstance(a, Signal)
        return call.emit(ops.Affine(None, (scale * b).to(call.dtype)), a)
    assert isinstance(a, torch.Tensor)
    factor = None if scale == 1 else torch.tensor(scale, dtype=call.dtype)
    return call.emit(ops.Affine(factor, a), b)


def multiplied(call: Call) -> Signal:
    a, b = aligned(call, call.arguments["self"], call.other)
    if isinstance(a, Signal) and isinstance(b, Signal) and a.whole and b.whole:
        return call.emit(ops.Whole("mul"), as_node(call, a), as_node(call, b))
    if isinstance(a, Signal) and isinstance(b, Signal):
        return call.emit(ops.Multiply(), a, b)
    signal, factor = (a, b) if isinstance(a, Signal) else (b, a)
    return call.emit(ops.Affine(factor), signal)


def divided(call: Call) -> Signal:
    a, b = aligned(call, call.arguments["self"], call.other)
    if call.arguments.get("rounding_mode"):
        raise call.refusal("it rounds", "Divide without a rounding mode.")
    if isinstance(b, torch.Tensor):
        return call.emit(ops.Affine(1 / b), a)
    if isinstance(a, Signal):
        return call.emit(ops.Divide(), a, b)
    inverse = call.emit(ops.Power(-1.0), b)
    return call.emit(ops.Affine(a), inverse)


def negated(call: Call) -> Signal:
    return call.emit(ops.Affine(torch.tensor(-1.0, dtype=call.dtype)), call.arguments["self"])


def larger(call: Call, sign: float = 1.0) -> Signal:
    """max(a, b), or min(a, b) = -max(-a, -b); a constant one makes max(a, c) = c + relu(a - c)."""
    minus = None if sign > 0 else ops.Affine(torch.tensor(sign, dtype=call.dtype))
    a, b = (value for value in aligned(call, call.arguments["self"], call.other))
    if isinstance(a, Signal) and isinstance(b, Signal):
        a, b = (call.emit(minus, value) if minus else value for value in (a, b))
        result = call.emit(ops.Maximum(), a, b)
        return call.emit(minus, result) if minus else result
    signal, bound = (a, b) if isinstance(a, Signal) else (b, a)
    scale = minus.scale if minus else None
    above = call.emit(ops.Relu(), call.emit(ops.Affine(scale, -sign * bound), signal))
    return call.emit(ops.Affine(scale, bound), above)


def chosen(call: Call) -> Signal:
    """Choose a where a mask of truth values that come from outside holds, else b."""
    return choice(call, call.condition, call.arguments["self"], call.other)


def filled_where(call: Call) -> Signal:
    """Set a number where a mask holds, else the signal."""
    return choice(call, call.mask, call.value, call.arguments["self"])


def choice(call: Call, *values: object) -> Signal:
    """Choose by a mask: a constant one is a scale and a shift of what it picks from."""
    mask, a, b = aligned(call, *values)
    if isinstance(mask, Signal):
        if not mask.whole:
            raise call.refusal("its mask must be of truth values")
        return call.emit(ops.Choose(), mask, as_node(call, a), as_node(call, b))
    if isinstance(a, Signal) and isinstance(b, Signal):
        parts = [call.emit(ops.Affine(scale), value) for scale, value in ((mask, a), (1 - mask, b))]
        return call.emit(ops.Add(), *parts)
    signal, kept, fixed = (a, mask, (1 - mask) * b) if isinstance(a, Signal) else (b, 1 - mask, mask * a)
    return call.emit(ops.Affine(kept, fixed), signal)


def compared(call: Call) -> Signal:
    """Read a comparison, or another elementary function of whole numbers and truth values."""
    other = [call.arguments["other"]] if "other" in call.arguments else []
    values = [call.arguments["self"], *other]
    if not all(parted(value)[0].whole for value in values if isinstance(value, Signal | Laid)):
        raise call.refusal(
            "it compares values that spikes stand for, which is no function of them that averages over time",
            "Write the condition as an activation, such as relu, clamp, threshold or maximum.",
        )
    kinds = [value.dtype for value in values if isinstance(value, torch.Tensor)]
    operands = aligned(call, *values, dtype=kinds[0] if kinds else torch.as_tensor(other[0]).dtype if plain(other) else None)
    return call.emit(ops.Whole(call.operator.strip("_")), *(as_node(call, value) for value in operands))


def plain(values: list[object]) -> bool:
    """Whether there is an operand that is a number."""
    return bool(values) and isinstance(values[0], int | float)


def triangle(call: Call, keep: Callable[..., torch.Tensor]) -> Signal:
    """Keep a triangle of the matrices in the last two axes."""
    signal: Signal = call.arguments["self"]
    return call.emit(ops.Affine(keep(torch.ones(signal.shape[-2:], dtype=call.dtype), call.diagonal)), signal)
