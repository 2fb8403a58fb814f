"""The idx files of MNIST and its relatives."""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np

from transpike.datasets.arrays import of_arrays
from transpike.datasets.base import ALL, Reading, Split, check_room
from transpike.datasets.splits import known_split
from transpike.errors import DataError

NAMES = re.compile(r"^(?P<split>.*?)[-_.]?(?P<what>images|labels)[-.]idx(?P<axes>[1-4])[-.]ubyte(?P<packed>\.gz)?$")
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


class Readable(Protocol):
    """A file that is open for reading."""

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        ...


@dataclass(frozen=True)
class Idx:
    """Images and labels in idx files, such as `train-images-idx3-ubyte.gz`: one of them, or a folder with all.

    Source of the format: LeCun, Cortes, Burges: The MNIST database. A magic number says the type and the number of axes,
    then follow the sides, big-endian.
    """

    form: ClassVar[str] = "idx files"

    name: str
    files: dict[str, Path]

    @classmethod
    def at(cls, spec: str) -> Self | None:
        """Return the idx files that `spec` names, if it is one, or a folder that holds some."""
        path = Path(spec)
        if path.is_dir():
            found: dict[str, Path] = {}
            for file in sorted(path.iterdir()):
                parts = NAMES.match(file.name)
                if parts and parts["what"] == "images":
                    found.setdefault(split_of(parts["split"]), file)
            return cls(spec, found) if found else None
        parts = NAMES.match(path.name)
        if parts is None or not path.is_file():
            return None
        if parts["what"] == "labels":
            raise DataError(f"{spec} holds labels: name the file of images, whose labels are found beside it.")
        return cls(spec, {split_of(parts["split"]): path})

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.files)

    def read(self, split: str, reading: Reading) -> Split:
        path = self.files[split]
        beside = labels_of(path)
        labels = None if beside is None else read_idx(beside)
        if labels is not None and labels.ndim != 1:
            raise DataError(f"{beside} holds no labels, but an array of shape {labels.shape}.")
        return of_arrays(self.form, str(path), split, read_idx(path), labels, reading)


def split_of(prefix: str) -> str:
    """Return the split that the beginning of a file's name stands for."""
    return known_split(prefix) or prefix or ALL


def labels_of(path: Path) -> Path | None:
    """Return the file of labels beside a file of images, packed or not, if there is one."""
    parts = NAMES.match(path.name)
    if parts is None:
        return None
    for file in sorted(path.parent.iterdir()):
        other = NAMES.match(file.name)
        if other and other["what"] == "labels" and other["split"] == parts["split"]:
            return file
    return None


def read_idx(path: Path) -> np.ndarray:
    """Return the array in an idx file, perhaps packed by gzip: no more is unpacked than its header says. Raises DataError."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return array_in(file, path)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise DataError(f"{path} is damaged: {error}.") from None


def array_in(file: Readable, path: Path) -> np.ndarray:
    """Return the array in an open idx file."""
    magic = file.read(4)
    if len(magic) != 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or not magic[3]:  # noqa: PLR2004 - bytes
        raise DataError(f"{path} is no idx file: it begins with {magic.hex() or 'nothing'}, which is no magic number of them.")
    shape = struct.unpack(f">{magic[3]}I", file.read(4 * magic[3]))
    dtype = np.dtype(TYPES[magic[2]])
    size = math.prod(shape) * dtype.itemsize
    check_room(size, str(path))
    content = file.read(size + 1)
    if len(content) != size:
        words = "more follow" if len(content) > size else f"it holds {len(content):,}"
        raise DataError(f"{path} is damaged: its header {shape} needs {size:,} bytes, but {words}.")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
