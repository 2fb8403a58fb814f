"""Digits scattered over canvases: one to five digits of MNIST, one to three times their size, with tight boxes."""

from __future__ import annotations

import functools
import gzip
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anchors import Anchors

SIDE = 128
MOST = 5  # digits on a canvas
SCALES = (1.0, 3.0)
TRIES = 20  # to find room for a digit
INK = 0.2  # pixels darker than this belong to a digit


@functools.cache
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
    pictures = np.zeros((count, 1, side, side), np.float32)
    targets = torch.full((count, MOST, 5), -1.0)
    shown, kinds = images.numpy(), labels.tolist()
    for index in range(count):
        for place, row in enumerate(fill(pictures[index, 0], shown, kinds, np.random.default_rng([seed, index]))):
            targets[index, place] = torch.tensor(row)
    return torch.from_numpy(pictures), targets


def fill(picture: np.ndarray, images: np.ndarray, labels: list[int], draw: np.random.Generator) -> list[tuple[float, ...]]:
    """Put one to five digits on a picture [side, side] and return their boxes and classes; one without room is left out."""
    wanted = int(draw.integers(1, MOST + 1))
    rows: list[tuple[float, ...]] = []
    for _ in range(TRIES):
        which = int(draw.integers(len(images)))
        digit = cropped(images[which], float(draw.uniform(*SCALES)))
        height, width = digit.shape
        if max(height, width) > len(picture):
            continue
        top, left = (int(draw.integers(len(picture) - size + 1)) for size in (height, width))
        right, bottom = left + width, top + height
        if all(left >= row[2] or right <= row[0] or top >= row[3] or bottom <= row[1] for row in rows):
            picture[top:bottom, left:right] = digit
            rows.append((float(left), float(top), float(right), float(bottom), float(labels[which])))
        if len(rows) == wanted:
            break
    return rows


def cropped(image: np.ndarray, scale: float) -> np.ndarray:
    """Return a digit enlarged and cut out tightly around its ink."""
    enlarge = enlarging(len(image), round(len(image) * scale))
    large = enlarge @ image @ enlarge.T
    rows, columns = (np.flatnonzero((large > INK).any(axis)) for axis in (1, 0))
    return large[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@functools.cache
def enlarging(before: int, after: int) -> np.ndarray:
    """Return the matrix [after, before] of linear interpolation."""
    return torch.nn.functional.interpolate(torch.eye(before)[None], size=after, mode="linear")[0].T.contiguous().numpy()


@dataclass(frozen=True)
class Digits:
    """Digits on canvases, others for each part: test digits to judge by, training digits for all else."""

    shrink: int = 1

    names = tuple("0123456789")
    channels = 1
    anchors = Anchors()

    def training(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return canvases to learn from; the same seed gives the same."""
        return self.drawn("train", count, 1000 + seed)

    def calibration(self, count: int) -> tuple[Tensor, Tensor]:
        """Return canvases of training digits to calibrate with."""
        return self.drawn("train", count, 1)

    def choice(self, count: int) -> tuple[Tensor, Tensor]:
        """Return other canvases of training digits."""
        return self.drawn("train", count, 2)

    def test(self, count: int) -> tuple[Tensor, Tensor]:
        """Return canvases of test digits."""
        return self.drawn("test", count, 3)

    def drawn(self, split: str, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return canvases of one split of MNIST."""
        return canvases(*mnist(split), count, seed, SIDE // self.shrink)
