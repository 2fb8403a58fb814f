"""Ops with weights: each commutes with averaging over time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from transpike.parts import Op

CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@dataclass(frozen=True, eq=False)
class Linear(Op):
    """y = x W^T + b over the last axis; weight [out, in], bias [out] or None.

    `original` is the op of the ANN, if a conversion corrected the weights.
    """

    weight: Tensor
    bias: Tensor | None = None
    original: Op | None = None

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def analogue(self) -> Op:
        return self.original or self


@dataclass(frozen=True, eq=False)
class Convolution(Op):
    """Convolution in 1, 2 or 3 dimensions, grouped and dilated; weight [out, in/groups, *kernel].

    `original` is the op of the ANN, if a conversion corrected the weights.
    """

    weight: Tensor
    bias: Tensor | None
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    original: Op | None = None

    def __call__(self, x: Tensor) -> Tensor:
        convolve = CONVOLUTIONS[self.weight.ndim - 2]
        return convolve(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def analogue(self) -> Op:
        return self.original or self


@dataclass(frozen=True, eq=False)
class TransposedConvolution(Op):
    """Transposed convolution in 1, 2 or 3 dimensions; weight [in, out/groups, *kernel]."""

    weight: Tensor
    bias: Tensor | None
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    output_padding: tuple[int, ...]
    groups: int
    dilation: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        convolve = TRANSPOSED[self.weight.ndim - 2]
        return convolve(x, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation)


@dataclass(frozen=True, eq=False)
class BatchNorm(Op):
    """y = (x - mean) / sqrt(variance + eps) * scale + shift per channel (axis 1), with fixed statistics."""

    scale: Tensor
    shift: Tensor
    mean: Tensor
    variance: Tensor
    eps: float

    def __call__(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.mean, self.variance, self.scale, self.shift, eps=self.eps)

    def affine(self) -> tuple[Tensor, Tensor]:
        """Return (a, c) in float64 with y = a x + c per channel."""
        a = self.scale.double() / torch.sqrt(self.variance.double() + self.eps)
        return a, self.shift.double() - self.mean.double() * a


@dataclass(frozen=True, eq=False)
class Affine(Op):
    """y = scale x + shift; both broadcast against one sample (no batch axis); None is 1 or 0.

    `original` is the op of the ANN, if a conversion changed the scale.
    """

    scale: Tensor | None = None
    shift: Tensor | None = None
    original: Op | None = None

    def __call__(self, x: Tensor) -> Tensor:
        scaled = x if self.scale is None else x * self.scale
        return scaled if self.shift is None else scaled + self.shift

    def analogue(self) -> Op:
        return self.original or self
