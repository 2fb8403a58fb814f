"""A small U-Net: down by average pooling, up by repetition, and what the way down knew joined to the way up.

Ronneberger, Fischer and Brox: U-Net (MICCAI 2015). Pools take means instead of maxima and up-convolutions are repetitions, so
that weights read spikes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def twice(ins: int, outs: int) -> nn.Sequential:
    """Return two convolutions, each with batch norm and a ReLU."""
    layers: list[nn.Module] = []
    for width in (ins, outs):
        layers += [nn.Conv2d(width, outs, 3, padding=1, bias=False), nn.BatchNorm2d(outs), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Logits of classes for each pixel, [batch, classes, height, width], of pictures [batch, 3, height, width]."""

    def __init__(self, classes: int = 4, widths: Sequence[int] = (8, 16, 32)) -> None:
        super().__init__()
        pairs = list(itertools.pairwise(widths))
        self.first = twice(3, widths[0])
        self.down = nn.ModuleList(twice(fine, coarse) for fine, coarse in pairs)
        self.up = nn.ModuleList(twice(fine + coarse, fine) for fine, coarse in reversed(pairs))
        self.pool = nn.AvgPool2d(2)
        self.repeat = nn.Upsample(scale_factor=2, mode="nearest")
        self.answer = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        seen = [self.first(x)]
        for stage in self.down:
            seen.append(stage(self.pool(seen[-1])))
        level = seen.pop()
        for stage in self.up:
            level = stage(torch.cat([seen.pop(), self.repeat(level)], 1))
        return self.answer(level)
