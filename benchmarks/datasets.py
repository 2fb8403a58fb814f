"""Real data, read from the folder that TRANSPIKE_DATA names."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import re
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import torch

MEAN = torch.tensor([0.485, 0.456, 0.406])
STD = torch.tensor([0.229, 0.224, 0.225])
IDS, LENGTH = 2500, 500  # of a review: 0 = padding, 1 = a word outside the vocabulary


def data_folder() -> Path:
    folder = os.environ.get("TRANSPIKE_DATA")
    if not folder or not Path(folder).is_dir():
        sys.exit("Set TRANSPIKE_DATA to the folder with the data sets and weights (cifar10/, mnist/, weights/ ...).")
    return Path(folder)


def normalised(images: np.ndarray) -> torch.Tensor:
    """uint8 [n, height, width, 3] -> float [n, 3, height, width] as the checkpoints were trained."""
    x = torch.from_numpy(images).float() / 255
    return ((x - MEAN) / STD).permute(0, 3, 1, 2).contiguous()


def cifar10_test(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first `count` images of the CIFAR-10 test set."""
    with np.load(data_folder() / "cifar10" / "cifar10_test.npz") as file:
        return normalised(file["images"][:count]), torch.from_numpy(file["labels"][:count])


def cifar10_train(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """`count` of the first 5,000 training images, drawn with a seed."""
    from PIL import Image

    folder = data_folder() / "cifar10"
    tiles = np.asarray(Image.open(folder / "train_images_00.webp").convert("RGB"))
    images = tiles.reshape(50, 32, 100, 32, 3).transpose(0, 2, 1, 3, 4).reshape(-1, 32, 32, 3)
    with np.load(folder / "train_labels.npz") as file:
        labels = file["labels"][: len(images)]
    chosen = np.random.default_rng(seed).permutation(len(images))[:count]
    return normalised(images[chosen]), torch.from_numpy(labels[chosen])


def mnist(split: str, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first `count` images [n, 1, 28, 28] of MNIST in [0, 1], and their labels; `split` is "train" or "t10k"."""
    parts = []
    for kind, header in (("images-idx3", 16), ("labels-idx1", 8)):
        with gzip.open(data_folder() / "mnist" / f"{split}-{kind}-ubyte.gz") as file:
            parts.append(np.frombuffer(file.read(), np.uint8, offset=header))
    images = torch.from_numpy(parts[0].reshape(-1, 1, 28, 28)[:count].copy()).float() / 255
    return images, torch.from_numpy(parts[1][:count].copy()).long()


def speech_commands() -> tuple[torch.Tensor, torch.Tensor]:
    """1,000 samples of Speech Commands, 49 frames of 10 coefficients [1000, 49, 10], and their labels of 12 classes.

    Each coefficient is standardised over all samples and frames.
    """
    with np.load(data_folder() / "speech" / "kws01_mfcc_1000.npz") as file:
        x = torch.from_numpy(file["x_int8"].reshape(-1, 49, 10).astype(np.float32))
        return (x - x.mean((0, 1))) / x.std((0, 1)), torch.from_numpy(file["y"])


def cifar10_train_all() -> tuple[torch.Tensor, torch.Tensor]:
    """All 50,000 training images as uint8 [n, height, width, 3], and their labels."""
    from PIL import Image

    folder = data_folder() / "cifar10"
    tiles = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.glob("train_images_*.webp"))]
    parts = [tile.reshape(50, 32, 100, 32, 3).transpose(0, 2, 1, 3, 4).reshape(-1, 32, 32, 3) for tile in tiles]
    with np.load(folder / "train_labels.npz") as file:
        return torch.from_numpy(np.concatenate(parts)), torch.from_numpy(file["labels"])


class Augmented:
    """Shuffled batches of images, each cropped at random after padding by 4 and flipped at random: as the models were trained.

    All random numbers are torch's global ones, so that a run that restores them goes on as it would have.
    """

    def __init__(self, images: torch.Tensor, labels: torch.Tensor, batch: int):
        self.padded = torch.nn.functional.pad(images, (0, 0, 4, 4, 4, 4))
        self.labels = labels
        self.batch = batch

    def __len__(self):
        return len(self.labels) // self.batch

    def __iter__(self):
        order = torch.randperm(len(self.labels))
        for rows in order[: len(self) * self.batch].split(self.batch):
            yield self.cut(rows), self.labels[rows]

    def cut(self, rows: torch.Tensor) -> torch.Tensor:
        """Float [batch, 3, 32, 32], normalised, with the channels last in memory."""
        down, right = torch.randint(0, 9, (2, len(rows), 1))
        across = torch.arange(32).expand(len(rows), 32)
        across = torch.where(torch.rand(len(rows), 1) < 0.5, 31 - across, across)
        images = self.padded[rows[:, None, None], (down + torch.arange(32))[:, :, None], (right + across)[:, None, :]]
        return ((images.float() / 255 - MEAN) / STD).permute(0, 3, 1, 2)


@cache
def reviews_of(split: str) -> tuple[list[str], list[int]]:
    """The texts of the 5,000 IMDb reviews of "train" or "test" in small letters, and their labels (1 = positive)."""
    with lzma.open(data_folder() / "imdb" / f"imdb_{split}_5000.jsonl.xz", "rt", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return [re.sub(r"<br\s*/?>", " ", line["text"].lower()) for line in lines], [line["label"] for line in lines]


@cache
def review_words(split: str) -> tuple[list[list[str]], list[int]]:
    """The words of each of these reviews, and their labels."""
    texts, labels = reviews_of(split)
    return [re.findall(r"[a-z0-9]+(?:'[a-z]+)*", text) for text in texts], labels


@cache
def vocabulary() -> dict[str, int]:
    """The ids of the most frequent words of the training reviews, from 2 on."""
    counts = Counter(word for words in review_words("train")[0] for word in words)
    return {word: i for i, (word, _) in enumerate(counts.most_common(IDS - 2), start=2)}


def reviews(split: str, count: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """The last 500 words of the first `count` reviews as ids [n, 500], padded in front, and their labels."""
    words, labels = review_words(split)
    ids = torch.zeros(len(words[:count]), LENGTH, dtype=torch.int64)
    for row, review in zip(ids, words[:count], strict=True):
        known = torch.tensor([vocabulary().get(word, 1) for word in review[-LENGTH:]], dtype=torch.int64)
        row[LENGTH - len(known) :] = known
    return ids, torch.tensor(labels[:count])
