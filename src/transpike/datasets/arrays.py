"""Arrays of samples: `.npz` and `.npy` files, and folders with one for each split."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from transpike.data import Batch
from transpike.datasets.base import ALL, Names, Reading, Split, check_room, in_order, per_batch
from transpike.datasets.images import as_floats, first_line, prepared
from transpike.datasets.splits import known_split
from transpike.errors import DataError
from transpike.files import read_bytes

INPUT_KEYS = ("images", "inputs", "x", "data")
LABEL_KEYS = ("labels", "label", "y", "targets")
WORDS = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Arrays:
    """Samples in arrays, `images` (or `inputs`) and perhaps `labels`; a folder may hold a file for each split.

    Images in uint8 [n, height, width(, channels)] become floats in 0 .. 1, channels first; floats are taken as they are.
    """

    form: ClassVar[str] = "arrays"

    name: str
    files: dict[str, Path]

    @classmethod
    def at(cls, spec: str) -> Self | None:
        """Return the arrays that `spec` names, if it is a file of them, or a folder with a file for each split."""
        path = Path(spec)
        if path.suffix in {".npz", ".npy"}:
            read_bytes_of(path)
            return None if is_recording(path) else cls(spec, {ALL: path})
        if not path.is_dir():
            return None
        found: dict[str, Path] = {}
        for file in sorted(path.iterdir()):
            split = next((s for word in words(file) if (s := known_split(word))), None)
            fits = file.suffix in {".npz", ".npy"} and split is not None and not set(words(file)) & set(LABEL_KEYS)
            if fits and split is not None and not is_recording(file):
                found.setdefault(split, file)
        return cls(spec, found) if found else None

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.files)

    def read(self, split: str, reading: Reading) -> Split:
        path = self.files[split]
        inputs, labels = archived(path) if path.suffix == ".npz" else paired(path)
        return of_arrays(self.form, self.name, split, inputs, labels, reading)


def words(path: Path) -> list[str]:
    """Return the words of a file's name."""
    return [word for word in WORDS.split(path.stem.casefold()) if word]


def read_bytes_of(path: Path) -> None:
    """Raise ArchiveError unless there is such a file."""
    if not path.is_file():
        read_bytes(path, "data file")


def is_recording(path: Path) -> bool:
    """Whether a file holds the columns of an event recording, x, y and t."""
    columns = keys(path) if path.suffix == ".npz" else mapped(path).dtype.names or ()
    return {"x", "y", "t"} <= set(columns)


def archived(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Return inputs and labels of an archive of NumPy; nothing in it is unpickled."""
    found = members(path, (*INPUT_KEYS, *LABEL_KEYS))
    inputs = next((found[key] for key in INPUT_KEYS if key in found), None)
    if inputs is None:
        names = ", ".join(keys(path)) or "nothing"
        raise DataError(f"{path} holds none of {', '.join(INPUT_KEYS)}; it holds {names}.")
    return inputs, next((found[key] for key in LABEL_KEYS if key in found), None)


def keys(path: Path) -> list[str]:
    """Return the names of the arrays in an archive of NumPy."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise DataError(f"{path} is damaged or holds more than arrays of numbers: {first_line(error)}.") from None


def members(path: Path, wanted: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return those of the arrays `wanted` that an archive holds, after checking what they unpack to."""
    read_bytes_of(path)
    there = sorted(set(keys(path)) & set(wanted))
    try:
        check_members(path, there)
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in there}
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file fails in many ways
        raise DataError(f"{path} is damaged or holds more than arrays of numbers: {first_line(error)}.") from None


def check_members(path: Path, names: list[str]) -> None:
    """Raise an error for arrays that unpack to more than there is room for, or than their headers are worth."""
    with zipfile.ZipFile(path) as archive:
        sizes = {name: archive.getinfo(f"{name}.npy").file_size for name in names}
        check_room(sum(sizes.values()), str(path))
        for name, size in sizes.items():
            with archive.open(f"{name}.npy") as file:
                check_header(file, size)


def check_header(file: object, size: int) -> None:
    """Raise ValueError if the header of an array claims more bytes than the `size` that there are."""
    version = np.lib.format.read_magic(file)  # type: ignore[arg-type]
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)  # type: ignore[arg-type]
    claimed = int(np.prod([int(side) for side in shape], dtype=object)) * dtype.itemsize
    if min(shape, default=0) < 0 or claimed > size:
        raise ValueError(f"an array claims {claimed:,} bytes, but there are {size:,}")


def paired(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the inputs in a `.npy` file, mapped from disk, and the labels in the file beside it that is called like it."""
    return mapped(path), next((mapped(one) for one in partners(path) if one.is_file()), None)


def partners(path: Path) -> Iterator[Path]:
    """Yield how the file of labels may be called: `y_train` for `x_train`, `train_labels` for `train_images`.

    >>> [str(one) for one in partners(Path("x_train.npy"))][2]
    'y_train.npy'
    """
    for key in INPUT_KEYS:
        for label in LABEL_KEYS:
            name, changed = re.subn(rf"(?i)(?<![a-z]){key}(?![a-z])", label, path.stem, count=1)
            if changed:
                yield path.with_name(name + path.suffix)
    yield from (path.with_name(f"{path.stem}_{label}{path.suffix}") for label in LABEL_KEYS)


def mapped(path: Path) -> np.ndarray:
    """Return the array in a `.npy` file, mapped from disk."""
    read_bytes_of(path)
    try:
        with path.open("rb") as file:
            check_header(file, path.stat().st_size)
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # noqa: BLE001 - a damaged file fails in many ways
        raise DataError(f"{path} is damaged or holds more than an array of numbers: {first_line(error)}.") from None
    return array


def of_arrays(
    form: str,
    source: str,
    split: str,
    inputs: np.ndarray,
    labels: np.ndarray | None,
    reading: Reading,
    *,
    convert: Callable[[np.ndarray], Tensor] = as_floats,
) -> Split:
    """Return the split of samples in two arrays, converted and prepared batch by batch."""
    if inputs.dtype.kind not in "biuf" or inputs.ndim == 0:
        raise DataError(f"The inputs in {source} must be numbers [samples, ...], not {inputs.dtype} of shape {inputs.shape}.")
    if labels is not None and (labels.ndim == 0 or len(labels) != len(inputs)):
        raise DataError(f"{source} holds {len(inputs)} samples but {0 if labels.ndim == 0 else len(labels)} labels.")
    if not len(inputs):
        raise DataError(f"{source} holds no samples.")
    names, numbers = numbered(labels, reading.preparation.labels, source)
    length = reading.count(len(inputs))
    size = per_batch(convert(inputs[:1])[0])

    def read() -> Iterator[Batch]:
        for start in range(0, length, size):
            rows = slice(start, min(start + size, length))
            yield Batch((prepared(convert(inputs[rows]), reading.preparation),), None if numbers is None else numbers[rows])

    return Split(form, source, split, length, read, names.classes, names.notes)


def numbered(labels: np.ndarray | None, wanted: tuple[str, ...], source: str) -> tuple[Names, Tensor | None]:
    """Return the names of labels, if they are words, and the labels as numbers."""
    if labels is None or labels.dtype.kind in "biuf":
        return Names((), ()), None if labels is None else torch.from_numpy(np.array(labels))
    if labels.dtype.kind not in "US":
        raise DataError(f"The labels in {source} must be numbers or words, not {labels.dtype}.")
    own, places = np.unique(labels.astype(str), return_inverse=True)
    names = in_order(tuple(map(str, own)), wanted, source)
    return names, torch.tensor(names.labels)[torch.from_numpy(places)]
