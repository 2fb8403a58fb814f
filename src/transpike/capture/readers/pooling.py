"""Readers of pooling and reductions."""

from __future__ import annotations

from transpike import ops
from transpike.capture.call import Call, Signal, tuple_of


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


def mean(call: Call, total: bool = False) -> Signal:
    signal = call.arguments["self"]
    rank = len(signal.shape) + 1
    axes = call.arguments.get("dim")
    if not axes:
        raise call.refusal("it averages over the batch too, so that samples would depend on each other")
    return call.emit(ops.Mean(tuple(sorted(call.axis(a, rank) for a in axes)), call.keepdim, total), signal)
