"""Filter codes: spikes are placed so that a known filter, started by each of them, gives the signal back.

Thesis, section 3.1.3. All of them are decoded by convolution: x[t] = sum_k kernel[k] s[t - k].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.codings.signals.base import Bound, Properties, SignalCode, SpikeTrains, positive, whole
from transpike.errors import ArgumentError

OUTPUT = "What the neuron is to send has to be known beforehand, and in a network it is not."
TAPS = 16


def raised_cosine(taps: int = TAPS) -> tuple[float, ...]:
    """Return a smooth kernel of sum 1: h[k] = (1 - cos(2 pi (k + 1) / (taps + 1))) / (taps + 1).

    A neuron that fires at every step then stands for 1, and one that is silent for 0.

    >>> [round(h, 3) for h in raised_cosine(3)]
    [0.25, 0.5, 0.25]
    """
    whole("taps", taps, 1)
    return tuple((1 - math.cos(2 * math.pi * (k + 1) / (taps + 1))) / (taps + 1) for k in range(taps))


def gamma_kernel(taps: int = TAPS, shape: float = 2.0, scale: float = 2.0) -> tuple[float, ...]:
    """Return a gamma kernel of sum 1: h[k] in proportion to u^(shape - 1) exp(-u / scale) with u = k + 1 steps.

    >>> [round(h, 3) for h in gamma_kernel(4, shape=2, scale=1)]
    [0.427, 0.314, 0.173, 0.085]
    """
    whole("taps", taps, 1)
    positive("shape", shape)
    positive("scale", scale)
    raw = [(k + 1) ** (shape - 1) * math.exp(-(k + 1) / scale) for k in range(taps)]
    return tuple(value / sum(raw) for value in raw)


@dataclass(frozen=True, kw_only=True)
class FilterCode(SignalCode):
    """A code whose spikes each start a copy of `kernel`, one value per time step."""

    kernel: tuple[float, ...] = raised_cosine()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.kernel or not all(math.isfinite(h) and h >= 0 for h in self.kernel) or not any(self.kernel):
            raise ArgumentError("kernel must have values of at least 0, some of them positive.")

    def waveform(self, signal: Tensor) -> Tensor:
        """Return `signal` [time, ...] in float64; raises ArgumentError if the kernel does not fit into it."""
        values = self.ready(signal)
        if len(values) < len(self.kernel):
            name, taps = type(self).__name__, len(self.kernel)
            raise ArgumentError(f"{name} encodes at least as many time steps as its kernel has, {taps}, not {len(values)}.")
        return values

    def decode(self, trains: SpikeTrains) -> Tensor:
        return convolved(self.received(trains), self.kernel)

    def bound(self, signal: Tensor) -> Bound | None:  # noqa: ARG002 - the contract's
        return None


@dataclass(frozen=True, kw_only=True)
class Subtracting(FilterCode):
    """A filter code that decides step by step: where it fires, the kernel is taken out of what is left of the signal."""

    def fires(self, window: Tensor, kernel: Tensor) -> Tensor:
        """Say for what is left of each line, window [taps, ...], and kernel [taps, 1 ...], whether to fire: bool [...]."""
        raise NotImplementedError

    def encode(self, signal: Tensor) -> SpikeTrains:
        left = self.waveform(signal).clone()
        kernel = torch.tensor(self.kernel, dtype=torch.float64).reshape(-1, *(1,) * (left.ndim - 1))
        spikes = torch.zeros(left.shape, dtype=torch.int8)
        for t in range(len(left) - len(kernel) + 1):
            window = left[t : t + len(kernel)]
            fires = self.fires(window, kernel)
            spikes[t] = fires
            window -= kernel * fires
        return SpikeTrains(spikes, self.dt)


@dataclass(frozen=True, kw_only=True)
class HSA(Subtracting):
    """Write a waveform in [0, 1] by the Hough spiker algorithm: fire where the kernel fits under what is left.

    s[t] = 1 if left[t + k] >= kernel[k] for all k, and then left[t + k] -= kernel[k]. What is decoded never exceeds the
    signal, so it is off by at most the signal itself. Waveform [time, ...] <-> spikes [time, ...]. Raises ArgumentError for
    values out of [0, 1] and signals shorter than the kernel. Source: Hough et al. 1999.

    >>> code = HSA(kernel=(0.25, 0.25))
    >>> trains = code.encode(torch.tensor([0.25, 0.5, 0.5, 0.25]))
    >>> trains.spikes.tolist(), code.decode(trains).tolist()
    ([1, 1, 1, 0], [0.25, 0.5, 0.5, 0.25])
    """

    properties: ClassVar[Properties] = Properties(
        family="filter and optimiser",
        stimulus="waveform",
        inverts=True,
        guarantee="never above the signal: x",
        for_conversion=False,
        why=OUTPUT,
        citation="Hough, de Garis, Korkin, Gers and Nawa 1999; thesis, section 3.1.3",
    )

    def fires(self, window: Tensor, kernel: Tensor) -> Tensor:
        return (window >= kernel).all(0)

    def bound(self, signal: Tensor) -> Bound:
        values = self.waveform(signal)
        return Bound(values, torch.zeros_like(values))


@dataclass(frozen=True, kw_only=True)
class Tolerant(Subtracting):
    """A subtracting code that fires although the kernel does not fit exactly, up to a `threshold`."""

    properties: ClassVar[Properties] = Properties(
        family="filter and optimiser",
        stimulus="waveform",
        inverts=True,
        guarantee="",
        for_conversion=False,
        why=OUTPUT,
        citation="Schrauwen and Van Campenhout 2003 (IJCNN); thesis, section 3.1.3",
    )

    threshold: float

    def __post_init__(self) -> None:
        super().__post_init__()
        not_negative("threshold", self.threshold)


@dataclass(frozen=True, kw_only=True)
class ModifiedHSA(Tolerant):
    """Write a waveform in [0, 1] by the modified Hough algorithm: fire where the kernel hardly exceeds what is left.

    s[t] = 1 if sum_k max(kernel[k] - left[t + k], 0) <= `threshold`, and then left[t + k] -= kernel[k]; with threshold 0 it is
    `HSA`. No bound is known beforehand. Waveform [time, ...] <-> spikes [time, ...]. Raises ArgumentError for values out of
    [0, 1] and signals shorter than the kernel. Source: Schrauwen and Van Campenhout 2003, section on the modified HSA.

    >>> code = ModifiedHSA(kernel=(0.25, 0.25), threshold=0.1)
    >>> code.encode(torch.tensor([0.25, 0.45, 0.5, 0.25])).spikes.tolist()
    [1, 1, 1, 0]
    """

    threshold: float = 0.1

    def fires(self, window: Tensor, kernel: Tensor) -> Tensor:
        return (kernel - window).clamp(min=0).sum(0) <= self.threshold


@dataclass(frozen=True, kw_only=True)
class BSA(Tolerant):
    """Write a waveform in [0, 1] by Ben's spiker algorithm: fire where the kernel makes the rest smaller.

    s[t] = 1 if sum_k |left[t + k] - kernel[k]| <= sum_k |left[t + k]| - `threshold`, and then left[t + k] -= kernel[k]: each
    spike lowers the summed error by at least the threshold, of which the sum of the kernel is the most. No bound for single
    steps is known beforehand. Waveform
    [time, ...] <-> spikes [time, ...]. Raises ArgumentError for values out of [0, 1] and signals shorter than the kernel.
    Source: Schrauwen and Van Campenhout 2003.

    >>> code = BSA(kernel=(0.25, 0.25), threshold=0.1)
    >>> trains = code.encode(torch.tensor([0.2, 0.45, 0.5, 0.25]))
    >>> trains.spikes.tolist(), code.decode(trains).tolist()
    ([1, 1, 1, 0], [0.25, 0.5, 0.5, 0.25])
    """

    threshold: float = 0.9

    def fires(self, window: Tensor, kernel: Tensor) -> Tensor:
        return (window - kernel).abs().sum(0) <= window.abs().sum(0) - self.threshold


def convolved(spikes: Tensor, kernel: Sequence[float]) -> Tensor:
    """Return sum_k kernel[k] spikes[t - k], as long as `spikes` [time, ...]."""
    signal = torch.zeros_like(spikes)
    for k, height in enumerate(kernel[: len(spikes)]):
        signal[k:] += height * spikes[: len(spikes) - k]
    return signal


def not_negative(name: str, value: float) -> None:
    """Raise ArgumentError unless `value` is a number of at least 0."""
    if isinstance(value, bool) or not math.isfinite(value) or value < 0:
        raise ArgumentError(f"{name} must be a number of at least 0, not {value!r}.")
