"""A program of its own: read all of an HDF5 file, so that one that crashes the HDF5 library crashes this process alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import h5py

LARGEST = 1 << 31  # bytes that all arrays together may have


def arrays(group: Any) -> Iterator[Any]:
    """Yield the arrays in a group and the groups in it, without following links."""
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.HardLink):
            entry = group[name]
            yield from arrays(entry) if isinstance(entry, h5py.Group) else (entry,)


def probe(path: str) -> None:
    """Read every array of a file, if all of them together are of a size to be read."""
    with h5py.File(path, "r") as file:
        found = list(arrays(file))
        if sum((entry.size or 0) * entry.dtype.itemsize for entry in found) <= LARGEST:
            for entry in found:
                entry[()]


if __name__ == "__main__":
    try:
        probe(sys.argv[1])
    except Exception as error:  # noqa: BLE001 - whoever reads the file next says what is wrong with it
        print(error)  # noqa: T201 - a program of its own
