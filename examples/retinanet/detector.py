"""RetinaNet: a ResNet, a feature pyramid on its last three stages, and heads that all levels share.

Lin, Goyal, Girshick, He and Dollar: Focal Loss for Dense Object Detection (ICCV 2017). Two things differ, so that weights read
spikes and not sums of currents: ReLUs follow the additions of the pyramid and the convolutions that smooth them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

# How many times smaller pictures are; stages, pyramid, heads. Below 8, channels-last convolutions crash some builds of torch.
SIZES = {
    "small": {"shrink": 1, "widths": (16, 32, 48, 64, 96), "channels": 48, "depth": 2},
    "tiny": {"shrink": 2, "widths": (8, 8, 8, 8, 8), "channels": 8, "depth": 1},  # to try the commands in seconds
}
RARE = 0.01  # the probability of an object that an untrained head gives


def normed(ins: int, outs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution with batch norm."""
    return nn.Sequential(nn.Conv2d(ins, outs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outs))


class Block(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, ins: int, outs: int, stride: int) -> None:
        super().__init__()
        self.first = normed(ins, outs, 3, stride)
        self.second = normed(outs, outs, 3)
        self.shortcut = nn.Identity() if ins == outs and stride == 1 else normed(ins, outs, 1, stride)
        self.inner, self.outer = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.second(self.inner(self.first(x))) + self.shortcut(x))


class Backbone(nn.Module):
    """A narrow ResNet that gives maps of strides 8, 16 and 32."""

    def __init__(self, colours: int, widths: Sequence[int]) -> None:
        super().__init__()
        stem, *stages = widths
        self.stem = nn.Sequential(*normed(colours, stem, 3, 2), nn.ReLU())
        pairs = zip(widths, stages, strict=False)
        self.stages = nn.ModuleList(nn.Sequential(Block(a, b, 2), Block(b, b, 1)) for a, b in pairs)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [self.stem(x)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[-3:]


class Pyramid(nn.Module):
    """From the coarsest map to the finest: each is the map of the backbone and the doubled one above it, smoothed."""

    def __init__(self, widths: Sequence[int], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in widths)
        self.smooth = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in widths)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        levels: list[Tensor] = []
        for place in reversed(range(len(maps))):
            side = self.lateral[place](maps[place])
            levels.insert(0, torch.relu(side if not levels else side + self.upsample(levels[0])))
        return [torch.relu(smooth(level)) for smooth, level in zip(self.smooth, levels, strict=True)]


def tower(channels: int, outs: int, depth: int) -> nn.Sequential:
    """Return a head: convolutions with ReLUs and one that answers."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(channels, outs, 3, padding=1))


def sized(name: str, **task: int) -> RetinaNet:
    """Return a detector of a size by name, for a task of so many colours, classes and anchors."""
    return RetinaNet(**task, **{key: value for key, value in SIZES[name].items() if key != "shrink"})


class RetinaNet(nn.Module):
    """Logits of classes and codes of boxes for each anchor, as maps [batch, anchors * values, height, width] per level."""

    def __init__(
        self,
        classes: int = 10,
        anchors: int = 6,
        colours: int = 1,
        widths: Sequence[int] = (16, 32, 48, 64, 96),
        channels: int = 48,
        depth: int = 2,
    ) -> None:
        super().__init__()
        self.backbone = Backbone(colours, widths)
        self.pyramid = Pyramid(widths[-3:], channels)
        self.classes = tower(channels, anchors * classes, depth)
        self.boxes = tower(channels, anchors * 4, depth)
        nn.init.constant_(self.classes[-1].bias, -math.log((1 - RARE) / RARE))

    def forward(self, x: Tensor) -> dict[str, list[Tensor]]:
        levels = self.pyramid(self.backbone(x))
        return {
            "classes": [self.classes(level) for level in levels],
            "boxes": [self.boxes(level) for level in levels],
        }
