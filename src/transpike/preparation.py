"""How the inputs of a model were prepared in training, as far as its user or its files say."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from transpike.errors import ArgumentError


@dataclass(frozen=True)
class Scaling:
    """How images were normalised in training: (x - mean) / std per channel."""

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __call__(self, images: Tensor) -> Tensor:
        """Scale images [n, channels, height, width]."""
        for name, values, neutral in (("mean", self.mean, 0.0), ("std", self.std, 1.0)):
            if len(values) not in {0, 1, images.shape[1]}:
                raise ArgumentError(f"--{name} has {len(values)} values for {images.shape[1]} channels.")
            if name == "std" and any(value <= 0 for value in values):
                raise ArgumentError(f"--std must be positive, not {values}.")
            spread = torch.tensor(values or (neutral,)).reshape(-1, 1, 1)
            images = images - spread if name == "mean" else images / spread
        return images


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What turns raw samples into the inputs of a model: scaling and size of images, the tokenizer of texts, the rate of audio.

    `size` is height and width; `text` and `audio` are folders that hold a tokenizer and a feature extractor in the files of
    Hugging Face; `length` is the most tokens of a text; `labels` name the classes, in the order of the outputs.
    """

    scaling: Scaling = field(default_factory=Scaling)
    size: tuple[int, int] | None = None
    text: Path | None = None
    audio: Path | None = None
    length: int | None = None
    labels: tuple[str, ...] = ()
