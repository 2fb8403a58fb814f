"""Pooling: averages and sums are linear, maxima are coupled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from transpike.parts import Op

Pools = dict[int, Callable[..., Tensor]]

AVERAGE: Pools = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
ADAPTIVE_AVERAGE: Pools = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
MAXIMUM = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
ADAPTIVE_MAXIMUM = {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}


@dataclass(frozen=True, eq=False)
class AveragePool(Op):
    """Mean over windows; with `divisor` 1 the sum over windows (2 and 3 dimensions)."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor: int | None = None

    def __call__(self, x: Tensor) -> Tensor:
        pool = AVERAGE[len(self.kernel)]
        arguments = (self.kernel, self.stride, self.padding, self.ceil_mode, self.count_include_pad)
        return pool(x, *arguments) if self.divisor is None else pool(x, *arguments, self.divisor)


@dataclass(frozen=True, eq=False)
class AdaptiveAveragePool(Op):
    """Mean over as many equal windows as `size` says."""

    size: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        return ADAPTIVE_AVERAGE[len(self.size)](x, self.size)


@dataclass(frozen=True, eq=False)
class Mean(Op):
    """Mean, or sum, over `axes` (counted with the batch)."""

    axes: tuple[int, ...]
    keepdim: bool
    sum: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        return x.sum(self.axes, keepdim=self.keepdim) if self.sum else x.mean(self.axes, keepdim=self.keepdim)


@dataclass(frozen=True, eq=False)
class MaxPool(Op):
    """Maximum over windows; borders are padded with minus infinity."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil_mode: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        pool = MAXIMUM[len(self.kernel)]
        return pool(x, self.kernel, self.stride, self.padding, self.dilation, self.ceil_mode)


@dataclass(frozen=True, eq=False)
class AdaptiveMaxPool(Op):
    """Maximum over as many equal windows as `size` says."""

    size: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        return ADAPTIVE_MAXIMUM[len(self.size)](x, self.size)


@dataclass(frozen=True, eq=False)
class Largest(Op):
    """Maximum over `axes` (counted with the batch)."""

    axes: tuple[int, ...]
    keepdim: bool

    def __call__(self, x: Tensor) -> Tensor:
        return x.amax(self.axes, keepdim=self.keepdim)
