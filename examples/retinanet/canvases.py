"""Digits scattered over canvases: one to five digits of MNIST, one to three times their size, with tight boxes."""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

SIDE = 128
MOST = 5  # digits on a canvas
SCALES = (1.0, 3.0)
TRIES = 20  # to find room for a digit
INK = 0.2  # pixels darker than this belong to a digit


def mnist(split: str) -> tuple[Tensor, Tensor]:
    """Return the images [n, 28, 28] of MNIST in [0, 1] and their labels; `split` is "train" or "test"."""
    folder = Path(os.environ.get("TRANSPIKE_DATA", "")) / "mnist"
    prefix = {"train": "train", "test": "t10k"}[split]
    parts = []
    for kind, header in (("images-idx3", 16), ("labels-idx1", 8)):
        path = folder / f"{prefix}-{kind}-ubyte.gz"
        if not path.is_file():
            sys.exit(f"There is no {path}: set TRANSPIKE_DATA to the folder that holds mnist/ with the four idx files.")
        with gzip.open(path) as file:
            parts.append(np.frombuffer(file.read(), np.uint8, offset=header))
    images = torch.from_numpy(parts[0].reshape(-1, 28, 28).astype(np.float32) / 255)
    return images, torch.from_numpy(parts[1].astype(np.int64))


def canvases(images: Tensor, labels: Tensor, count: int, seed: int, side: int = SIDE) -> tuple[Tensor, Tensor]:
    """Return canvases [count, 1, side, side] and targets [count, 5, 5]: left, top, right, bottom, class; class -1 is none.

    The same seed gives the same canvases. Boxes of digits do not overlap.
    """
    pictures, targets = torch.zeros(count, 1, side, side), torch.full((count, MOST, 5), -1.0)
    for index in range(count):
        draw = np.random.default_rng([seed, index])
        fill(pictures[index, 0], targets[index], images, labels, draw)
    return pictures, targets


def fill(picture: Tensor, target: Tensor, images: Tensor, labels: Tensor, draw: np.random.Generator) -> None:
    """Put one to five digits on a picture [side, side] and note their boxes; a digit without room is left out."""
    wanted, placed = int(draw.integers(1, MOST + 1)), 0
    for _ in range(TRIES):
        which = int(draw.integers(len(images)))
        digit = cropped(images[which], float(draw.uniform(*SCALES)))
        height, width = digit.shape
        if max(height, width) > len(picture):
            continue
        top, left = (int(draw.integers(len(picture) - size + 1)) for size in (height, width))
        box = torch.tensor([left, top, left + width, top + height], dtype=torch.float32)
        if not overlapping(box, target[:placed, :4]):
            picture[top : top + height, left : left + width] = digit
            target[placed, :4], target[placed, 4] = box, float(labels[which])
            placed += 1
        if placed == wanted:
            return


def cropped(image: Tensor, scale: float) -> Tensor:
    """Return a digit enlarged and cut out tightly around its ink."""
    size = round(len(image) * scale)
    options = {"size": (size, size), "mode": "bilinear", "align_corners": False}
    large = torch.nn.functional.interpolate(image[None, None], **options)[0, 0]
    rows, columns = (large > INK).any(1).nonzero(), (large > INK).any(0).nonzero()
    return large[int(rows[0]) : int(rows[-1]) + 1, int(columns[0]) : int(columns[-1]) + 1]


def overlapping(box: Tensor, others: Tensor) -> bool:
    """Say whether a box overlaps any of the others [n, 4]."""
    apart = (box[0] >= others[:, 2]) | (box[2] <= others[:, 0]) | (box[1] >= others[:, 3]) | (box[3] <= others[:, 1])
    return not bool(apart.all())
