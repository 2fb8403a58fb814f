"""Inter-spike interval codes: the time between spikes of one neuron counts. Thesis, section 3.1.3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.codings.signals.base import Bound, Properties, SpikeTrains, ValueCode, even_bound, spikes_at, whole
from transpike.errors import DataError

NEIGHBOURS = "An interval refers to the spikes of others in the layer, whose connections no general rule gives."


@dataclass(frozen=True, kw_only=True)
class InterSpikeInterval(ValueCode):
    """Write a value in [0, 1] as the mean of n intervals between spikes: the larger, the shorter.

    The mean interval is D = longest - x (longest - shortest); spike j comes at step 1 + round(j D) for j = 0 ... n, so that
    x is off by at most 1/(2 n (longest - shortest)). Values [...] <-> spikes [n longest + 1, ...]. Raises ArgumentError for
    values out of [0, 1], and `decode` raises DataError without n + 1 spikes. Source: thesis, section 3.1.3; spacing by
    rounded sums is ours.

    >>> code = InterSpikeInterval(intervals=2, shortest=2, longest=4)
    >>> trains = code.encode(torch.tensor([1.0, 0.25]))
    >>> trains.spikes.T.tolist()
    [[1, 0, 1, 0, 1, 0, 0, 0, 0], [1, 0, 0, 0, 1, 0, 0, 1, 0]]
    >>> code.decode(trains).tolist()
    [1.0, 0.25]
    """

    properties: ClassVar[Properties] = Properties(
        family="inter-spike interval",
        stimulus="values",
        inverts=True,
        guarantee="1/(2 n (longest - shortest))",
        for_conversion=False,
        why=NEIGHBOURS,
        citation="Li and Tsien 2017; thesis, section 3.1.3",
    )

    intervals: int = 4
    shortest: int = 2
    longest: int = 12

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("intervals", self.intervals, 1)
        whole("shortest", self.shortest, 1)
        whole("longest", self.longest, self.shortest + 1)

    @property
    def steps(self) -> int:
        return self.intervals * self.longest + 1

    def encode(self, signal: Tensor) -> SpikeTrains:
        interval = self.longest - self.ready(signal) * (self.longest - self.shortest)
        rows = ((j * interval + 1 / 2).floor().long() for j in range(self.intervals + 1))
        return SpikeTrains(torch.stack([spikes_at(row, self.steps) for row in rows]).sum(0, dtype=torch.int8), self.dt)

    def decode(self, trains: SpikeTrains) -> Tensor:
        spikes = self.received(trains, self.steps)
        if bool((spikes.sum(0) != self.intervals + 1).any()):
            raise DataError(f"InterSpikeInterval reads exactly {self.intervals + 1} spikes per line: one was lost or added.")
        first = spikes.argmax(0)
        last = self.steps - 1 - spikes.flip(0).argmax(0)
        return (self.longest - (last - first).double() / self.intervals) / (self.longest - self.shortest)

    def bound(self, signal: Tensor) -> Bound:
        return even_bound(signal, 1 / (2 * self.intervals * (self.longest - self.shortest)))


@dataclass(frozen=True, kw_only=True)
class Burst(ValueCode):
    """Write a value in [0, 1] as a burst: the larger, the more spikes and the closer together.

    N_s = ceil(N x) spikes for N = `most`, at intervals of ceil(longest - (longest - shortest) x) steps. Number and interval
    each leave a range for x; decoded is the middle of what both leave: off by at most 1/(2 max(N, longest - shortest)), or
    1/(2 N) up to x = 1/N where a single spike has no interval. Values [...] <-> spikes [(N - 1) longest + 1, ...]. Raises
    ArgumentError for values out of [0, 1], and `decode` raises DataError for spikes that are no burst of this code. Source:
    Guo et al. 2021, section on burst coding; the decoder is ours.

    >>> code = Burst(most=4, shortest=1, longest=3)
    >>> trains = code.encode(torch.tensor([1.0, 0.6, 0.2, 0.0]))
    >>> trains.counts().tolist(), trains.spikes[:, 1].tolist()
    ([4, 3, 1, 0], [1, 0, 1, 0, 1, 0, 0, 0, 0, 0])
    >>> code.decode(trains).tolist()
    [1.0, 0.625, 0.125, 0.0]
    """

    properties: ClassVar[Properties] = Properties(
        family="inter-spike interval",
        stimulus="values",
        inverts=True,
        guarantee="1/(2 max(N, longest - shortest)); 1/(2 N) up to x = 1/N",
        for_conversion=False,
        why=NEIGHBOURS,
        citation="Guo et al. 2021 (Frontiers in Neuroscience); thesis, section 3.1.3",
    )

    most: int = 5
    shortest: int = 2
    longest: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("most", self.most, 2)
        whole("shortest", self.shortest, 1)
        whole("longest", self.longest, self.shortest + 1)

    @property
    def steps(self) -> int:
        return (self.most - 1) * self.longest + 1

    def encode(self, signal: Tensor) -> SpikeTrains:
        values = self.ready(signal)
        number = (self.most * values).ceil().long()
        interval = (self.longest - (self.longest - self.shortest) * values).ceil().long()
        rows = [torch.where(j < number, j * interval, self.steps) for j in range(self.most)]
        return SpikeTrains(torch.stack([spikes_at(row, self.steps) for row in rows]).sum(0, dtype=torch.int8), self.dt)

    def decode(self, trains: SpikeTrains) -> Tensor:
        spikes = self.received(trains, self.steps)
        number = spikes.sum(0)
        last = self.steps - 1 - spikes.flip(0).argmax(0)
        interval = (last - spikes.argmax(0)).double() / (number - 1).clamp(min=1)
        spread = self.longest - self.shortest
        several = number > 1
        below = torch.where(several, (self.longest - interval) / spread, 0.0)
        above = torch.where(several, (self.longest - interval + 1) / spread, 1.0)
        low, high = torch.maximum(below, (number - 1) / self.most), torch.minimum(above, number / self.most)
        if bool((low > high).any()):
            raise DataError("Burst reads spikes whose number and interval agree: one was lost, added or moved.")
        return torch.where(number > 0, (low + high) / 2, 0.0)

    def bound(self, signal: Tensor) -> Bound:
        values = self.ready(signal)
        narrow = 1 / (2 * max(self.most, self.longest - self.shortest))
        exact = torch.where(values * self.most <= 1, 1 / (2 * self.most), narrow)
        return Bound(exact, torch.zeros_like(exact))
