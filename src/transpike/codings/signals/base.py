"""What all signal encodings share: one contract, the spike trains that it makes, and what is known of a code."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar, NoReturn

import torch
from torch import Tensor

from transpike.errors import ArgumentError, DataError, DecodingError

THESIS = "thesis, section 3.1"


@dataclass(frozen=True, eq=False)
class SpikeTrains:
    """What an encoding sends: `spikes`, int8 [time, ...lines], each 0, 1 or -1, in steps of `dt` seconds.

    `start` and `height` [...lines] are part of a temporal contrast code: the value from which the changes count, and the
    change that one spike stands for where it follows from the signal. All other codes are read from the spikes alone.
    Raises DataError if `spikes` are not int8 or have no time.

    >>> trains = SpikeTrains(torch.tensor([[1], [0], [1], [0]], dtype=torch.int8), dt=0.001)
    >>> trains.counts().tolist(), trains.rates().tolist()
    ([2], [500.0])
    """

    spikes: Tensor
    dt: float = 1.0
    start: Tensor | None = None
    height: Tensor | None = None

    def __post_init__(self) -> None:
        if self.spikes.dtype != torch.int8 or not self.spikes.ndim or not len(self.spikes):
            given = f"{self.spikes.dtype} {tuple(self.spikes.shape)}"
            raise DataError(f"Spike trains must be int8 [time, ...lines] of at least one step, not {given}.")

    def counts(self) -> Tensor:
        """Return the number of spikes of either sign of each line [...lines]."""
        return self.spikes.abs().sum(0, dtype=torch.int64)

    def rates(self) -> Tensor:
        """Return r = N_spike / (T dt), the firing rate of each line in spikes per second [...lines] (thesis, eq. 3.1)."""
        return self.counts().double() / (len(self.spikes) * self.dt)


@dataclass(frozen=True, kw_only=True)
class Properties:
    """What is known of a code: a row of the table.

    `stimulus`: "values" (each coded in a window of its own), "waveform" (a signal over time) or "pattern" (values that are
    coded together). `inverts`: whether a signal can be decoded. `guarantee`: how far it then is off, in words.
    `for_conversion`, `why`: whether the code suits the conversion of ANNs (thesis, section 3.1.4), and the reason.
    """

    family: str
    stimulus: str
    inverts: bool
    guarantee: str
    for_conversion: bool
    why: str
    citation: str


@dataclass(frozen=True, eq=False)
class Bound:
    """How far a decoded signal is off: |decoded - signal| <= `exact` + z * `spread`, each shaped like the signal.

    `spread` is the standard deviation of what chance adds, 0 for codes without chance.
    """

    exact: Tensor
    spread: Tensor


@dataclass(frozen=True, kw_only=True)
class SignalCode:
    """A way to write a signal as spikes: `encode`, and `decode` where the code inverts.

    Signals are torch tensors; they are read, and decoded, in float64 on the CPU. `dt` is the length of a time step in seconds.
    """

    properties: ClassVar[Properties]
    low: ClassVar[float] = 0.0
    high: ClassVar[float] = 1.0

    dt: float = 1.0

    def __post_init__(self) -> None:
        positive("dt", self.dt)

    def encode(self, signal: Tensor) -> SpikeTrains:
        """Return the spike trains of a signal; raises ArgumentError for values out of the code's range."""
        raise NotImplementedError

    def decode(self, trains: SpikeTrains) -> Tensor:
        """Return the signal that spike trains of this code stand for; raises DataError for trains of other codes."""
        raise NotImplementedError

    def bound(self, signal: Tensor) -> Bound | None:
        """Return how far decode(encode(signal)) is off at most, or None where nothing is known beforehand."""
        raise NotImplementedError

    def ready(self, signal: Tensor) -> Tensor:
        """Return `signal` in float64 on the CPU; raises ArgumentError if this code cannot take it."""
        name = type(self).__name__
        if not isinstance(signal, Tensor) or signal.is_complex() or not signal.ndim or not signal.numel():
            what = f"{signal.dtype} {tuple(signal.shape)}" if isinstance(signal, Tensor) else type(signal).__name__
            raise ArgumentError(f"{name} encodes a tensor of real values with at least one axis, not {what}.")
        values = signal.detach().to("cpu", torch.float64)
        if not bool(values.isfinite().all()):
            raise ArgumentError(f"{name} cannot encode NaN or infinite values: leave them out or replace them first.")
        least, most = float(values.min()), float(values.max())
        if least < self.low or most > self.high:
            raise ArgumentError(
                f"{name} encodes values from {self.low:g} to {self.high:g}, but the signal has values from {least:g} to "
                f"{most:g}: scale it, for example (x - x.min()) / (x.max() - x.min())."
            )
        return values

    def received(self, trains: SpikeTrains, steps: int | None = None, neurons: int | None = None) -> Tensor:
        """Return the spikes of `trains` in float64, or raise DataError if they have not the shape that this code sends."""
        spikes = trains.spikes
        if steps is not None and len(spikes) != steps:
            raise DataError(f"{type(self).__name__} decodes {steps} time steps, but the spike trains have {len(spikes)}.")
        if neurons is not None and (spikes.ndim < 2 or spikes.shape[-1] != neurons):  # noqa: PLR2004 - time and neurons
            shape = tuple(spikes.shape)
            raise DataError(f"{type(self).__name__} decodes {neurons} neurons on the last axis, but the trains are {shape}.")
        return spikes.to("cpu", torch.float64)

    def refuse(self, reason: str, step: str) -> NoReturn:
        """Say that this code does not invert, why, and what to do instead."""
        raise DecodingError(f"{type(self).__name__} does not invert: {reason}. {step}")


@dataclass(frozen=True, kw_only=True)
class ValueCode(SignalCode):
    """A code for values, each in a window of `steps` time steps: [...] <-> spikes [steps, ...]."""

    @property
    def steps(self) -> int:
        """The number of time steps in which one value is sent."""
        raise NotImplementedError

    def encode_waveform(self, signal: Tensor) -> SpikeTrains:
        """Return the spikes of a signal [time, ...], value by value in windows one after the other: [time * steps, ...]."""
        trains = self.encode(signal)
        return dataclasses.replace(trains, spikes=trains.spikes.transpose(0, 1).flatten(0, 1))

    def decode_waveform(self, trains: SpikeTrains) -> Tensor:
        """Return the signal [time, ...] that `encode_waveform` made spikes of; raises DataError for parts of windows."""
        if len(trains.spikes) % self.steps:
            raise DataError(
                f"{type(self).__name__} sends {self.steps} time steps per value, and {len(trains.spikes)} are no multiple."
            )
        windows = trains.spikes.unflatten(0, (-1, self.steps)).transpose(0, 1)
        return self.decode(dataclasses.replace(trains, spikes=windows))


def even_bound(signal: Tensor, error: float) -> Bound:
    """Return the bound of a code that is off by at most `error` everywhere."""
    return Bound(torch.full(signal.shape, error, dtype=torch.float64), torch.zeros(signal.shape, dtype=torch.float64))


def spikes_at(rows: Tensor, steps: int) -> Tensor:
    """Return one spike for each entry of `rows` [...], in the step that it names: int8 [steps, ...]; none beyond them."""
    return (torch.arange(steps).reshape(-1, *(1,) * rows.ndim) == rows).to(torch.int8)


def whole(name: str, value: object, least: int) -> None:
    """Raise ArgumentError unless `value` is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ArgumentError(f"{name} must be a whole number of at least {least}, not {value!r}.")


def positive(name: str, value: object) -> None:
    """Raise ArgumentError unless `value` is a positive finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise ArgumentError(f"{name} must be a positive number, not {value!r}.")
