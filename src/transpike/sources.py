"""Data named by text, as on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from transpike.data import Batch
from transpike.errors import ArgumentError, DataError
from transpike.files import read_bytes
from transpike.preparation import Scaling

INPUT_KEYS = ("images", "inputs", "x", "data")
LABEL_KEYS = ("labels", "label", "y", "targets")


def load_data(spec: str, split: str, count: int | None = None, scaling: Scaling | None = None) -> Batch:
    """Return the data that `spec` names: "digits" (bundled; split "train" or "test") or an `.npz` file.

    An `.npz` holds `images` or `inputs`, and perhaps `labels`. Images in uint8 [n, height, width(, channels)] become
    floats in 0 .. 1, channels first; floats are taken as they are. `count` keeps the first samples only. Raises DataError.
    """
    batch = digits(split) if spec == "digits" else read_npz(Path(spec))
    if scaling is not None and (scaling.mean or scaling.std):
        batch = Batch(tuple(scaling(x) for x in batch.inputs), batch.labels)
    if count is not None and count < 1:
        raise ArgumentError(f"The number of samples must be at least 1, not {count}.")
    return batch if count is None else batch[:count]


def read_npz(path: Path) -> Batch:
    """Return the samples in a NumPy archive; nothing in it is unpickled."""
    if path.suffix != ".npz":
        raise DataError(f"Data {str(path)!r} must be 'digits' or an .npz file with images or inputs, and labels.")
    read_bytes(path, "data file")
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {key: file[key] for key in (*INPUT_KEYS, *LABEL_KEYS) if key in file.files}
            names = list(file.files)
    except Exception as error:  # noqa: BLE001 - a damaged file fails in many ways
        raise DataError(f"{path} is damaged or holds more than arrays of numbers: {error}") from None
    inputs = next((found[key] for key in INPUT_KEYS if key in found), None)
    labels = next((found[key] for key in LABEL_KEYS if key in found), None)
    if inputs is None:
        raise DataError(f"{path} holds none of {', '.join(INPUT_KEYS)}; it holds {', '.join(names) or 'nothing'}.")
    if labels is not None and len(labels) != len(inputs):
        raise DataError(f"{path} holds {len(inputs)} samples but {len(labels)} labels.")
    return Batch((as_floats(inputs),), None if labels is None else torch.from_numpy(labels))


def as_floats(values: np.ndarray) -> Tensor:
    """Return uint8 images as floats, channels first; other values as they are."""
    tensor = torch.from_numpy(values)
    if tensor.dtype == torch.float16:
        return tensor.float()
    if tensor.dtype != torch.uint8:
        return tensor
    tensor = tensor[..., None] if tensor.ndim == 3 else tensor  # noqa: PLR2004 - [n, height, width]
    scaled = tensor.float() / 255
    return scaled.permute(0, 3, 1, 2).contiguous() if scaled.ndim == 4 else scaled  # noqa: PLR2004 - [n, h, w, channels]


def digits(split: str) -> Batch:
    """Return scikit-learn's bundled handwritten digits [n, 1, 8, 8] in 0 .. 1: 1,437 to train on, 360 to test."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    images = torch.from_numpy(bunch.images).float()[:, None] / 16
    rows = train_test_split(np.arange(len(images)), test_size=360, random_state=0, stratify=bunch.target)
    chosen = np.sort(rows[0] if split == "train" else rows[1])
    return Batch((images[chosen],), torch.from_numpy(bunch.target)[chosen])
