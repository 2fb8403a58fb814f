"""Read the graph in a NIR file without trusting it: plain numbers and short texts, of a size that was checked before."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transpike.errors import ArchiveError, require
from transpike.files import read_bytes

LARGEST = 1 << 31  # bytes that all arrays of a file may have together
MOST_NODES = 10_000
PATIENCE = 120  # seconds for a process to read a file
LONGEST = 1 << 16  # characters of a text


class DamagedError(Exception):
    """A file that is no NIR graph; the message says why."""


@dataclass(frozen=True)
class Record:
    """A node of a NIR graph: its kind, its parameters, what its writer noted."""

    kind: str
    values: Mapping[str, Any]
    facts: Mapping[str, Any]

    def array(self, name: str) -> np.ndarray:
        """Return a parameter as an array in float32 without NaN or infinity."""
        if name not in self.values:
            raise DamagedError(f"{self.kind} lacks its {name}")
        value = np.asarray(self.values[name])
        if value.dtype.kind not in "fiub":
            raise DamagedError(f"the {name} of {self.kind} is no array of numbers")
        result = value.astype(np.float32)
        if not np.isfinite(result).all():
            raise DamagedError(f"the {name} of {self.kind} is not finite")
        return result

    def numbers(self, name: str, count: int) -> tuple[int, ...]:
        """Return a parameter as `count` whole numbers; a single one stands for all."""
        value = self.array(name).ravel()
        if len(value) not in {1, count} or bool((value != np.round(value)).any()) or bool((value < 0).any()):
            raise DamagedError(f"the {name} of {self.kind} is not {count} whole numbers from 0")
        return tuple(int(each) for each in (value if len(value) == count else np.repeat(value, count)))


@dataclass(frozen=True)
class Graph:
    """A NIR graph as it stands in a file."""

    nodes: Mapping[str, Record]
    edges: tuple[tuple[str, str], ...]
    facts: Mapping[str, Any]


def read_graph(path: Path) -> Graph:
    """Return the graph in a NIR file; raise ArchiveError, with the reason, if there is none that can be trusted."""
    h5py = require("h5py", "nir", "Reading NIR files")
    read_bytes(path, "NIR file")
    try:
        with h5py.File(path, "r") as file:
            return graph_in(h5py, file)
    except DamagedError as error:
        raise ArchiveError(f"{path} cannot be read as NIR: {error}.") from None
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, OverflowError, MemoryError) as error:
        raise ArchiveError(f"{path} is damaged or no NIR file: {(str(error) or repr(error)).splitlines()[0]}.") from None


def survived(path: Path) -> None:
    """Raise ArchiveError if reading a file crashes the HDF5 library or takes it forever: tried in a process of its own."""
    command = [sys.executable, "-P", str(Path(__file__).with_name("probe.py")), str(path)]
    try:
        tried = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)  # noqa: S603 - our own program
    except subprocess.TimeoutExpired:
        raise ArchiveError(f"{path} is damaged: reading it takes the HDF5 library more than {PATIENCE} s.") from None
    if tried.returncode < 0:
        raise ArchiveError(f"{path} is damaged: reading it crashes the HDF5 library.")


def graph_in(h5py: Any, file: Any) -> Graph:
    """Return the graph in an open file."""
    check_size(h5py, file)
    if "node" not in file or text(file["node"], "type") != "NIRGraph":
        raise DamagedError("it holds no NIRGraph")
    root = file["node"]
    if not isinstance(root.get("nodes"), h5py.Group) or "edges" not in root:
        raise DamagedError("its graph has no nodes or no edges")
    nodes = {name: record(h5py, group) for name, group in root["nodes"].items()}
    pairs = np.asarray(root["edges"][()])
    if pairs.size and (pairs.ndim != 2 or pairs.shape[1] != 2):  # noqa: PLR2004 - from, to
        raise DamagedError("its edges are no pairs")
    edges = tuple((worded(a), worded(b)) for a, b in pairs) if pairs.size else ()
    return Graph(nodes, edges, plain(h5py, root["metadata"]) if "metadata" in root else {})


def check_size(h5py: Any, file: Any) -> None:
    """Raise DamagedError for links that lead elsewhere, and for arrays whose sizes no network has."""
    total, waiting, count = 0, [file], 0
    while waiting:
        group = waiting.pop()
        for name in group:
            count += 1
            if count > MOST_NODES * 12:
                raise DamagedError("it has too many entries")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise DamagedError(f"{name!r} is a link to elsewhere")
            entry = group[name]
            if isinstance(entry, h5py.Group):
                waiting.append(entry)
            elif not isinstance(entry, h5py.Dataset) or entry.external:
                raise DamagedError(f"{name!r} is stored elsewhere or is no array")
            else:
                total += max(entry.size or 0, 1) * max(entry.dtype.itemsize, 1)
            if total > LARGEST:
                raise DamagedError(f"its arrays have more than {LARGEST >> 30} GiB together")


def record(h5py: Any, group: Any) -> Record:
    """Return one node."""
    if not isinstance(group, h5py.Group):
        raise DamagedError("a node of it is no group")
    facts = plain(h5py, group["metadata"]) if "metadata" in group else {}
    return Record(text(group, "type"), plain(h5py, group), facts)


def plain(h5py: Any, group: Any) -> dict[str, Any]:
    """Return the arrays, numbers and texts in a group."""
    found = {}
    for name, entry in group.items():
        if isinstance(entry, h5py.Dataset):
            value = entry[()]
            found[name] = worded(value) if isinstance(value, bytes) else value
    return found


def text(group: Any, name: str) -> str:
    """Return a text in a group."""
    value = group[name][()] if name in group else b""
    return worded(value)


def worded(value: Any) -> str:
    """Return a text."""
    if not isinstance(value, bytes | str) or len(value) > LONGEST:
        raise DamagedError("a name in it is no short text")
    return value.decode() if isinstance(value, bytes) else value
