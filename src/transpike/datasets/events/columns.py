"""Event recordings as columns x, y, t and p of NumPy, as tonic has them, and the files of N-MNIST."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from transpike.datasets.arrays import mapped, members
from transpike.datasets.events.binning import Events
from transpike.errors import DataError

COLUMNS = ("x", "y", "t", "p")
NMNIST = (34, 34)  # its sensor's height and width
WORD = 5  # bytes of an event there


def from_npy(path: Path) -> Events:
    """Return the recording in a structured array of fields x, y, t and perhaps p; raises DataError."""
    array = mapped(path)
    fields = array.dtype.names or ()
    if not {"x", "y", "t"} <= set(fields):
        have = ", ".join(fields) or f"an array of {array.dtype}"
        raise DataError(f"{path} is no event recording: it needs fields x, y, t and perhaps p, and has {have}.")
    return of_columns({name: np.array(array[name]) for name in COLUMNS if name in fields}, path)


def from_npz(path: Path) -> Events:
    """Return the recording in arrays x, y, t and perhaps p of an archive; raises DataError."""
    found = members(path, (*COLUMNS, "size"))
    if not {"x", "y", "t"} <= found.keys():
        raise DataError(f"{path} is no event recording: it needs arrays x, y, t and perhaps p, and has {', '.join(found)}.")
    size = found.pop("size", None)
    events = of_columns(found, path)
    if size is None:
        return events
    if size.shape != (2,) or size.dtype.kind not in "iu":
        raise DataError(f"The size of the sensor in {path} must be two whole numbers, height and width.")
    return Events(events.x, events.y, events.t, events.p, (int(size[0]), int(size[1])))


def of_columns(columns: dict[str, np.ndarray], path: Path) -> Events:
    """Return events of columns, after checking that they are whole numbers of one length."""
    lengths = {name: column.shape for name, column in columns.items()}
    if any(len(shape) != 1 for shape in lengths.values()) or len(set(lengths.values())) > 1:
        raise DataError(f"The columns of {path} differ in length: {', '.join(f'{name} {s}' for name, s in lengths.items())}.")
    for name, column in columns.items():
        if column.dtype.kind not in ("biu" if name == "p" else "iu"):
            raise DataError(f"Column {name} of {path} holds {column.dtype}, not whole numbers (t in microseconds).")
    polarity = columns.get("p")
    x, y, t = (columns[name].astype(np.int64) for name in ("x", "y", "t"))
    return Events(x, y, t, None if polarity is None else polarity > 0)


def from_bin(path: Path) -> Events:
    """Return a recording of N-MNIST: five bytes an event, 8 bits x, 8 bits y, the polarity and 23 bits of microseconds.

    Source: Orchard et al. 2015 (Frontiers in Neuroscience), Converting static image datasets to spiking neuromorphic datasets.
    """
    content = np.fromfile(path, np.uint8)
    if len(content) % WORD:
        raise DataError(f"{path} is damaged, or no recording of N-MNIST: {len(content):,} bytes are no multiple of {WORD}.")
    rows = content.reshape(-1, WORD).astype(np.int64)
    times = (rows[:, 2] & 0x7F) << 16 | rows[:, 3] << 8 | rows[:, 4]
    return Events(rows[:, 0], rows[:, 1], times, rows[:, 2] >> 7, NMNIST)
