"""Recordings of event cameras, one file each: how they are read and cut into time steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from transpike.datasets.base import Reading, Steps
from transpike.datasets.events.aedat import from_aedat
from transpike.datasets.events.binning import Events, frames
from transpike.datasets.events.columns import from_bin, from_npy, from_npz
from transpike.errors import ArgumentError, DataError

READERS: dict[str, Callable[[Path], Events]] = {
    ".aedat": from_aedat,
    ".aedat2": from_aedat,
    ".aedat4": from_aedat,
    ".npy": from_npy,
    ".npz": from_npz,
    ".bin": from_bin,
}


def recorded(path: Path) -> Events:
    """Return the events in a file; raises DataError."""
    return READERS[path.suffix.lower()](path)


@dataclass(frozen=True)
class Cutter:
    """Makes recordings into frames [time, polarity, height, width] of so many steps, and of one size."""

    steps: Steps
    size: tuple[int, int] | None

    def __call__(self, path: Path) -> Tensor:
        """Return the frames of a recording."""
        events = recorded(path)
        size = self.size or events.size
        if size is None:
            raise DataError(f"{path} does not say how large its sensor is: give --size HEIGHT,WIDTH.")
        return frames(events, self.steps, size, str(path))


def cutter(files: Sequence[Path], reading: Reading) -> Cutter:
    """Return what cuts recordings into steps: where only the length of a step is given, as many as the longest takes."""
    preparation, steps = reading.preparation, reading.steps
    check_unscaled(reading)
    if steps.step_ms is None and steps.time_steps is None:
        raise ArgumentError(
            "Event recordings need the length of a time step (--step-ms), their number (--time-steps), or both."
        )
    if steps.step_ms is not None and steps.time_steps is None:
        longest = max(recorded(path).steps_of(steps.step_ms) for path in files)
        steps = dataclasses.replace(steps, time_steps=longest)
    return Cutter(steps, preparation.size)


def check_unscaled(reading: Reading) -> None:
    """Raise DataError if events are to be scaled."""
    if reading.preparation.scaling.mean or reading.preparation.scaling.std:
        raise DataError("Events are spikes, which are counted and not scaled: leave out --mean and --std.")


__all__ = ["READERS", "Cutter", "Events", "check_unscaled", "cutter", "frames", "recorded"]
