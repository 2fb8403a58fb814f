"""Anchors: boxes of several sizes and shapes at each place of each level of the pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Anchors:
    """Boxes around the centre of each cell of maps with given strides.

    The side of a square box is `size` strides times one of the `octaves`; `ratios` are height over width at the same area.
    """

    strides: tuple[int, ...] = (8, 16, 32)
    size: float = 2.0
    octaves: tuple[float, ...] = (1.0, 2**0.5)
    ratios: tuple[float, ...] = (1.0, 1.7, 3.5)

    @property
    def per_place(self) -> int:
        """How many boxes each cell has."""
        return len(self.octaves) * len(self.ratios)

    def boxes(self, maps: Sequence[Sequence[int]]) -> Tensor:
        """Return all boxes [anchors, 4] (left, top, right, bottom) for maps of (height, width), level by level."""
        return torch.cat([self.level(stride, *shape) for stride, shape in zip(self.strides, maps, strict=True)])

    def level(self, stride: int, height: int, width: int) -> Tensor:
        """Return the boxes of one level: cells row by row, in each cell sizes, then ratios."""
        side = torch.tensor([self.size * stride * octave for octave in self.octaves])[:, None]
        root = torch.tensor(self.ratios).sqrt()
        halves = torch.stack([side / root, side * root], -1).reshape(-1, 2) / 2
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        centres = (torch.stack([x, y], -1).reshape(-1, 1, 2) + 0.5) * stride
        return torch.cat([centres - halves, centres + halves], -1).reshape(-1, 4)
