"""Normalisation by the statistics of the sample itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from transpike.parts import Op


@dataclass(frozen=True, eq=False)
class LayerNorm(Op):
    """y = (x - mean) / sqrt(variance + eps) * scale + shift over the last axes, which have the shape `shape`.

    Source: Ba et al. 2016 (layer normalisation).
    """

    shape: tuple[int, ...]
    scale: Tensor | None = None
    shift: Tensor | None = None
    eps: float = 1e-5

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.shape, self.scale, self.shift, self.eps)


@dataclass(frozen=True, eq=False)
class RMSNorm(Op):
    """y = x / sqrt(mean of x^2 + eps) * scale over the last axes, which have the shape `shape`.

    Source: Zhang and Sennrich 2019 (RMSNorm).
    """

    shape: tuple[int, ...]
    scale: Tensor | None = None
    eps: float | None = None

    def __call__(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.shape, self.scale, self.eps)


@dataclass(frozen=True, eq=False)
class GroupNorm(Op):
    """y = (x - mean) / sqrt(variance + eps) * scale + shift, with the statistics of each group of channels (axis 1).

    Instance norm has as many groups as channels. Source: Wu and He 2018 (group normalisation).
    """

    groups: int
    scale: Tensor | None = None
    shift: Tensor | None = None
    eps: float = 1e-5

    def __call__(self, x: Tensor) -> Tensor:
        return F.group_norm(x, self.groups, self.scale, self.shift, self.eps)
