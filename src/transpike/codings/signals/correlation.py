"""Correlation codes: which neurons fire together carries the value. Thesis, section 3.1.3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.codings.signals.base import (
    Bound,
    Properties,
    SignalCode,
    SpikeTrains,
    ValueCode,
    even_bound,
    whole,
)
from transpike.errors import DataError

NEIGHBOURS = "Neurons of a layer would have to be connected with each other to fire together."


@dataclass(frozen=True, kw_only=True)
class SparseDistributed(ValueCode):
    """Write a value in [0, 1] as w of N neurons that fire in synchrony: neighbouring values share neurons.

    Neurons m ... m + w - 1 fire, m = round(x (N - w)); decoded is the m whose neurons overlap most with those that fire, so
    that a few lost spikes do no harm. x is off by at most 1/(2 (N - w)). Values [...] <-> spikes [1, ..., N]: a value takes
    one step. Raises ArgumentError for values out of [0, 1]. Source: Ahmad and Hawkins 2015; Purdy 2016 (scalar encoder);
    thesis, section 3.1.3.

    >>> code = SparseDistributed(neurons=8, active=3)
    >>> trains = code.encode(torch.tensor([0.4]))
    >>> trains.spikes[0, 0].tolist(), code.decode(trains).tolist()
    ([0, 0, 1, 1, 1, 0, 0, 0], [0.4])
    """

    properties: ClassVar[Properties] = Properties(
        family="correlation",
        stimulus="values",
        inverts=True,
        guarantee="1/(2 (N - w))",
        for_conversion=False,
        why=NEIGHBOURS,
        citation="Ahmad and Hawkins 2015; Purdy 2016; thesis, section 3.1.3",
    )

    neurons: int = 32
    active: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("active", self.active, 1)
        whole("neurons", self.neurons, self.active + 1)

    @property
    def steps(self) -> int:
        return 1

    def encode(self, signal: Tensor) -> SpikeTrains:
        first = (self.ready(signal) * (self.neurons - self.active) + 1 / 2).floor().long()[..., None]
        place = torch.arange(self.neurons)
        return SpikeTrains(((place >= first) & (place < first + self.active)).to(torch.int8)[None], self.dt)

    def decode(self, trains: SpikeTrains) -> Tensor:
        spikes = self.received(trains, 1, self.neurons)[0]
        overlap = spikes.unfold(-1, self.active, 1).sum(-1)
        return overlap.argmax(-1).double() / (self.neurons - self.active)

    def bound(self, signal: Tensor) -> Bound:
        return even_bound(signal, 1 / (2 * (self.neurons - self.active)))


@dataclass(frozen=True, kw_only=True)
class Amplitude(SignalCode):
    """Write a waveform in [0, 1] as one neuron at a time: each stands for a level and fires when the signal reaches it.

    m[t] = round(x[t] (N - 1)); neuron m[t] fires at step t if m[t] differs from m[t - 1], and at the first step. Decoded is
    the level of the latest spike, off by at most 1/(2 (N - 1)). Waveform [time, ...] <-> spikes [time, ..., N]. Raises
    ArgumentError for values out of [0, 1], and `decode` raises DataError where no neuron fires at first or two fire at once.
    Source: thesis, section 3.1.3 (the extreme of sparse distributed representations).

    >>> code = Amplitude(neurons=5)
    >>> trains = code.encode(torch.tensor([0.5, 0.5, 0.75]))
    >>> trains.spikes.tolist()
    [[0, 0, 1, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 1, 0]]
    >>> code.decode(trains).tolist()
    [0.5, 0.5, 0.75]
    """

    properties: ClassVar[Properties] = Properties(
        family="correlation",
        stimulus="waveform",
        inverts=True,
        guarantee="1/(2 (N - 1))",
        for_conversion=False,
        why=NEIGHBOURS,
        citation="thesis, section 3.1.3, correlation and synchrony",
    )

    neurons: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("neurons", self.neurons, 2)

    def encode(self, signal: Tensor) -> SpikeTrains:
        level = (self.ready(signal) * (self.neurons - 1) + 1 / 2).floor().long()
        moves = torch.ones_like(level, dtype=torch.bool)
        moves[1:] = level[1:] != level[:-1]
        spikes = (torch.arange(self.neurons) == level[..., None]) & moves[..., None]
        return SpikeTrains(spikes.to(torch.int8), self.dt)

    def decode(self, trains: SpikeTrains) -> Tensor:
        spikes = self.received(trains, neurons=self.neurons)
        fired = spikes.sum(-1)
        if bool((fired > 1).any()) or bool((fired[0] == 0).any()):
            raise DataError("Amplitude reads at most one spike per step and one at the first: a spike was lost or added.")
        steps = torch.arange(len(spikes)).reshape(-1, *(1,) * (fired.ndim - 1))
        latest = torch.where(fired > 0, steps, 0).cummax(0).values
        return spikes.argmax(-1).gather(0, latest).double() / (self.neurons - 1)

    def bound(self, signal: Tensor) -> Bound:
        return even_bound(signal, 1 / (2 * (self.neurons - 1)))
