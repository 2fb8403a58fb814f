"""Spike trains of many samples in one file, as `transpike.export.write_events` writes them."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from transpike.data import Batch
from transpike.datasets.arrays import mapped, members, numbered
from transpike.datasets.base import ALL, Reading, Split, per_batch
from transpike.datasets.events import check_unscaled
from transpike.errors import DataError
from transpike.export import read_events

HEAD = b"# time steps "


@dataclass(frozen=True)
class Trains:
    """Spike trains [time, samples, ...] in `.csv`, `.npz` or `.h5`; labels in the `.npz`, or in `NAME_labels.npy` beside."""

    form: ClassVar[str] = "spike trains"

    name: str
    splits: tuple[str, ...] = (ALL,)

    @classmethod
    def at(cls, spec: str) -> Self | None:
        """Return the spike trains that `spec` names, if it is a file of them."""
        path = Path(spec)
        return cls(spec) if path.is_file() and holds_trains(path) else None

    def read(self, split: str, reading: Reading) -> Split:
        path = Path(self.name)
        check_unscaled(reading)
        trains = read_events(path)
        count = trains.shape[1]
        beside = path.with_name(f"{path.stem}_labels.npy")
        inside = members(path, ("labels",)).get("labels") if path.suffix == ".npz" else None
        labels = mapped(beside) if inside is None and beside.is_file() else inside
        if labels is not None and labels.shape != (count,):
            raise DataError(f"{path} holds {count} samples but labels of shape {labels.shape}.")
        names, numbers = numbered(None if labels is None else np.array(labels), reading.preparation.labels, self.name)
        length, size = reading.count(count), per_batch(trains[:, 0].float())

        def read() -> Iterator[Batch]:
            for start in range(0, length, size):
                rows = slice(start, min(start + size, length))
                frames = trains[:, rows].transpose(0, 1).float()
                yield Batch((frames,), None if numbers is None else numbers[rows])

        made = Split(self.form, self.name, split, length, read, names.classes, names.notes)
        return dataclasses.replace(made, frames=len(trains), step_ms=reading.steps.step_ms)


def holds_trains(path: Path) -> bool:
    """Whether a file is one of spike trains."""
    if path.suffix == ".npz":
        try:
            with zipfile.ZipFile(path) as archive:
                return {"events.npy", "shape.npy"} <= set(archive.namelist())
        except (OSError, zipfile.BadZipFile):
            return False
    if path.suffix == ".csv":
        with path.open("rb") as file:
            return file.read(len(HEAD)) == HEAD
    return path.suffix == ".h5"
