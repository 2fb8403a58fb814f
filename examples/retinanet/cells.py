"""Blood cells under the microscope: 75 photographs of the BCCD data set with boxes around white and red cells and platelets."""

from __future__ import annotations

import functools
import io
import itertools
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from anchors import Anchors

WIDTH, HEIGHT = 256, 192  # of a whole picture, scaled down
WIDE, HIGH = (0.62, 0.88), (0.83, 1.0)  # of a training window, as shares of the picture
LEFT_OVER = 0.3  # a box of which a window shows a smaller share is left out
GAIN, SHIFT = 0.15, 0.05  # how far the brightness of a colour, and of all, is changed

Window = tuple[float, float, float, float]


@dataclass(frozen=True)
class Photograph:
    """A picture and its boxes [n, 5]: left, top, right, bottom, class, in its own pixels."""

    picture: Image.Image
    boxes: np.ndarray

    def seen(self, window: Window, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        """Return what a window shows, scaled to [3, height, width] in [0, 1], and its boxes, cut off at the edges."""
        left, top, right, bottom = window
        small = self.picture.resize((width, height), Image.Resampling.BILINEAR, box=window)
        scale = np.array([width / (right - left), height / (bottom - top)] * 2)
        moved = (self.boxes[:, :4] - [left, top, left, top]) * scale
        cut = np.clip(moved, 0, [width, height, width, height])
        before, after = ((one[:, 2:] - one[:, :2]).prod(1) for one in (moved, cut))
        kept = after >= LEFT_OVER * before
        pixels = np.asarray(small, np.float32).transpose(2, 0, 1) / 255
        return pixels, np.concatenate([cut, self.boxes[:, 4:]], 1)[kept]

    def whole(self, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        """Return all of it, scaled."""
        return self.seen((0.0, 0.0, *map(float, self.picture.size)), width, height)

    def changed(self, draw: np.random.Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a window somewhere, scaled to a square, mirrored and turned at random, in other light."""
        wide, high = (size * draw.uniform(*share) for size, share in zip(self.picture.size, (WIDE, HIGH), strict=True))
        left, top = draw.uniform(0, self.picture.width - wide), draw.uniform(0, self.picture.height - high)
        pixels, boxes = self.seen((left, top, left + wide, top + high), side, side)
        for wanted, change in zip(draw.random(3) < 0.5, (mirrored, swapped, mirrored), strict=True):
            pixels, boxes = change(pixels, boxes) if wanted else (pixels, boxes)
        light = draw.uniform(1 - GAIN, 1 + GAIN, (3, 1, 1)) * pixels + draw.uniform(-SHIFT, SHIFT)
        return light.clip(0, 1).astype(np.float32), boxes


def mirrored(pixels: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture and its boxes with left and right exchanged."""
    width = pixels.shape[2]
    return pixels[:, :, ::-1], np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], *boxes[:, 3:].T], 1)


def swapped(pixels: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture and its boxes with rows and columns exchanged."""
    return pixels.transpose(0, 2, 1), boxes[:, [1, 0, 3, 2, 4]]


@functools.cache
def photographs() -> list[Photograph]:
    """Return all photographs, in the order of the file."""
    path = Path(os.environ.get("TRANSPIKE_DATA", "")) / "detection" / "bccd_75.npz"
    if not path.is_file():
        sys.exit(f"There is no {path}: set TRANSPIKE_DATA to the folder that holds detection/ with bccd_75.npz.")
    found = []
    with np.load(path, allow_pickle=False) as file:
        data, offsets, boxes = file["jpeg"], file["offsets"].tolist(), file["boxes"]
    for index, (first, last) in enumerate(itertools.pairwise(offsets)):
        rows = boxes[boxes[:, 0] == index][:, [2, 3, 4, 5, 1]].astype(np.float64)
        found.append(Photograph(Image.open(io.BytesIO(data[first:last].tobytes())).convert("RGB"), rows))
    return found


def part_of(index: int) -> str:
    """Return what the photograph of an index is for: of each fifteen three to judge by, one to choose by, eleven to learn from.

    >>> [part_of(index) for index in range(6)]
    ['test', 'choice', 'training', 'training', 'training', 'test']
    """
    return "test" if index % 5 == 0 else "choice" if index % 15 == 1 else "training"


def together(views: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[Tensor, Tensor]:
    """Return pictures [n, 3, h, w] and targets [n, objects, 5]; class -1 is none."""
    targets = [torch.from_numpy(boxes).float() for _, boxes in views]
    pictures = torch.from_numpy(np.stack([pixels for pixels, _ in views]))
    return pictures, torch.nn.utils.rnn.pad_sequence(targets, batch_first=True, padding_value=-1.0)


@dataclass(frozen=True)
class Cells:
    """Blood cells: 55 photographs to learn from, which also calibrate, 5 others to choose by and 15 to judge by."""

    shrink: int = 1

    names = ("WBC", "RBC", "Platelets")
    channels = 3
    anchors = Anchors(ratios=(0.7, 1.0, 1.4))

    def training(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return windows of training photographs, changed at random; the same seed gives the same."""
        draw = np.random.default_rng(seed)
        part = self.part("training")
        return together([part[draw.integers(len(part))].changed(draw, HEIGHT // self.shrink) for _ in range(count)])

    def calibration(self, count: int) -> tuple[Tensor, Tensor]:
        """Return the first training photographs, whole."""
        return self.whole("training", count)

    def choice(self, count: int) -> tuple[Tensor, Tensor]:
        """Return photographs that nothing was trained or calibrated on."""
        return self.whole("choice", count)

    def test(self, count: int) -> tuple[Tensor, Tensor]:
        """Return test photographs."""
        return self.whole("test", count)

    def part(self, name: str) -> list[Photograph]:
        """Return the photographs of a part."""
        return [one for index, one in enumerate(photographs()) if part_of(index) == name]

    def whole(self, name: str, count: int) -> tuple[Tensor, Tensor]:
        """Return at most `count` whole photographs of a part."""
        return together([one.whole(WIDTH // self.shrink, HEIGHT // self.shrink) for one in self.part(name)[:count]])
