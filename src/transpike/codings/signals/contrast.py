"""Temporal contrast codes: spikes of either sign for changes of the signal. Thesis, section 3.1.3.

Algorithms as in Petro, Kasabov and Kiss 2020 (IEEE TNNLS). All three are decoded in the same way: from the first
value on, each spike is a step of one height. Waveforms [time, ...lines] of any real values <-> spikes [time, ...lines].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.codings.signals.base import Bound, Properties, SignalCode, SpikeTrains, positive, whole
from transpike.errors import ArgumentError, DataError

PETRO = "Petro, Kasabov and Kiss 2020 (IEEE TNNLS)"
CHANGES = "ANNs act on values, not on changes, so data sets of still samples offer nothing to encode."


@dataclass(frozen=True, kw_only=True)
class Contrast(SignalCode):
    """Spikes of either sign, each a step of one height: x[t] = start + height * (s[1] + ... + s[t])."""

    low: ClassVar[float] = -float("inf")
    high: ClassVar[float] = float("inf")

    def decode(self, trains: SpikeTrains) -> Tensor:
        if trains.start is None or trains.height is None:
            raise DataError(f"{type(self).__name__} decodes trains with start and height, as its encode returns them.")
        spikes = self.received(trains)
        return trains.start + trains.height * (spikes.cumsum(0) - spikes[:1])  # the first value is known: no step to it


@dataclass(frozen=True, kw_only=True)
class ThresholdBased(Contrast):
    """Write a waveform by threshold-based representation (TBR): a spike where the signal changes by more than usual.

    d[t] = x[t] - x[t-1], d[0] = 0;  h = mean(d) + factor * std(d) over the signal;  s[t] = 1 if d[t] > h, -1 if d[t] < -h.
    Decoded in steps of h, the error at t is at most the sum of | |d| - h |s| | up to t: it grows, as what is below the
    threshold is lost and what is above it is cut. Raises ArgumentError for fewer than two steps, or where h < 0 (the mean
    outweighs the spread: take a larger factor). Source: Delbruck and Lichtsteiner 2007, in the form of Petro et al. 2020.

    >>> code = ThresholdBased(factor=1.0)
    >>> trains = code.encode(torch.tensor([0.0, 0.0, 1.0, 1.0, 0.0]))
    >>> trains.spikes.tolist(), round(trains.height.item(), 3)
    ([0, 0, 1, 0, -1], 0.707)
    >>> [round(x, 3) for x in code.decode(trains).tolist()]
    [0.0, 0.0, 0.707, 0.707, 0.0]
    """

    properties: ClassVar[Properties] = Properties(
        family="temporal contrast",
        stimulus="waveform",
        inverts=True,
        guarantee="sum of | |d| - h |s| |, growing with time",
        for_conversion=False,
        why=CHANGES,
        citation=f"Delbruck and Lichtsteiner 2007; {PETRO}",
    )

    factor: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        positive("factor", self.factor)

    def differences(self, signal: Tensor) -> tuple[Tensor, Tensor]:
        """Return the changes d [time, ...], 0 at first, and the threshold h [...]."""
        values = self.ready(signal)
        if len(values) < 2:  # noqa: PLR2004 - a difference takes two
            raise ArgumentError("ThresholdBased encodes waveforms of at least 2 time steps, not 1.")
        changes = values.diff(dim=0)
        height = changes.mean(0) + self.factor * changes.std(0, correction=0)
        if bool((height < 0).any()):
            raise ArgumentError("ThresholdBased finds a negative threshold: the signal falls too evenly. Take a larger factor.")
        return torch.cat([torch.zeros_like(values[:1]), changes]), height

    def encode(self, signal: Tensor) -> SpikeTrains:
        changes, height = self.differences(signal)
        spikes = (changes > height).to(torch.int8) - (changes < -height).to(torch.int8)
        return SpikeTrains(spikes, self.dt, start=self.ready(signal)[0], height=height)

    def bound(self, signal: Tensor) -> Bound:
        changes, height = self.differences(signal)
        left = (changes.abs() - height * (changes.abs() > height)).abs().cumsum(0)
        return Bound(left, torch.zeros_like(left))


@dataclass(frozen=True, kw_only=True)
class StepForward(Contrast):
    """Write a waveform by step-forward (SF): a base follows the signal in steps of the threshold h, a spike for each step.

    base = x[0];  at each t > 0: if x[t] > base + h: s[t] = 1, base += h;  if x[t] < base - h: s[t] = -1, base -= h.
    The base is the decoded signal. Its error at t is at most e[t] = max(h, e[t-1] + |x[t] - x[t-1]| - h), e[0] = 0: at most h
    while the signal changes by at most h per step; faster signals leave it behind until they slow down. Source: Kasabov et
    al. 2016 (NeuCube); Petro et al. 2020.

    >>> code = StepForward(threshold=0.25)
    >>> trains = code.encode(torch.tensor([0.0, 0.3, 0.6, 0.5, 0.2]))
    >>> trains.spikes.tolist(), code.decode(trains).tolist()
    ([0, 1, 1, 0, -1], [0.0, 0.25, 0.5, 0.5, 0.25])
    """

    properties: ClassVar[Properties] = Properties(
        family="temporal contrast",
        stimulus="waveform",
        inverts=True,
        guarantee="h, while the signal changes by at most h per step",
        for_conversion=False,
        why=CHANGES,
        citation=f"Kasabov et al. 2016 (Neural Networks); {PETRO}",
    )

    threshold: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        positive("threshold", self.threshold)

    def encode(self, signal: Tensor) -> SpikeTrains:
        values = self.ready(signal)
        base, height = values[0].clone(), torch.full_like(values[0], self.threshold)
        spikes = torch.zeros(values.shape, dtype=torch.int8)
        for t in range(1, len(values)):
            spikes[t] = (values[t] > base + height).to(torch.int8) - (values[t] < base - height).to(torch.int8)
            base += height * spikes[t]
        return SpikeTrains(spikes, self.dt, start=values[0], height=height)

    def bound(self, signal: Tensor) -> Bound:
        values = self.ready(signal)
        exact = torch.zeros_like(values)
        for t in range(1, len(values)):
            left = exact[t - 1] + (values[t] - values[t - 1]).abs() - self.threshold
            exact[t] = left.clamp(min=self.threshold)
        return Bound(exact, torch.zeros_like(exact))


@dataclass(frozen=True, kw_only=True)
class MovingWindow(Contrast):
    """Write a waveform by moving window (MW): a spike where the signal leaves the mean of its last values by more than h.

    base[t] = mean(x[t-W] ... x[t-1]), for t < W the mean of the first W + 1 values;  s[t] = 1 if x[t] > base[t] + h, -1 if
    x[t] < base[t] - h. Decoded in steps of h as published; since a spike tells the distance from a mean and no change, no
    bound holds: what is decoded follows the shape of the signal and may drift. Source: Petro et al. 2020.

    >>> code = MovingWindow(threshold=0.2, window=2)
    >>> trains = code.encode(torch.tensor([0.0, 0.0, 0.0, 0.5, 0.5, 0.0]))
    >>> trains.spikes.tolist(), [round(x, 3) for x in code.decode(trains).tolist()]
    ([0, 0, 0, 1, 1, -1], [0.0, 0.0, 0.0, 0.2, 0.4, 0.2])
    """

    properties: ClassVar[Properties] = Properties(
        family="temporal contrast",
        stimulus="waveform",
        inverts=True,
        guarantee="",
        for_conversion=False,
        why=CHANGES,
        citation=PETRO,
    )

    threshold: float = 0.05
    window: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        positive("threshold", self.threshold)
        whole("window", self.window, 1)

    def encode(self, signal: Tensor) -> SpikeTrains:
        values = self.ready(signal)
        if len(values) <= self.window:
            raise ArgumentError(f"MovingWindow encodes more time steps than its window of {self.window}, not {len(values)}.")
        base = values[: self.window + 1].mean(0).expand_as(values).clone()
        base[self.window :] = values.unfold(0, self.window, 1)[:-1].mean(-1)
        excess = values - base
        spikes = (excess > self.threshold).to(torch.int8) - (excess < -self.threshold).to(torch.int8)
        return SpikeTrains(spikes, self.dt, start=values[0], height=torch.full_like(values[0], self.threshold))

    def bound(self, signal: Tensor) -> None:  # noqa: ARG002 - the contract's
        return None
