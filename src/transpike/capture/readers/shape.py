"""Readers of ops that move values."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from transpike import ops
from transpike.capture.call import Call
from transpike.capture.layout import BatchSize, Layout, Signal

ENDLESS = 2**40  # what torch.export writes for an open end


def reshaped(call: Call) -> Signal:
    """Give the axes other sizes in the order in which the model counts its elements; the batch stays apart.

    Before the batch the model has the axes up to it and `before`, behind it `after` and the others. Both stretches are
    cut anew, which is possible where no cut falls between.
    """
    signal, old, new = call.arguments["self"], call.layout, call.sizes
    leading = math.prod(old.others(signal)[: old.place]) * math.prod(old.before)
    before, rest = divmod(leading, math.prod(new.others[: new.place]))
    after, cut = divmod(new.factor, before or 1)
    if rest or cut:
        raise call.refusal("it mixes the batch with other axes, so that samples would not stay apart")
    layout = Layout(new.place, (before,) * (before > 1), (after,) * (after > 1))
    ordered = moved(call, signal, rows_of(old, signal))
    cut_at = new.place
    shape = (*new.others[:cut_at], *layout.shared, *new.others[cut_at:])
    result = ordered if shape == ordered.shape else call.emit(ops.Reshape(shape), ordered)
    call.layout = layout
    back = rows_of(layout, replace(result, shape=(*layout.shared, *new.others)))
    return moved(call, result, [back.index(axis) for axis in range(len(back))])


def rows_of(layout: Layout, signal: Signal) -> list[int]:
    """Return the axes of a signal in the order in which the model counts its elements, behind the batch."""
    shared = len(layout.shared)
    others = list(range(1 + shared, 1 + len(signal.shape)))
    return [0, *others[: layout.place], *range(1, 1 + shared), *others[layout.place :]]


def moved(call: Call, signal: Signal, axes: list[int]) -> Signal:
    """Return a signal with its axes in another order."""
    return signal if axes == sorted(axes) else call.emit(ops.Permute(tuple(axes)), signal)


def permuted(call: Call) -> Signal:
    rank = call.layout.rank(call.arguments["self"])
    return reordered(call, [dim % rank for dim in call.dims])


def transposed_axes(call: Call) -> Signal:
    rank = call.layout.rank(call.arguments["self"])
    axes = list(range(rank))
    first, second = call.dim0 % rank, call.dim1 % rank
    axes[first], axes[second] = axes[second], axes[first]
    return reordered(call, axes)


def reordered(call: Call, axes: list[int]) -> Signal:
    """Return the signal with the model's axes in another order; wherever the batch moves, the signal keeps it first."""
    signal, layout = call.arguments["self"], call.layout
    shared = range(1, 1 + len(layout.shared))
    others = [layout.axis(axis) for axis in axes if axis != layout.place]
    call.layout = replace(layout, place=axes.index(layout.place))
    return moved(call, signal, [0, *shared, *others])


def bounded(value: Any, size: int, default: int) -> int:
    """Clamp one bound of a slice to 0 .. size, as Python does."""
    if value is None:
        return default
    value = int(value)
    return max(0, min(size, value + size if value < 0 else value))


def sliced(call: Call) -> Signal:
    signal: Signal = call.arguments["self"]
    if call.dim % call.layout.rank(signal) == call.layout.place:
        end = call.end
        whole = end is None or (end.factor == call.layout.factor if isinstance(end, BatchSize) else end > ENDLESS)
        if whole and call.start in (None, 0) and call.step == 1:
            return signal
        raise call.refusal("it picks samples of the batch, so that samples would depend on each other")
    axis = call.axis(call.dim, signal)
    size = signal.shape[axis - 1]
    return cut(call, signal, axis, bounded(call.start, size, 0), bounded(call.end, size, size), call.step)


def cut(call: Call, signal: Signal, axis: int, start: int, stop: int, step: int = 1) -> Signal:
    """Return a part of a signal along an axis."""
    if (start, stop, step) == (0, signal.shape[axis - 1], 1):
        return signal
    return call.emit(ops.Slice(axis, start, stop, step), signal)


def without(call: Call, signal: Signal, axis: int) -> Signal:
    """Return a signal without one of its axes, of size 1."""
    return call.emit(ops.Reshape((*signal.shape[: axis - 1], *signal.shape[axis:])), signal)


def selected(call: Call) -> Signal:
    signal: Signal = call.arguments["self"]
    axis = call.axis(call.dim, signal)
    index = call.index % signal.shape[axis - 1]
    return without(call, cut(call, signal, axis, index, index + 1), axis)


def unbound(call: Call) -> tuple[Signal, ...]:
    signal = call.arguments["self"]
    axis = call.axis(call.dim, signal)
    return tuple(without(call, cut(call, signal, axis, i, i + 1), axis) for i in range(signal.shape[axis - 1]))


def concatenated(call: Call) -> Signal:
    signals = [as_signal(call, value) for value in call.tensors]
    return call.emit(ops.Concatenate(call.axis(call.dim, signals[0])), *signals)


def stacked(call: Call) -> Signal:
    signals = [as_signal(call, value) for value in call.tensors]
    result = replace(call.layout, place=call.sizes.place)
    dim = call.dim % (call.layout.rank(signals[0]) + 1)
    if dim == result.place:
        raise call.refusal("it stacks along the batch, so that samples would depend on each other")
    axis = result.axis(dim)
    shape = list(signals[0].shape)
    shape.insert(axis - 1, 1)
    return call.emit(ops.Concatenate(axis), *[call.emit(ops.Reshape(tuple(shape)), signal) for signal in signals])


def as_signal(call: Call, value: Signal | Tensor) -> Signal:
    """Return `value` as a signal in the layout of the call; a constant gets a node of its own."""
    if isinstance(value, Signal):
        return value
    content = spread(call, value, value.ndim)
    return call.program.add("constant", ops.Constant(content), (), call.origin, tuple(content.shape[1:]), content.dtype)


def spread(call: Call, value: Tensor, rank: int) -> Tensor:
    """Return a constant [1, ...] laid out as the signals of a call, which the model has with `rank` axes."""
    layout = call.layout
    full = value.reshape(*[1] * (rank - value.ndim), *value.shape).movedim(layout.place, 0)
    size, *others = full.shape
    if size not in (1, layout.factor):
        raise call.refusal(f"a constant of shape {tuple(value.shape)} varies along the batch")
    shared = layout.shared if size > 1 else [1] * len(layout.shared)
    return full.reshape(1, *shared, *others)


def pieces(call: Call, sizes: list[int]) -> tuple[Signal, ...]:
    signal = call.arguments["self"]
    axis = call.axis(call.dim, signal)
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return tuple(cut(call, signal, axis, start, start + size) for start, size in zip(starts, sizes, strict=True))


def split(call: Call) -> tuple[Signal, ...]:
    signal = call.arguments["self"]
    size = call.arguments.get("split_size", call.arguments.get("split_sizes"))
    if not isinstance(size, int):
        return pieces(call, [int(part) for part in call.split_sizes])
    whole = signal.shape[call.axis(call.dim, signal) - 1]
    return pieces(call, [min(size, whole - start) for start in range(0, whole, size)])


def chunk(call: Call) -> tuple[Signal, ...]:
    signal = call.arguments["self"]
    whole = signal.shape[call.axis(call.dim, signal) - 1]
    size = -(-whole // call.chunks)
    return pieces(call, [min(size, whole - start) for start in range(0, whole, size)])


def padded(call: Call) -> Signal:
    signal = call.arguments["self"]
    widths, mode = tuple(int(width) for width in call.pad), call.arguments.get("mode", "constant")
    while widths and widths[-2:] == (0, 0):
        widths = widths[:-2]
    if not widths:
        return signal
    if len(widths) > 2 * (call.layout.rank(signal) - 1 - call.layout.place):
        raise call.refusal("it pads the batch")
    return call.emit(ops.Pad(widths, mode, float(call.arguments.get("value") or 0.0)), signal)


def expanded(call: Call) -> Signal:
    """Repeat axes of size 1; the model may put new ones in front of the batch."""
    signal: Signal = call.arguments["self"]
    call.layout = replace(call.layout, place=call.sizes.place)
    new = len(call.shape) - len(signal.shape)
    if new:
        shared = len(call.layout.shared)
        signal = call.emit(ops.Reshape((*signal.shape[:shared], *[1] * new, *signal.shape[shared:])), signal)
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
    return cut(call, signal, call.axis(call.dim, signal), call.start, call.start + call.length)


def slice_written(call: Call) -> Signal:
    """x[:, start:stop] = y, which export writes without changing x: the parts around it, joined with y."""
    signal, source = as_signal(call, call.arguments["self"]), as_signal(call, call.src)
    if call.step != 1:
        raise call.refusal("it writes into every so many elements", "Build the result with torch.cat instead.")
    if call.dim % call.layout.rank(signal) == call.layout.place:
        return source if source.shape == signal.shape else signal
    axis = call.axis(call.dim, signal)
    size = signal.shape[axis - 1]
    start, stop = bounded(call.start, size, 0), bounded(call.end, size, size)
    return written(call, signal, source, axis, start, stop)


def written(call: Call, signal: Signal, source: Signal, axis: int, start: int, stop: int) -> Signal:
    """Return a signal with its part from `start` to `stop` replaced by another."""
    parts = [source]
    if start > 0:
        parts.insert(0, cut(call, signal, axis, 0, start))
    if stop < signal.shape[axis - 1]:
        parts.append(cut(call, signal, axis, stop, signal.shape[axis - 1]))
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
