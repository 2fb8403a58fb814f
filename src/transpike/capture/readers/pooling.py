"""Readers of pooling and reductions."""

from __future__ import annotations

import math

import torch

from transpike import ops
from transpike.capture.call import Call, tuple_of
from transpike.capture.layout import Signal


def spatial_rank(call: Call) -> int:
    return int(call.operator.rstrip("_").split("pool")[-1][0])


def average_pool(call: Call) -> Signal:
    rank = spatial_rank(call)
    kernel = tuple_of(call.kernel_size, rank)
    op = ops.AveragePool(
        kernel,
        tuple_of(call.stride, rank) if call.stride else kernel,
        tuple_of(call.padding, rank),
        call.ceil_mode,
        call.count_include_pad,
        call.arguments.get("divisor_override"),
    )
    return call.emit(op, call.arguments["self"])


def max_pool(call: Call) -> Signal:
    rank = spatial_rank(call)
    kernel = tuple_of(call.kernel_size, rank)
    op = ops.MaxPool(
        kernel,
        tuple_of(call.stride, rank) if call.stride else kernel,
        tuple_of(call.padding, rank),
        tuple_of(call.dilation, rank),
        call.ceil_mode,
    )
    return call.emit(op, call.arguments["self"])


def max_pool_with_indices(call: Call) -> tuple[Signal, None]:
    return max_pool(call), None


def adaptive_size(call: Call) -> tuple[int, ...]:
    rank = spatial_rank(call)
    given = tuple_of(call.output_size, rank)
    return tuple(given)


def adaptive_average_pool(call: Call) -> Signal:
    return call.emit(ops.AdaptiveAveragePool(adaptive_size(call)), call.arguments["self"])


def adaptive_max_pool(call: Call) -> tuple[Signal, None]:
    return call.emit(ops.AdaptiveMaxPool(adaptive_size(call)), call.arguments["self"]), None


def reduced_axes(call: Call, signal: Signal) -> tuple[int, ...]:
    """Return the axes of a signal over which a call reduces, refusing the batch."""
    axes = call.arguments.get("dim")
    if axes is None or axes == []:
        raise call.refusal("it reduces over the batch too, so that samples would depend on each other")
    return tuple(sorted(call.axis(axis, signal) for axis in ([axes] if isinstance(axes, int) else axes)))


def mean(call: Call, total: bool = False) -> Signal:
    signal = call.arguments["self"]
    if total and not signal.dtype.is_floating_point:
        signal = call.emit(ops.Number(str(call.dtype).removeprefix("torch.")), signal)
    return call.emit(ops.Mean(reduced_axes(call, signal), call.keepdim, total), signal)


def largest(call: Call, sign: float = 1.0) -> Signal:
    """Read a maximum over axes; a minimum is minus the maximum of minus the values."""
    signal = call.arguments["self"]
    op = ops.Largest(reduced_axes(call, signal), call.keepdim)
    if sign > 0:
        return call.emit(op, signal)
    minus = ops.Affine(torch.tensor(sign, dtype=signal.dtype))
    return call.emit(minus, call.emit(op, call.emit(minus, signal)))


def largest_along(call: Call, sign: float = 1.0) -> tuple[Signal, None]:
    return largest(call, sign), None


def largest_place(call: Call) -> Signal:
    signal = call.arguments["self"]
    if not signal.whole:
        raise call.refusal("a place among values that spikes stand for is no average over time", "Take it of the answers.")
    (axis,) = reduced_axes(call, signal)
    return call.emit(ops.LargestPlace(axis, call.keepdim), signal)


def variance(call: Call, root: bool = False) -> Signal:
    """Write out the mean of the squared differences from the mean, times n / (n - correction)."""
    signal = call.arguments["self"]
    axes = reduced_axes(call, signal)
    centre = call.emit(ops.Mean(axes, keepdim=True), signal, part="centre")
    squares = call.emit(ops.Power(2.0), call.emit(ops.Add(-1.0), signal, centre, part="differences"), part="squares")
    result = call.emit(ops.Mean(axes, call.keepdim), squares)
    count = math.prod(signal.shape[axis - 1] for axis in axes)
    correction = call.arguments.get("correction", 1 if call.arguments.get("unbiased", True) else 0)
    divisor = count - (1 if correction is None else correction)
    if divisor != count:
        result = call.emit(ops.Affine(torch.tensor(count / divisor, dtype=call.dtype)), result)
    return call.emit(ops.Power(0.5), result) if root else result


def norm(call: Call) -> Signal:
    """Write out the sum of the absolute values, or the square root of the sum of the squares."""
    signal = call.arguments["self"]
    axes = reduced_axes(call, signal)
    if call.ord not in (1, 2):
        raise call.refusal(f"norms of order {call.ord} have no rule", "Take order 1 or 2.")
    parts = call.emit(ops.Absolute() if call.ord == 1 else ops.Power(2.0), signal)
    total = call.emit(ops.Mean(axes, call.keepdim, sum=True), parts)
    return total if call.ord == 1 else call.emit(ops.Power(0.5), total)


def accumulated(call: Call) -> Signal:
    signal = call.arguments["self"]
    if signal.dtype != call.dtype:
        signal = call.emit(ops.Number(str(call.dtype).removeprefix("torch.")), signal)
    return call.emit(ops.CumulativeSum(call.axis(call.dim, signal)), signal)
