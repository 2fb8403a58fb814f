"""Spike trains in and out of files: address events as text or arrays, and the data format that comes with NIR."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transpike.errors import ArchiveError, DataError, choose, require
from transpike.export.hdf5 import survived
from transpike.files import read_bytes, write_bytes, write_text

LARGEST = 1 << 31  # entries of spike trains that are worth reading
DAMAGE = (ValueError, KeyError, TypeError, OSError, IndexError, AttributeError, RuntimeError, OverflowError, StopIteration)
HEADER = "# time steps {0}, samples {1}, shape {2}, events {3}\nstep,sample,address\n"


def write_events(path: str | Path, trains: Tensor) -> None:
    """Write spike trains [time, batch, ...]; the suffix says how: `.npz`, `.csv` or `.h5`.

    `.npz` and `.csv` are lists of address events: the step (from 0), the sample, and the address of the neuron in row-major
    order, sorted by step. `.h5` is a NIRGraphData of one node "spikes" (package nir from 1.0.8). Raises DataError for what
    is no spike train.
    """
    path = Path(path)
    suffix = choose("suffix", path.suffix, (".npz", ".csv", ".h5"))
    if trains.ndim < 3 or bool(((trains != 0) & (trains != 1)).any()):  # noqa: PLR2004 - time, batch, neurons
        raise DataError("Spike trains are tensors [time, batch, ...] of 0 and 1.")
    whole = trains.bool().flatten(2)
    events = whole.nonzero().numpy().astype(np.int64)
    shape = np.array(trains.shape, np.int64)
    if suffix == ".npz":
        content = io.BytesIO()
        np.savez_compressed(content, events=events, shape=shape)
        write_bytes(path, content.getvalue())
    elif suffix == ".csv":
        head = HEADER.format(shape[0], shape[1], "x".join(map(str, shape[2:])), len(events))
        write_text(path, head + "".join(f"{t},{n},{i}\n" for t, n, i in events.tolist()))
    else:
        write_bytes(path, nir_data(whole))


def nir_data(trains: Tensor) -> bytes:
    """Return spike trains [time, batch, neurons] as a file of NIRGraphData."""
    nir = require("nir", "nir", "Spike data in the format of NIR")
    gridded = nir.TimeGriddedData(np.ascontiguousarray(trains.permute(1, 0, 2).numpy()), dt=1.0)
    content = io.BytesIO()
    nir.write_data(content, nir.NIRGraphData({"spikes": nir.NIRNodeData({"spikes": gridded})}))
    return content.getvalue()


def read_events(path: str | Path) -> Tensor:
    """Return the spike trains [time, batch, ...] (bool) in a file that `write_events`, or another program, wrote.

    From `.h5` they come as [time, batch, neurons]. Nothing in the file is executed. Raises ArchiveError if it is damaged.
    """
    path = Path(path)
    suffix = choose("suffix", path.suffix, (".npz", ".csv", ".h5"))
    content = read_bytes(path, "event file")
    try:
        if suffix == ".h5":
            return from_nir_data(path)
        events, shape = from_npz(content) if suffix == ".npz" else from_csv(content.decode())
        return spread(events, shape)
    except (*DAMAGE, zipfile.BadZipFile) as error:
        raise ArchiveError(
            f"{path} is damaged or holds no spike trains: {(str(error) or repr(error)).splitlines()[0]}."
        ) from None


def from_npz(content: bytes) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return the events and the shape in an archive of NumPy."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > LARGEST:
            raise ValueError("its arrays are too large")
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return file["events"], tuple(int(size) for size in file["shape"])


def from_csv(content: str) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return the events and the shape in a text."""
    head, _, *lines = content.splitlines()
    words = (
        head.removeprefix("# time steps ").replace(", samples ", " ").replace(", shape ", " ").replace(", events ", " ").split()
    )
    steps, samples, sizes, count = words
    events = [[int(part) for part in line.split(",")] for line in lines if line]
    if len(events) != int(count):
        raise ValueError(f"it holds {len(events)} of {count} events")
    return np.array(events, np.int64).reshape(-1, 3), (int(steps), int(samples), *(int(size) for size in sizes.split("x")))


def spread(events: np.ndarray, shape: tuple[int, ...]) -> Tensor:
    """Return trains of events [n, 3]."""
    if min(shape, default=0) < 1 or len(shape) < 3 or math.prod(shape) > LARGEST:  # noqa: PLR2004 - time, batch, neurons
        raise ValueError(f"spike trains of shape {shape}")
    flat = (shape[0], shape[1], math.prod(shape[2:]))
    if events.ndim != 2 or events.shape[1] != 3 or events.dtype.kind not in "iu":  # noqa: PLR2004 - step, sample, address
        raise ValueError("events are rows of three whole numbers")
    if len(events) and (bool((events < 0).any()) or bool((events >= np.array(flat)).any())):
        raise ValueError("an event lies outside the trains")
    trains = torch.zeros(flat, dtype=torch.bool)
    step, sample, address = torch.from_numpy(events.astype(np.int64)).unbind(1)
    trains[step, sample, address] = True
    return trains.reshape(shape)


def from_nir_data(path: Path) -> Tensor:
    """Return the trains of the first observable of the first node in a file of NIRGraphData."""
    h5py: Any = require("h5py", "nir", "Spike data in the format of NIR")
    survived(path)
    with h5py.File(path, "r") as file:
        node = next(iter(file["nodes"].values()))
        entry = next(iter(node["observables"].values()))["data"]
        if not isinstance(entry, h5py.Dataset) or entry.external or entry.size > LARGEST or entry.dtype.kind not in "biuf":
            raise ValueError("its data are no trains")
        data = torch.from_numpy(np.ascontiguousarray(entry[()] != 0))
    if data.ndim != 3:  # noqa: PLR2004 - samples, time, neurons
        raise ValueError("its data are not [samples, time, neurons]")
    return data.permute(1, 0, 2).contiguous()
