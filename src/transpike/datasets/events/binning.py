"""Events in time, counted into the frames of time steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from transpike.datasets.base import Steps
from transpike.errors import DataError

LARGEST = 1 << 29  # values of one recording in frames
MICROSECONDS = 1000  # of a millisecond


@dataclass(frozen=True, eq=False)
class Events:
    """Events [n] at columns `x` and rows `y`, at times `t` in microseconds, of polarity `p` (1 on, 0 off), if there is any.

    `size` is height and width of the sensor, if the recording says so.
    """

    x: np.ndarray
    y: np.ndarray
    t: np.ndarray
    p: np.ndarray | None = None
    size: tuple[int, int] | None = None

    @property
    def duration(self) -> int:
        """Microseconds from the first to the last event, both included."""
        return int(self.t.max()) - int(self.t.min()) + 1 if len(self.t) else 0

    def steps_of(self, step_ms: float) -> int:
        """Return how many steps the recording takes, at least one."""
        return max(1, math.ceil(self.duration / (step_ms * MICROSECONDS)))


def frames(events: Events, steps: Steps, size: tuple[int, int], name: str) -> Tensor:
    """Return how many events there are in each step at each pixel, [time, polarity, height, width].

    Steps of `step_ms` begin with the first event: later events than the last step has are left out, and steps after the last
    event are silent. Without `step_ms` the recording is cut into steps of equal length. Polarity is off, then on; a recording
    without polarity has one channel. Raises DataError for events outside the sensor.
    """
    time_steps = steps.time_steps
    assert time_steps is not None
    channels = 1 if events.p is None else 2
    shape = (time_steps, channels, *size)
    if math.prod(shape) > LARGEST:
        sides = f"{channels} x {size[0]} x {size[1]}"
        raise DataError(f"{name} in {time_steps:,} steps of {sides} is too large: take fewer, longer steps.")
    outside = np.flatnonzero((events.x < 0) | (events.y < 0) | (events.x >= size[1]) | (events.y >= size[0]))
    if len(outside):
        first = int(outside[0])
        raise DataError(
            f"Event {first} of {name} is at column {events.x[first]}, row {events.y[first]}, outside the sensor of "
            f"{size[1]} x {size[0]} pixels: give the right --size HEIGHT,WIDTH."
        )
    since = events.t.astype(np.int64) - (int(events.t.min()) if len(events.t) else 0)
    length = events.duration / time_steps if steps.step_ms is None else steps.step_ms * MICROSECONDS
    step = np.floor(since / max(length, 1e-9)).astype(np.int64)
    kept = step < time_steps
    polarity = np.zeros(len(step), np.int64) if events.p is None else events.p.astype(np.int64)
    places = ((step * channels + polarity) * size[0] + events.y) * size[1] + events.x
    counts = np.bincount(places[kept], minlength=math.prod(shape))
    return torch.from_numpy(counts.astype(np.float32)).reshape(shape)
