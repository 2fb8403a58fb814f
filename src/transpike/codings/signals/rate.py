"""Rate codes: the number of spikes counts, not when they come. Thesis, section 3.1.1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.codings.sampling import diffuse, draws, sources
from transpike.codings.signals.base import Bound, Properties, SignalCode, SpikeTrains, ValueCode, even_bound, whole
from transpike.errors import DataError

GERSTNER = "Gerstner et al. 2014 (Neuronal Dynamics), chapter 7; thesis, eq. 3.1"


@dataclass(frozen=True, kw_only=True)
class CountRate(ValueCode):
    """A value is the share of time steps in which its neuron fires: x = N_spike / T."""

    time_steps: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("time_steps", self.time_steps, 1)

    @property
    def steps(self) -> int:
        return self.time_steps

    def decode(self, trains: SpikeTrains) -> Tensor:
        return self.received(trains, self.time_steps).mean(0)


@dataclass(frozen=True, kw_only=True)
class RegularRate(CountRate):
    """Write a value in [0, 1] as evenly spaced spikes: N_spike = round(T x), so that N_spike / T is off by at most 1/(2 T).

    Values [...] <-> spikes [T, ...]; error diffusion in time, as the input code `Regular`. Raises ArgumentError for
    values out of [0, 1]. Source: Rueckauer et al. 2017; thesis, section 3.1.1 (the error falls as 1/N_spike).

    >>> code = RegularRate(time_steps=8)
    >>> trains = code.encode(torch.tensor([0.25]))
    >>> trains.spikes[:, 0].tolist()
    [0, 1, 0, 0, 0, 1, 0, 0]
    >>> code.decode(trains).tolist()
    [0.25]
    """

    properties: ClassVar[Properties] = Properties(
        family="rate",
        stimulus="values",
        inverts=True,
        guarantee="1/(2 T)",
        for_conversion=True,
        why="The rate of an integrate-and-fire neuron grows linearly with its input, as a ReLU does.",
        citation=GERSTNER,
    )

    def encode(self, signal: Tensor) -> SpikeTrains:
        values = self.ready(signal)
        left = torch.zeros_like(values)
        spikes = [diffuse(left, values).to(torch.int8) for _ in range(self.time_steps)]
        return SpikeTrains(torch.stack(spikes), self.dt)

    def bound(self, signal: Tensor) -> Bound:
        return even_bound(signal, 1 / (2 * self.time_steps))


@dataclass(frozen=True, kw_only=True)
class PoissonRate(CountRate):
    """Write a value in [0, 1] as random spikes: in each step one with probability x, else none.

    N_spike / T has the standard deviation sqrt(x (1 - x) / T). Values [samples, ...] <-> spikes [T, samples, ...]. Sample i
    draws from a generator seeded with (`seed`, 0, `first_sample` + i), so that chunks of samples fire as the whole does.
    Raises ArgumentError for values out of [0, 1]. Source: Gerstner et al. 2014, chapter 7, in steps: at most one spike each.

    >>> code = PoissonRate(time_steps=400, seed=1)
    >>> trains = code.encode(torch.tensor([0.0, 0.25, 1.0]))
    >>> trains.counts().tolist()
    [0, 96, 400]
    """

    properties: ClassVar[Properties] = Properties(
        family="rate",
        stimulus="values",
        inverts=True,
        guarantee="standard deviation sqrt(x (1 - x) / T)",
        for_conversion=True,
        why="A count rate like regular spikes, but chance makes the error fall only with the root of the number of spikes.",
        citation="Gerstner et al. 2014 (Neuronal Dynamics), chapter 7; thesis, section 3.1.1",
    )

    seed: int = 0
    first_sample: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("seed", self.seed, 0)
        whole("first_sample", self.first_sample, 0)

    def encode(self, signal: Tensor) -> SpikeTrains:
        values = self.ready(signal)
        generators = sources(self.seed, 0, self.first_sample, len(values))
        shape = tuple(values.shape[1:])
        spikes = [(draws(generators, shape) < values).to(torch.int8) for _ in range(self.time_steps)]
        return SpikeTrains(torch.stack(spikes), self.dt)

    def bound(self, signal: Tensor) -> Bound:
        values = self.ready(signal)
        return Bound(torch.zeros_like(values), (values * (1 - values) / self.time_steps).sqrt())


@dataclass(frozen=True, kw_only=True)
class DensityRate(SignalCode):
    """Write a waveform in [0, 1] as random spikes of repeated runs, and read the density: the PSTH.

    In each step of each of K runs one spike with probability x[t];  p = N_spike(t; t + W) / (W K), the peri-stimulus time
    histogram in bins of W = `window` steps. Waveform [time, ...] <-> spikes [time, ..., runs], time a multiple of W. Run k
    draws from a generator seeded with (`seed`, 0, `first_run` + k), so that runs can be made in chunks. Raises
    ArgumentError for values out of [0, 1]. Source: thesis, eq. 3.2.

    >>> code = DensityRate(runs=1000, seed=1)
    >>> trains = code.encode(torch.tensor([0.0, 0.25, 1.0]))
    >>> trains.spikes.shape, [round(x, 2) for x in code.decode(trains).tolist()]
    (torch.Size([3, 1000]), [0.0, 0.23, 1.0])
    """

    properties: ClassVar[Properties] = Properties(
        family="rate",
        stimulus="waveform",
        inverts=True,
        guarantee="spread within a bin + standard deviation sqrt(p (1 - p) / (W K))",
        for_conversion=False,
        why="It needs many runs of one stimulus: good for judging stochastic networks, not for using them.",
        citation="Gerstner et al. 2014 (Neuronal Dynamics), chapter 7; thesis, eq. 3.2",
    )

    runs: int = 50
    window: int = 1
    seed: int = 0
    first_run: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("runs", self.runs, 1)
        whole("window", self.window, 1)
        whole("seed", self.seed, 0)
        whole("first_run", self.first_run, 0)

    def encode(self, signal: Tensor) -> SpikeTrains:
        values = self.ready(signal)
        self.binned(values)
        chances = draws(sources(self.seed, 0, self.first_run, self.runs), tuple(values.shape))
        return SpikeTrains((chances < values).to(torch.int8).movedim(0, -1).contiguous(), self.dt)

    def decode(self, trains: SpikeTrains) -> Tensor:
        return self.binned(self.received(trains, neurons=self.runs).mean(-1))

    def bound(self, signal: Tensor) -> Bound:
        values = self.ready(signal)
        mean = self.binned(values)
        variance = self.binned(values * (1 - values)) / (self.window * self.runs)
        return Bound((values - mean).abs(), variance.sqrt())

    def binned(self, values: Tensor) -> Tensor:
        """Return `values` [time, ...] with the mean of its bin in each step."""
        if len(values) % self.window:
            raise DataError(f"{len(values)} time steps are no multiple of the window of {self.window}: cut or pad them.")
        means = values.unflatten(0, (-1, self.window)).mean(1)
        return means.repeat_interleave(self.window, 0)
