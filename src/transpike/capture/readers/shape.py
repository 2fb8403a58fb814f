"""Readers of ops that move values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from transpike import ops
from transpike.capture.call import BATCH, Call, Signal, Turned


def reshaped(call: Call) -> Signal:
    signal: Signal = call.arguments["self"]
    return signal if call.shape == signal.shape else call.emit(ops.Reshape(call.shape), signal)


def permuted(call: Call) -> Signal | Turned:
    value = call.arguments["self"]
    rank = len(untied(value).shape) + 1
    return reordered(call, value, [dim % rank for dim in call.dims])


def transposed_axes(call: Call) -> Signal | Turned:
    value = call.arguments["self"]
    rank = len(untied(value).shape) + 1
    axes = list(range(rank))
    first, second = call.dim0 % rank, call.dim1 % rank
    axes[first], axes[second] = axes[second], axes[first]
    return reordered(call, value, axes)


def untied(value: Signal | Turned) -> Signal:
    """Return a signal with the batch as axis 0."""
    return value.signal if isinstance(value, Turned) else value


def swapped(axes: list[int]) -> list[int]:
    """Return an order of axes with the first two exchanged."""
    return [axes[1], axes[0], *axes[2:]]


def reordered(call: Call, value: Signal | Turned, axes: list[int]) -> Signal | Turned:
    """Return a value with its axes in another order; the batch may become axis 0 or 1."""
    order = [{0: 1, 1: 0}.get(axis, axis) for axis in axes] if isinstance(value, Turned) else axes
    signal = untied(value)
    if order.index(0) > 1:
        raise call.refusal("it moves the batch behind axis 1", "Keep the batch as axis 0, or 1 for sequences, throughout.")
    turned = order[0] != 0
    final = swapped(order) if turned else order
    moved = signal if final == sorted(final) else call.emit(ops.Permute(tuple(final)), signal)
    return Turned(moved) if turned else moved


def bounded(value: Any, size: int, default: int) -> int:
    """Clamp one bound of a slice to 0 .. size, as Python does."""
    if value is None:
        return default
    value = int(value)
    return max(0, min(size, value + size if value < 0 else value))


def sliced(call: Call) -> Signal | Turned:
    signal: Signal = call.arguments["self"]
    if isinstance(signal, Turned):
        return sliced_turned(call, signal)
    rank = len(signal.shape) + 1
    if call.dim % rank == 0:
        whole = (call.start in (None, 0)) and call.step == 1 and (call.end is None or call.end is BATCH or call.end > 2**40)
        if whole:
            return signal
        raise call.refusal("it picks samples of the batch, so that samples would depend on each other")
    axis = call.dim % rank
    size = signal.shape[axis - 1]
    start, stop = bounded(call.start, size, 0), bounded(call.end, size, size)
    if (start, stop, call.step) == (0, size, 1):
        return signal
    return call.emit(ops.Slice(axis, start, stop, call.step), signal)


def sliced_turned(call: Call, value: Turned) -> Turned:
    """Cut a sequence that has its elements along axis 0."""
    rank = len(value.signal.shape) + 1
    axis = {0: 1, 1: 0}.get(call.dim % rank, call.dim % rank)
    if axis == 0:
        whole = call.start in (None, 0) and call.step == 1 and (call.end is None or call.end is BATCH or call.end > 2**40)
        if whole:
            return value
        raise call.refusal("it picks samples of the batch, so that samples would depend on each other")
    size = value.signal.shape[axis - 1]
    start, stop = bounded(call.start, size, 0), bounded(call.end, size, size)
    if (start, stop, call.step) == (0, size, 1):
        return value
    return Turned(call.emit(ops.Slice(axis, start, stop, call.step), value.signal))


def selected(call: Call) -> Signal:
    signal = call.arguments["self"]
    if isinstance(signal, Turned):
        if call.dim % (len(signal.signal.shape) + 1) != 0:
            raise call.refusal("it picks along another axis than time before the batch is axis 0", "Transpose it first.")
        index = call.index % signal.signal.shape[0]
        return call.emit(ops.Reshape(call.shape), call.emit(ops.Slice(1, index, index + 1), signal.signal))
    axis = call.axis(call.dim, len(signal.shape) + 1)
    index = call.index % signal.shape[axis - 1]
    return call.emit(ops.Reshape(call.shape), call.emit(ops.Slice(axis, index, index + 1), signal))


def unbound(call: Call) -> tuple[Signal, ...]:
    signal = call.arguments["self"]
    axis = call.axis(call.dim, len(signal.shape) + 1)
    shape = (*signal.shape[: axis - 1], *signal.shape[axis:])
    picked = [call.emit(ops.Slice(axis, i, i + 1), signal) for i in range(signal.shape[axis - 1])]
    return tuple(call.emit(ops.Reshape(shape), one) for one in picked)


def concatenated(call: Call) -> Signal:
    signals = [as_signal(call, value) for value in call.tensors]
    return call.emit(ops.Concatenate(call.axis(call.dim, len(call.shape) + 1)), *signals)


def stacked(call: Call) -> Signal:
    signals = [as_signal(call, value) for value in call.tensors]
    axis = call.axis(call.dim, len(call.shape) + 1)
    shape = list(signals[0].shape)
    shape.insert(axis - 1, 1)
    return call.emit(ops.Concatenate(axis), *[call.emit(ops.Reshape(tuple(shape)), signal) for signal in signals])


def as_signal(call: Call, value: Signal | Tensor) -> Signal:
    """Return `value` as a signal; a constant gets a node of its own."""
    if isinstance(value, Signal):
        return value
    if value.shape[0] != 1:
        raise call.refusal(f"a constant of shape {tuple(value.shape)} varies along the batch")
    return call.program.add("constant", ops.Constant(value), (), call.origin, tuple(value.shape[1:]), value.dtype)


def pieces(call: Call, sizes: list[int]) -> tuple[Signal, ...]:
    signal = call.arguments["self"]
    axis = call.axis(call.dim, len(signal.shape) + 1)
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return tuple(call.emit(ops.Slice(axis, start, start + size), signal) for start, size in zip(starts, sizes, strict=True))


def split(call: Call) -> tuple[Signal, ...]:
    signal = call.arguments["self"]
    size = call.arguments.get("split_size", call.arguments.get("split_sizes"))
    if not isinstance(size, int):
        return pieces(call, [int(part) for part in call.split_sizes])
    whole = signal.shape[call.axis(call.dim, len(signal.shape) + 1) - 1]
    return pieces(call, [min(size, whole - start) for start in range(0, whole, size)])


def chunk(call: Call) -> tuple[Signal, ...]:
    signal = call.arguments["self"]
    whole = signal.shape[call.axis(call.dim, len(signal.shape) + 1) - 1]
    size = -(-whole // call.chunks)
    return pieces(call, [min(size, whole - start) for start in range(0, whole, size)])


def padded(call: Call) -> Signal:
    signal = call.arguments["self"]
    widths, mode = tuple(int(width) for width in call.pad), call.arguments.get("mode", "constant")
    if len(widths) > 2 * len(signal.shape):
        raise call.refusal("it pads the batch")
    return call.emit(ops.Pad(widths, mode, float(call.arguments.get("value") or 0.0)), signal)


def expanded(call: Call) -> Signal:
    signal: Signal = call.arguments["self"]
    return signal if call.shape == signal.shape else call.emit(ops.Expand(call.shape), signal)


def upsampled(call: Call) -> Signal:
    mode = call.operator.removeprefix("upsample_")
    signal = call.input if "input" in call.arguments else call.arguments["self"]
    size, scales = call.arguments.get("output_size"), call.arguments.get("scale_factors")
    op = ops.Upsample(
        tuple(size) if size else None,
        tuple(scales) if scales else None,
        mode.rstrip("123d") if mode.startswith("nearest") else mode[:-2],
        None if mode.startswith("nearest") else call.align_corners,
    )
    return call.emit(op, signal)


def sliced_range(call: Call) -> Signal:
    signal = call.arguments["self"]
    axis = call.axis(call.dim, len(signal.shape) + 1)
    return call.emit(ops.Slice(axis, call.start, call.start + call.length), signal)


def slice_written(call: Call) -> Signal:
    """x[:, start:stop] = y, which export writes without changing x: the parts around it, joined with y."""
    signal, source = as_signal(call, call.arguments["self"]), as_signal(call, call.src)
    if call.step != 1:
        raise call.refusal("it writes into every so many elements", "Build the result with torch.cat instead.")
    rank = len(signal.shape) + 1
    if call.dim % rank == 0:
        return source if source.shape == signal.shape else signal
    axis = call.axis(call.dim, rank)
    size = signal.shape[axis - 1]
    start, stop = bounded(call.start, size, 0), bounded(call.end, size, size)
    parts = [source]
    if start > 0:
        parts.insert(0, call.emit(ops.Slice(axis, 0, start), signal))
    if stop < size:
        parts.append(call.emit(ops.Slice(axis, stop, size), signal))
    return call.emit(ops.Concatenate(axis), *parts) if len(parts) > 1 else source


def overwritten(call: Call) -> Signal | Tensor:
    """x.copy_(y): y, spread to the shape of x."""
    source = call.src
    if isinstance(source, Signal):
        return source if source.shape == call.shape else call.emit(ops.Expand(call.shape), source)
    return torch.as_tensor(source).expand(1, *call.shape)


def filled(call: Call, value: Any) -> Tensor:
    """Return a constant shaped like a signal; the batch is 1, to be broadcast."""
    if isinstance(value, Signal):
        raise call.refusal("it fills a value that depends on the input")
    return torch.full((1, *call.shape), float(value), dtype=call.node.meta["val"].dtype)
