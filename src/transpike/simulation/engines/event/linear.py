"""What linear ops make of spikes, as one convolution.

y[o, p, q] = sum over i, a, b of weight[o, i, a, b] x[i, p sh - top + a, q sw - left + b].

Everything between two layers of neurons is linear, so each path from spikes to a current is such a convolution: pools have
equal weights, a fully connected layer has a kernel as large as its input, a shortcut is diagonal.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from transpike.ops import (
    AdaptiveAveragePool,
    Affine,
    AveragePool,
    Convolution,
    Identity,
    Linear,
    Mean,
    Pad,
    Reshape,
    Slice,
)
from transpike.parts import Op

Shape = tuple[int, int, int]
LARGEST = 1 << 26  # weights of a path that are worth writing out


class NotLinearError(Exception):
    """A path that is no convolution, or one that the engine has no form for; the message says which op."""


@dataclass(frozen=True)
class Kernel:
    """A convolution from spikes of shape `before` to a value of shape `after` (channels, height, width), in float64.

    `weight` is [out, in, kh, kw], or [channels, kh, kw] where each channel goes to itself alone. `flat` says that the value
    is written as one vector.
    """

    weight: Tensor
    before: Shape
    after: Shape
    stride: tuple[int, int] = (1, 1)
    offset: tuple[int, int] = (0, 0)
    flat: bool = False

    @property
    def diagonal(self) -> bool:
        """Whether each channel goes to itself alone."""
        return self.weight.ndim == 3  # noqa: PLR2004 - [channels, kh, kw]

    def dense(self) -> Tensor:
        """Return the weights [out, in, kh, kw]."""
        if not self.diagonal:
            return self.weight
        channels, kh, kw = self.weight.shape
        full = self.weight.new_zeros(channels, channels, kh, kw)
        full[range(channels), range(channels)] = self.weight
        return full

    def __call__(self, x: Tensor) -> Tensor:
        """Apply the convolution to x [n, channels, height, width]."""
        kh, kw = self.weight.shape[-2:]
        below = (self.after[1] - 1) * self.stride[0] - self.offset[0] + kh - self.before[1]
        right = (self.after[2] - 1) * self.stride[1] - self.offset[1] + kw - self.before[2]
        padded = F.pad(x, (self.offset[1], right, self.offset[0], below))
        weight, groups = (self.weight[:, None], self.weight.shape[0]) if self.diagonal else (self.weight, 1)
        return F.conv2d(padded, weight, stride=self.stride, groups=groups)


def image(shape: tuple[int, ...]) -> Shape:
    """Return the shape of one sample as (channels, height, width); raise NotLinearError if it has more axes."""
    if len(shape) == 1:
        return shape[0], 1, 1
    if len(shape) == 3:  # noqa: PLR2004 - (channels, height, width)
        return shape[0], shape[1], shape[2]
    raise NotLinearError(f"a value of shape {shape} is neither a vector nor an image")


def identity(shape: tuple[int, ...]) -> Kernel:
    """Return the kernel that passes spikes on."""
    channels, height, width = image(shape)
    ones = torch.ones(channels, 1, 1, dtype=torch.float64)
    return Kernel(ones, (channels, height, width), (channels, height, width))


def then_convolution(first: Kernel, op: Convolution, after: tuple[int, ...]) -> Kernel:
    """Return the kernel of a convolution of what `first` gives."""
    weight = op.weight.double()
    if weight.ndim != 4:  # noqa: PLR2004 - [out, in, kh, kw]
        raise NotLinearError("a convolution over other than two axes")
    return convolved(first, weight, op.groups, (*op.stride, *op.padding, *op.dilation), after)


def convolved(first: Kernel, weight: Tensor, groups: int, geometry: tuple[int, ...], after: tuple[int, ...]) -> Kernel:
    """Return the kernel of a convolution with `weight` of what `first` gives; geometry: strides, paddings, dilations."""
    sh, sw, ph, pw, dh, dw = geometry
    (fh, fw), (kh, kw) = first.stride, weight.shape[-2:]
    depthwise = groups == weight.shape[0] == first.after[0] and weight.shape[1] == 1
    into = weight[:, 0] if depthwise and first.diagonal else full_weight(weight, groups)
    size = ((kh - 1) * dh * fh + first.weight.shape[-2], (kw - 1) * dw * fw + first.weight.shape[-1])
    inner = first.weight if depthwise or not first.diagonal else first.weight[None]
    shape = (*into.shape[:-2], *size) if first.diagonal else (into.shape[0], first.weight.shape[1], *size)
    if math.prod(shape) > LARGEST:
        raise NotLinearError("a path with too many weights")
    out = torch.zeros(shape, dtype=torch.float64)
    for a in range(kh):
        for b in range(kw):
            tap = into[..., a, b]
            part = tap[..., None, None] * inner if first.diagonal else torch.einsum("om,mihw->oihw", tap, inner)
            y, x = a * dh * fh, b * dw * fw
            out[..., y : y + part.shape[-2], x : x + part.shape[-1]] += part
    offset = (first.offset[0] + ph * fh, first.offset[1] + pw * fw)
    return dataclasses.replace(first, weight=out, after=image(after), stride=(sh * fh, sw * fw), offset=offset)


def full_weight(weight: Tensor, groups: int) -> Tensor:
    """Return grouped weights [out, in / groups, ...] as [out, in, ...] with zeros between the groups."""
    if groups == 1:
        return weight
    outputs, inputs = weight.shape[0] // groups, weight.shape[1]
    full = weight.new_zeros(weight.shape[0], inputs * groups, *weight.shape[2:])
    for group in range(groups):
        rows, columns = slice(group * outputs, (group + 1) * outputs), slice(group * inputs, (group + 1) * inputs)
        full[rows, columns] = weight[rows]
    return full


def averaged(
    first: Kernel, size: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], count: int, after: tuple[int, ...]
) -> Kernel:
    """Return the kernel of means over windows of `size`, as sums over `count`."""
    channels = first.after[0]
    weight = torch.full((channels, 1, *size), 1 / count, dtype=torch.float64)
    return convolved(first, weight, channels, (*stride, *padding, 1, 1), after)


def then_average(first: Kernel, op: AveragePool, after: tuple[int, ...]) -> Kernel:
    """Return the kernel of means over windows."""
    if len(op.kernel) != 2 or op.ceil_mode or (any(op.padding) and not op.count_include_pad):  # noqa: PLR2004
        raise NotLinearError("a mean over windows of different size")
    kernel, stride, padding = (tuple(each) for each in (op.kernel, op.stride, op.padding))
    return averaged(first, kernel, stride, padding, op.divisor or math.prod(op.kernel), after)  # type: ignore[arg-type]


def then_adaptive(first: Kernel, op: AdaptiveAveragePool, after: tuple[int, ...]) -> Kernel:
    """Return the kernel of means over as many windows as asked for."""
    height, width = first.after[1:]
    if len(op.size) != 2 or height % op.size[0] or width % op.size[1]:  # noqa: PLR2004
        raise NotLinearError("a mean over windows of different size")
    size = height // op.size[0], width // op.size[1]
    return averaged(first, size, size, (0, 0), math.prod(size), after)


def then_mean(first: Kernel, op: Mean, after: tuple[int, ...]) -> Kernel:  # noqa: ARG001 - one signature for all
    """Return the kernel of the mean over an image."""
    if first.flat or sorted(axis % 4 for axis in op.axes) != [2, 3]:
        raise NotLinearError("a mean over other axes than those of an image")
    size = first.after[1], first.after[2]
    return averaged(first, size, size, (0, 0), 1 if op.sum else math.prod(size), (first.after[0], 1, 1))


def then_linear(first: Kernel, op: Linear, after: tuple[int, ...]) -> Kernel:
    """Return the kernel of a fully connected layer: as large as the image."""
    channels, height, width = first.after
    if (height * width > 1 and not first.flat) or op.weight.shape[1] != channels * height * width:
        raise NotLinearError("a fully connected layer at each place")
    weight = op.weight.double().reshape(op.weight.shape[0], channels, height, width)
    return dataclasses.replace(convolved(first, weight, 1, (1, 1, 0, 0, 1, 1), after), flat=False)


def then_affine(first: Kernel, op: Affine, after: tuple[int, ...]) -> Kernel:
    """Return the kernel of what `first` gives, each channel scaled."""
    if op.scale is None:
        return first
    channels = op.scale.double().expand(after).reshape(first.after).flatten(1)
    if bool((channels != channels[:, :1]).any()):
        raise NotLinearError("a scale that differs from place to place")
    factor = channels[:, 0].reshape(-1, *[1] * (first.weight.ndim - 1))
    return dataclasses.replace(first, weight=first.weight * factor)


def then_reshape(first: Kernel, op: Reshape, after: tuple[int, ...]) -> Kernel:  # noqa: ARG001 - one signature for all
    """Return the same kernel, noting whether its value is now one vector."""
    if tuple(op.shape) in ((math.prod(first.after),), first.after):
        return dataclasses.replace(first, flat=len(op.shape) == 1)
    if math.prod(first.after[1:]) == 1 and op.shape[0] == first.after[0]:
        return first
    raise NotLinearError(f"a reshaping to {tuple(op.shape)}")


def then_slice(first: Kernel, op: Slice, after: tuple[int, ...]) -> Kernel:
    """Return the kernel of some of the channels, rows or columns."""
    if first.flat:
        raise NotLinearError("a slice of a vector")
    if op.axis == 1:
        picks = slice(op.start, op.stop, op.step)
        return dataclasses.replace(first, weight=first.dense()[picks], after=image(after))
    axis = op.axis - 2
    (sh, sw), (top, left) = first.stride, first.offset
    if axis == 0:
        stride, offset = (sh * op.step, sw), (top - op.start * sh, left)
    else:
        stride, offset = (sh, sw * op.step), (top, left - op.start * sw)
    return dataclasses.replace(first, stride=stride, offset=offset, after=image(after))


def then_pad(first: Kernel, op: Pad, after: tuple[int, ...]) -> Kernel:
    """Return the kernel with channels of zeros before and behind."""
    widths = (*op.widths, *[0] * (6 - len(op.widths)))
    if op.mode != "constant" or first.flat or any(widths[:4]):
        raise NotLinearError("a border that is not zero channels")
    weight = F.pad(first.dense(), (0, 0, 0, 0, 0, 0, widths[4], widths[5]))
    return dataclasses.replace(first, weight=weight, after=image(after))


RULES: dict[type[Op], Callable[..., Kernel]] = {
    Convolution: then_convolution,
    AveragePool: then_average,
    AdaptiveAveragePool: then_adaptive,
    Mean: then_mean,
    Linear: then_linear,
    Affine: then_affine,
    Reshape: then_reshape,
    Slice: then_slice,
    Pad: then_pad,
    Identity: lambda first, op, after: first,  # noqa: ARG005
}


def then(first: Kernel, op: Op, after: tuple[int, ...]) -> Kernel:
    """Return the kernel of `op` on what `first` gives, whose samples have the shape `after`; raise NotLinearError."""
    rule = RULES.get(type(op))
    if rule is None:
        raise NotLinearError(type(op).__name__)
    return rule(first, op, after)
