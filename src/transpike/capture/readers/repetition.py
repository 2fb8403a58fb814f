"""Readers of ops that repeat, roll, turn round and unfold."""

from __future__ import annotations

import torch

from transpike import ops
from transpike.capture.call import Call, tuple_of
from transpike.capture.layout import Signal
from transpike.capture.readers.shape import cut


def repeated_elements(call: Call, signal: Signal, axis: int, times: int) -> Signal:
    """Repeat each element along an axis: a a b b."""
    before, size, behind = signal.shape[: axis - 1], signal.shape[axis - 1], signal.shape[axis:]
    apart = call.emit(ops.Reshape((*before, size, 1, *behind)), signal)
    copies = call.emit(ops.Expand((*before, size, times, *behind)), apart)
    return call.emit(ops.Reshape((*before, size * times, *behind)), copies)


def repeated_whole(call: Call, signal: Signal, axis: int, times: int) -> Signal:
    """Repeat all elements along an axis: a b a b."""
    before, size, behind = signal.shape[: axis - 1], signal.shape[axis - 1], signal.shape[axis:]
    apart = call.emit(ops.Reshape((*before, 1, size, *behind)), signal)
    copies = call.emit(ops.Expand((*before, times, size, *behind)), apart)
    return call.emit(ops.Reshape((*before, times * size, *behind)), copies)


def repeat_interleaved(call: Call) -> Signal:
    signal, times = call.arguments["self"], call.arguments.get("repeats")
    if not isinstance(times, int) or call.dim is None:
        raise call.refusal("it repeats by a list", "Repeat each element the same number of times, along one axis.")
    return repeated_elements(call, signal, call.axis(call.dim, signal), times)


def repeated(call: Call) -> Signal:
    signal, times = call.arguments["self"], list(call.repeats)
    place, factor = call.sizes.place, call.sizes.factor
    new = len(times) - call.layout.rank(signal)
    if factor != call.layout.factor or place != call.layout.place + new:
        raise call.refusal("it repeats samples of the batch")
    shared = len(call.layout.shared)
    others = call.layout.others(signal)
    if new:
        signal = call.emit(ops.Reshape((*call.layout.shared, *[1] * new, *others)), signal)
    counts = [count for axis, count in enumerate(times) if axis != place]
    for position, count in enumerate(counts):
        if count != 1:
            signal = repeated_whole(call, signal, 1 + shared + position, count)
    return signal


def rolled(call: Call) -> Signal:
    """Let what leaves at one end of an axis enter at the other."""
    signal = call.arguments["self"]
    if not call.dims:
        raise call.refusal("it rolls over all axes at once", "Name the axes.")
    for shift, dim in zip(call.shifts, call.dims, strict=True):
        axis = call.axis(dim, signal)
        size = signal.shape[axis - 1]
        start = -shift % size
        if start:
            parts = cut(call, signal, axis, start, size), cut(call, signal, axis, 0, start)
            signal = call.emit(ops.Concatenate(axis), *parts)
    return signal


def flipped(call: Call) -> Signal:
    signal = call.arguments["self"]
    for dim in call.dims:
        axis = call.axis(dim, signal)
        signal = call.emit(ops.Pick(axis, torch.arange(signal.shape[axis - 1] - 1, -1, -1)), signal)
    return signal


def pixels_shuffled(call: Call) -> Signal:
    """[batch, channels r r, height, width] -> [batch, channels, height r, width r]."""
    signal, factor = call.arguments["self"], call.upscale_factor
    channels, height, width = signal.shape
    apart = call.emit(ops.Reshape((channels // factor**2, factor, factor, height, width)), signal)
    moved = call.emit(ops.Permute((0, 1, 4, 2, 5, 3)), apart)
    return call.emit(ops.Reshape((channels // factor**2, height * factor, width * factor)), moved)


def pixels_unshuffled(call: Call) -> Signal:
    """[batch, channels, height r, width r] -> [batch, channels r r, height, width]."""
    signal, factor = call.arguments["self"], call.downscale_factor
    channels, height, width = signal.shape
    apart = call.emit(ops.Reshape((channels, height // factor, factor, width // factor, factor)), signal)
    moved = call.emit(ops.Permute((0, 1, 3, 5, 2, 4)), apart)
    return call.emit(ops.Reshape((channels * factor**2, height // factor, width // factor)), moved)


def unfolded_images(call: Call) -> Signal:
    """im2col: the values under each place of a window, a convolution whose weights are 0 and 1."""
    signal = call.arguments["self"]
    channels = signal.shape[0]
    height, width = tuple_of(call.kernel_size, 2)
    weight = torch.eye(height * width, dtype=call.dtype).reshape(-1, 1, height, width).repeat(channels, 1, 1, 1)
    stride, padding, dilation = (tuple_of(value, 2) for value in (call.stride, call.padding, call.dilation))
    return call.emit(
        ops.Reshape(call.shape), call.emit(ops.Convolution(weight, None, stride, padding, dilation, channels), signal)
    )


def folded_images(call: Call) -> Signal:
    """col2im: each value added where its window lies, a transposed convolution whose weights are 0 and 1."""
    signal = call.arguments["self"]
    height, width = tuple_of(call.kernel_size, 2)
    stride, padding, dilation = (tuple_of(value, 2) for value in (call.stride, call.padding, call.dilation))
    sizes = zip(call.output_size, (height, width), stride, padding, dilation, strict=True)
    counts, spare = [], []
    for size, kernel, step, border, gap in sizes:
        reach = size + 2 * border - gap * (kernel - 1) - 1
        counts.append(reach // step + 1)
        spare.append(reach % step)
    channels = signal.shape[0] // (height * width)
    weight = torch.eye(height * width, dtype=call.dtype).reshape(-1, 1, height, width).repeat(channels, 1, 1, 1)
    windows = call.emit(ops.Reshape((signal.shape[0], *counts)), signal)
    return call.emit(ops.TransposedConvolution(weight, None, stride, padding, tuple(spare), channels, dilation), windows)


def unfolded(call: Call) -> Signal:
    """Windows along one axis, behind all others."""
    signal = call.arguments["self"]
    axis = call.axis(call.dimension, signal)
    count = (signal.shape[axis - 1] - call.size) // call.step + 1
    places = (torch.arange(count)[:, None] * call.step + torch.arange(call.size)).flatten()
    picked = call.emit(ops.Pick(axis, places), signal)
    before, behind = signal.shape[: axis - 1], signal.shape[axis:]
    apart = call.emit(ops.Reshape((*before, count, call.size, *behind)), picked)
    rank = len(apart.shape) + 1
    order = [place for place in range(rank) if place != axis + 1]
    return call.emit(ops.Permute((*order, axis + 1)), apart)
