"""Convolutions as files can hold them: one square kernel, one padding, one stride, between signals made of several parts."""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.errors import ExportError
from transpike.ops import Convolution, Linear
from transpike.simulation.engines.event.linear import Kernel

Pair = tuple[int, int]
GROWTH = 8  # by how much a kernel may be padded with zeros until it is square


@dataclass(frozen=True)
class Block:
    """A part of a layer's weights: `kernel` takes the channels from `column` on to those from `row` on."""

    row: int
    column: int
    kernel: Kernel


def convolution(blocks: list[Block], bias: Tensor, channels: int, before: Pair, after: Pair, where: str) -> Convolution:
    """Return one dense square convolution from `channels` channels of size `before` that does what the blocks do.

    Blocks are padded with zeros. Raises ExportError if no symmetric padding gives the size `after`.
    """
    strides = {block.kernel.stride for block in blocks}
    if len(strides) > 1:
        raise ExportError(f"The paths to {where} have strides {sorted(strides)}, and one convolution has one: take Compact().")
    stride = strides.pop()
    top = tuple(max(0, *(block.kernel.offset[axis] for block in blocks)) for axis in (0, 1))
    least = tuple(max(top[a] - b.kernel.offset[a] + b.kernel.weight.shape[a - 2] for b in blocks) for a in (0, 1))
    side, above = square(least, top, stride, before, after, where)
    weight = torch.zeros(len(bias), channels, side, side, dtype=torch.float64)
    for block in blocks:
        dense, offset = block.kernel.dense(), block.kernel.offset
        y, x = (top[axis] + above[axis] - offset[axis] for axis in (0, 1))
        rows, columns = block.row + dense.shape[0], block.column + dense.shape[1]
        weight[block.row : rows, block.column : columns, y : y + dense.shape[2], x : x + dense.shape[3]] += dense
    padding = (top[0] + above[0], top[1] + above[1])
    return Convolution(weight.float(), bias.float(), stride, padding, (1, 1))


def square(
    least: tuple[int, ...], top: tuple[int, ...], stride: Pair, before: Pair, after: Pair, where: str
) -> tuple[int, Pair]:
    """Return the side of a square kernel, and how many zeros stand above and left, so that the sizes come out."""
    for side in range(max(least), max(least) + GROWTH):
        found = [above_of(axis, side, least, top, stride, before, after) for axis in (0, 1)]
        if found[0] is not None and found[1] is not None:
            return side, (found[0], found[1])
    raise ExportError(f"The layer {where} has no square kernel with symmetric padding from {before} to {after}.")


def above_of(
    axis: int, side: int, least: tuple[int, ...], top: tuple[int, ...], stride: Pair, before: Pair, after: Pair
) -> int | None:
    """Return how many of the zeros along an axis must stand above it; None if no number gives the size."""
    for above in range(side - least[axis] + 1):
        room = before[axis] + 2 * (top[axis] + above) - side
        if room >= 0 and room // stride[axis] + 1 == after[axis]:
            return above
    return None


def linear(blocks: list[Block], bias: Tensor, channels: int, before: Pair) -> Linear:
    """Return the fully connected layer from `channels` channels of size `before`, flattened, that does what the blocks do."""
    weight = torch.zeros(len(bias), channels, *before, dtype=torch.float64)
    for block in blocks:
        dense, (top, left) = block.kernel.dense(), block.kernel.offset
        for y, x in itertools.product(range(dense.shape[2]), range(dense.shape[3])):
            if 0 <= y - top < before[0] and 0 <= x - left < before[1]:
                rows, columns = block.row + dense.shape[0], block.column + dense.shape[1]
                weight[block.row : rows, block.column : columns, y - top, x - left] += dense[:, :, y, x]
    return Linear(weight.flatten(1).float(), bias.float())


def in_phases(kernel: Kernel, step: Pair, size: Pair, where: str) -> Kernel:
    """Return a kernel for its input cut into phases: channel (c, a, b) of the cut input holds x[c, p step + a, q step + b].

    `size` is that of the cut input. Raises ExportError if the kernel reads what the phases do not hold.
    """
    dense, strides, offsets, spans = kernel.dense(), [], [], []
    for axis in (0, 1):
        single = kernel.after[axis + 1] == 1
        if kernel.stride[axis] % step[axis] and not single:
            raise ExportError(f"A skip to {where} has a stride that is no multiple of that of the layers that it skips.")
        first = -kernel.offset[axis] // step[axis]
        last = (dense.shape[2 + axis] - 1 - kernel.offset[axis]) // step[axis]
        strides.append(1 if single else kernel.stride[axis] // step[axis])
        offsets.append(-first)
        spans.append(last - first + 1)
        check_reach(kernel, axis, step[axis] * size[axis], where)
    cut = dense.new_zeros(dense.shape[0], dense.shape[1], *step, *spans)
    for y, x in itertools.product(range(dense.shape[2]), range(dense.shape[3])):
        u, v = y - kernel.offset[0], x - kernel.offset[1]
        cut[:, :, u % step[0], v % step[1], u // step[0] + offsets[0], v // step[1] + offsets[1]] = dense[:, :, y, x]
    return dataclasses.replace(
        kernel,
        weight=cut.flatten(1, 3),
        before=(dense.shape[1] * math.prod(step), *size),
        stride=(strides[0], strides[1]),
        offset=(offsets[0], offsets[1]),
    )


def check_reach(kernel: Kernel, axis: int, held: int, where: str) -> None:
    """Raise ExportError if a kernel reads rows or columns from `held` on, which are cut off."""
    size = kernel.before[axis + 1]
    taps = kernel.dense().ne(0).any(0).any(0).any(1 - axis).nonzero().flatten().tolist()
    places = range(kernel.after[axis + 1])
    reached = (p * kernel.stride[axis] - kernel.offset[axis] + tap for p in places for tap in taps)
    if held < size and any(held <= place < size for place in reached):
        raise ExportError(f"A skip to {where} carries a border that the layers on its way cut off: take Compact().")
