"""The handwritten digits that come with scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from transpike.datasets.arrays import of_arrays
from transpike.datasets.base import Reading, Split
from transpike.datasets.splits import TEST, TRAIN


@dataclass(frozen=True)
class Digits:
    """Handwritten digits [n, 1, 8, 8] in 0 .. 1: 1,437 to train on, 360 to test."""

    form: ClassVar[str] = "bundled digits"

    name: str = "digits"
    splits: tuple[str, ...] = (TRAIN, TEST)

    @classmethod
    def at(cls, spec: str) -> Self | None:
        """Return them if they are what `spec` names."""
        return cls() if spec == "digits" else None

    def read(self, split: str, reading: Reading) -> Split:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        bunch = load_digits()
        images = bunch.images.astype(np.float32)[:, None] / 16
        rows = train_test_split(np.arange(len(images)), test_size=360, random_state=0, stratify=bunch.target)
        chosen = np.sort(rows[0] if split == TRAIN else rows[1])
        return of_arrays(self.form, self.name, split, images[chosen], bunch.target[chosen], reading)
