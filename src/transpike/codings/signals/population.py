"""Population codes: neurons with comparable properties carry a value together. Thesis, section 3.1.2."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.codings.sampling import diffuse
from transpike.codings.signals.base import (
    Bound,
    Properties,
    SignalCode,
    SpikeTrains,
    ValueCode,
    even_bound,
    positive,
    whole,
)

POINTS = 1001  # values of [0, 1] at which decoders are fitted and judged


@dataclass(frozen=True, kw_only=True)
class PopulationRate(SignalCode):
    """Write a waveform in [0, 1] as the share of N equal neurons that fire in each step: A[t] = N_spike[t] / N.

    round(N x[t]) neurons fire, taken in turn, so that all fire equally often; A is off by at most 1/(2 N). Waveform
    [time, ...] <-> spikes [time, ..., N]. Raises ArgumentError for values out of [0, 1]. Source: thesis, eq. 3.3.

    >>> code = PopulationRate(neurons=4)
    >>> trains = code.encode(torch.tensor([0.5, 0.75]))
    >>> trains.spikes.tolist()
    [[1, 1, 0, 0], [1, 0, 1, 1]]
    >>> code.decode(trains).tolist()
    [0.5, 0.75]
    """

    properties: ClassVar[Properties] = Properties(
        family="population",
        stimulus="waveform",
        inverts=True,
        guarantee="1/(2 N)",
        for_conversion=True,
        why="A count rate over neurons instead of time: immediate, at the price of many neurons and spikes.",
        citation="Gerstner et al. 2014 (Neuronal Dynamics), chapter 7; thesis, eq. 3.3",
    )

    neurons: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("neurons", self.neurons, 1)

    def encode(self, signal: Tensor) -> SpikeTrains:
        active = (self.ready(signal) * self.neurons + 1 / 2).floor().long()
        turn = active.cumsum(0) - active
        place = (torch.arange(self.neurons) - turn[..., None]) % self.neurons
        return SpikeTrains((place < active[..., None]).to(torch.int8), self.dt)

    def decode(self, trains: SpikeTrains) -> Tensor:
        return self.received(trains, neurons=self.neurons).mean(-1)

    def bound(self, signal: Tensor) -> Bound:
        return even_bound(signal, 1 / (2 * self.neurons))


@dataclass(frozen=True, kw_only=True)
class TuningCurves(ValueCode):
    """Write a value in [0, 1] as the rates of N neurons, each of which prefers another value.

    a_i(x) = exp(-(x - c_i)^2 / (2 width^2)),  c_i = i / (N - 1), each sent as regular spikes of T steps;  x = sum_i d_i a_i.
    The decoders d minimise the mean of (x - sum_i d_i a_i(x))^2 over [0, 1] plus sum_i d_i^2 / (12 T^2), the variance that
    whole numbers of spikes add. Values [...] <-> spikes [T, ..., N]. Raises ArgumentError for values out of [0, 1]. Source:
    Eliasmith and Anderson 2003 (Neural Engineering), chapter 2; thesis, section 3.1.2.

    >>> code = TuningCurves(neurons=8, time_steps=16)
    >>> trains = code.encode(torch.tensor([0.3]))
    >>> trains.counts().tolist()
    [[1, 7, 16, 9, 1, 0, 0, 0]]
    >>> [round(x, 2) for x in code.decode(trains).tolist()]
    [0.29]
    """

    properties: ClassVar[Properties] = Properties(
        family="population",
        stimulus="values",
        inverts=True,
        guarantee="largest error of the decoders + sum |d_i| / (2 T)",
        for_conversion=True,
        why="Tuning curves and decoders carry numbers and vectors: the basis of conversion by the NEF.",
        citation="Eliasmith and Anderson 2003 (Neural Engineering), chapter 2; thesis, section 3.1.2",
    )

    neurons: int = 12
    time_steps: int = 32
    width: float = 0.12

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("neurons", self.neurons, 2)
        whole("time_steps", self.time_steps, 1)
        positive("width", self.width)

    @property
    def steps(self) -> int:
        return self.time_steps

    def activities(self, values: Tensor) -> Tensor:
        """Return the tuning curves a_i at `values` [...]: rates [..., N] in spikes per step."""
        preferred = torch.linspace(0, 1, self.neurons, dtype=torch.float64)
        return torch.exp(-(((values[..., None] - preferred) / self.width) ** 2) / 2)

    def decoders(self) -> Tensor:
        """Return the weights d [N] whose sum over the rates is the value."""
        points = torch.linspace(0, 1, POINTS, dtype=torch.float64)
        rates = self.activities(points)
        noise = torch.eye(self.neurons, dtype=torch.float64) / (12 * self.time_steps**2)
        return torch.linalg.solve(rates.T @ rates / POINTS + noise, rates.T @ points / POINTS)

    def encode(self, signal: Tensor) -> SpikeTrains:
        rates = self.activities(self.ready(signal))
        left = torch.zeros_like(rates)
        spikes = [diffuse(left, rates).to(torch.int8) for _ in range(self.time_steps)]
        return SpikeTrains(torch.stack(spikes), self.dt)

    def decode(self, trains: SpikeTrains) -> Tensor:
        return self.received(trains, self.time_steps, self.neurons).mean(0) @ self.decoders()

    def bound(self, signal: Tensor) -> Bound:
        """Return the largest error of the decoders, at the fitted points and (by the steepest slope) between, and of counts."""
        decoders = self.decoders()
        points = torch.linspace(0, 1, POINTS, dtype=torch.float64)
        seen = float((self.activities(points) @ decoders - points).abs().max())
        size = float(decoders.abs().sum())
        between = (1 + size * math.exp(-1 / 2) / self.width) / (2 * (POINTS - 1))
        return even_bound(signal, seen + between + size / (2 * self.time_steps))
