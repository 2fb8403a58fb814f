"""Ops that move values without changing them, and interpolation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from transpike.parts import Op


@dataclass(frozen=True, eq=False)
class Reshape(Op):
    """Give each sample the shape `shape`."""

    shape: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *self.shape)


@dataclass(frozen=True, eq=False)
class Permute(Op):
    """Reorder the axes; `axes[0]` is 0, the batch."""

    axes: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        return x.permute(self.axes)


@dataclass(frozen=True, eq=False)
class Slice(Op):
    """x[start:stop:step] along `axis` (counted with the batch, never 0)."""

    axis: int
    start: int
    stop: int
    step: int = 1

    def __call__(self, x: Tensor) -> Tensor:
        picks = [slice(None)] * x.ndim
        picks[self.axis] = slice(self.start, self.stop, self.step)
        return x[tuple(picks)]


@dataclass(frozen=True, eq=False)
class Concatenate(Op):
    """Join signals along `axis` (counted with the batch, never 0)."""

    axis: int

    def __call__(self, *inputs: Tensor) -> Tensor:
        batch = max(x.shape[0] for x in inputs)
        return torch.cat([x.expand(batch, *x.shape[1:]) for x in inputs], self.axis)


@dataclass(frozen=True, eq=False)
class Pad(Op):
    """Pad the last axes; `widths` in PyTorch's order (last axis first), modes of `torch.nn.functional.pad`."""

    widths: tuple[int, ...]
    mode: str = "constant"
    value: float = 0.0

    def __call__(self, x: Tensor) -> Tensor:
        return F.pad(x, self.widths, self.mode, self.value if self.mode == "constant" else None)


@dataclass(frozen=True, eq=False)
class Expand(Op):
    """Repeat axes of size 1 until each sample has the shape `shape`."""

    shape: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        return x.expand(x.shape[0], *self.shape)


@dataclass(frozen=True, eq=False)
class Upsample(Op):
    """Interpolate the spatial axes to `size`: "nearest", "linear", "bilinear" or "trilinear".

    `scales` are the factors that the model states; PyTorch computes positions from them where they are given.
    """

    size: tuple[int, ...] | None
    scales: tuple[float, ...] | None
    mode: str
    align_corners: bool | None = None

    def __call__(self, x: Tensor) -> Tensor:
        scales = None if self.scales is None else list(self.scales)
        size = None if self.size is None else list(self.size)
        return F.interpolate(x, size=size, scale_factor=scales, mode=self.mode, align_corners=self.align_corners)


@dataclass(frozen=True, eq=False)
class Pick(Op):
    """The elements of `axis` (counted with the batch, never 0) at `places`, in that order and as often as named."""

    axis: int
    places: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return torch.index_select(x, self.axis, self.places)


@dataclass(frozen=True, eq=False)
class Gather(Op):
    """y[..., i, ...] = x[..., index[..., i, ...], ...] along `axis` (counted with the batch, never 0)."""

    axis: int

    def __call__(self, x: Tensor, index: Tensor) -> Tensor:
        return torch.gather(x, self.axis, index.long())


@dataclass(frozen=True, eq=False)
class CumulativeSum(Op):
    """y_i = x_1 + ... + x_i along `axis` (counted with the batch, never 0)."""

    axis: int

    def __call__(self, x: Tensor) -> Tensor:
        return torch.cumsum(x, self.axis)
