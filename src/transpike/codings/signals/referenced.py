"""Globally referenced codes: the time of a spike since a reference that all neurons share. Thesis, section 3.1.3."""

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
    spikes_at,
    whole,
)
from transpike.errors import ArgumentError, DataError

FAMILY = "globally referenced"
ONCE = "A spike per neuron, and used for conversion before; without a reference oscillation it fails in deep networks."


@dataclass(frozen=True, kw_only=True)
class FirstSpikeInverse(ValueCode):
    """Write a value in [0, 1] as the time to the first spike, inversely: the spike comes in step k = round(S / x) of T.

    S = `shortest` is the time at which 1 fires; values below S / (T + 1/2) send nothing and decode to 0. x = S / k is off
    by at most x^2 / (2 S - x). Values [...] <-> spikes [T, ...]. Raises ArgumentError for values out of [0, 1]. Source:
    thesis, section 3.1.3; Rueckauer and Liu 2018.

    >>> code = FirstSpikeInverse(shortest=2, time_steps=8)
    >>> trains = code.encode(torch.tensor([1.0, 0.5, 0.25, 0.0]))
    >>> (trains.spikes.argmax(0) + 1).tolist(), trains.counts().tolist()
    ([2, 4, 8, 1], [1, 1, 1, 0])
    >>> code.decode(trains).tolist()
    [1.0, 0.5, 0.25, 0.0]
    """

    properties: ClassVar[Properties] = Properties(
        family=FAMILY,
        stimulus="values",
        inverts=True,
        guarantee="x^2 / (2 S - x), below S / (T + 1/2) the value",
        for_conversion=True,
        why=ONCE,
        citation="Johansson and Birznieks 2004; thesis, section 3.1.3",
    )

    shortest: int = 8
    time_steps: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("shortest", self.shortest, 1)
        whole("time_steps", self.time_steps, self.shortest)

    @property
    def steps(self) -> int:
        return self.time_steps

    def encode(self, signal: Tensor) -> SpikeTrains:
        step = (self.shortest / self.ready(signal) + 1 / 2).floor().clamp(max=self.time_steps + 1)
        return SpikeTrains(spikes_at(step.long() - 1, self.time_steps), self.dt)

    def decode(self, trains: SpikeTrains) -> Tensor:
        spikes = self.received(trains, self.time_steps)
        return self.shortest / (spikes.argmax(0) + 1).double() * spikes.any(0)

    def bound(self, signal: Tensor) -> Bound:
        values = self.ready(signal)
        fires = values * (self.time_steps + 1 / 2) >= self.shortest
        exact = torch.where(fires, values**2 / (2 * self.shortest - values), values)
        return Bound(exact, torch.zeros_like(exact))


@dataclass(frozen=True, kw_only=True)
class Phase(ValueCode):
    """Write a value in [0, 1] as the phase of one spike in each cycle of a reference oscillation of P = `period` steps.

    In each of the cycles the spike comes in step 1 + k with k = round((1 - x) (P - 1)): the larger, the earlier.
    x = 1 - k / (P - 1), averaged over the cycles, is off by at most 1/(2 (P - 1)). Values [...] <-> spikes
    [P * cycles, ...]. Raises ArgumentError for values out of [0, 1]. Source: Hopfield 1995; thesis, section 3.1.3.

    >>> code = Phase(period=5, cycles=2)
    >>> trains = code.encode(torch.tensor([0.75]))
    >>> trains.spikes[:, 0].tolist()
    [0, 1, 0, 0, 0, 0, 1, 0, 0, 0]
    >>> code.decode(trains).tolist()
    [0.75]
    """

    properties: ClassVar[Properties] = Properties(
        family=FAMILY,
        stimulus="values",
        inverts=True,
        guarantee="1/(2 (P - 1))",
        for_conversion=True,
        why="The oscillation gives every layer its time to listen and to send, which first spikes alone lack.",
        citation="Hopfield 1995; thesis, section 3.1.3 and chapter 6",
    )

    period: int = 16
    cycles: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("period", self.period, 2)
        whole("cycles", self.cycles, 1)

    @property
    def steps(self) -> int:
        return self.period * self.cycles

    def encode(self, signal: Tensor) -> SpikeTrains:
        late = ((1 - self.ready(signal)) * (self.period - 1) + 1 / 2).floor().long()
        cycle = spikes_at(late, self.period)
        return SpikeTrains(torch.cat([cycle] * self.cycles), self.dt)

    def decode(self, trains: SpikeTrains) -> Tensor:
        cycles = self.received(trains, self.steps).unflatten(0, (self.cycles, self.period))
        if bool((cycles.sum(1) != 1).any()):
            raise DataError(f"{type(self).__name__} reads exactly one spike per line in each {self.period} time steps.")
        return 1 - cycles.argmax(1).double().mean(0) / (self.period - 1)

    def bound(self, signal: Tensor) -> Bound:
        return even_bound(signal, 1 / (2 * (self.period - 1)))


@dataclass(frozen=True, kw_only=True)
class FirstSpikeLinear(ValueCode):
    """Write a value in [0, 1] as the time to the first spike, linearly: delay k = round((1 - x) (T - 1)), one spike always.

    x = 1 - k / (T - 1) is off by at most 1/(2 (T - 1)): a single cycle of the code `Phase`. Values [...] <-> spikes
    [T, ...]. Raises ArgumentError for values out of [0, 1]. Source: thesis, section 3.1.3.

    >>> code = FirstSpikeLinear(time_steps=5)
    >>> trains = code.encode(torch.tensor([1.0, 0.5, 0.0]))
    >>> trains.spikes.argmax(0).tolist()
    [0, 2, 4]
    >>> code.decode(trains).tolist()
    [1.0, 0.5, 0.0]
    """

    properties: ClassVar[Properties] = Properties(
        family=FAMILY,
        stimulus="values",
        inverts=True,
        guarantee="1/(2 (T - 1))",
        for_conversion=True,
        why=ONCE,
        citation="Johansson and Birznieks 2004; thesis, section 3.1.3",
    )

    time_steps: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("time_steps", self.time_steps, 2)

    @property
    def steps(self) -> int:
        return self.time_steps

    def cycle(self) -> Phase:
        """Return the phase code of which this is one cycle."""
        return Phase(period=self.time_steps, cycles=1, dt=self.dt)

    def encode(self, signal: Tensor) -> SpikeTrains:
        return self.cycle().encode(self.ready(signal))

    def decode(self, trains: SpikeTrains) -> Tensor:
        self.received(trains, self.time_steps)
        return self.cycle().decode(trains)

    def bound(self, signal: Tensor) -> Bound:
        return self.cycle().bound(signal)


@dataclass(frozen=True, kw_only=True)
class RankOrder(SignalCode):
    """Write a pattern of n values as the order in which n neurons fire: one per step, the largest value first.

    Equal values fire in the order of their places. Pattern [..., n] -> spikes [n, ..., n]. The amplitudes are lost, so there
    is no `decode`; `ranks` and `weights` are what a reader gets. Any real values. Source: Thorpe and Gautrais 1998; thesis,
    section 3.1.3.

    >>> code = RankOrder(sensitivity=0.5)
    >>> trains = code.encode(torch.tensor([0.2, 0.9, 0.4]))
    >>> code.ranks(trains).tolist(), code.weights(trains).tolist()
    ([2, 0, 1], [0.25, 1.0, 0.5])
    """

    properties: ClassVar[Properties] = Properties(
        family=FAMILY,
        stimulus="pattern",
        inverts=False,
        guarantee="",
        for_conversion=False,
        why="Only the order remains: neither an amplitude nor a constant signal can be read back.",
        citation="Thorpe and Gautrais 1998; thesis, section 3.1.3",
    )
    low: ClassVar[float] = -float("inf")
    high: ClassVar[float] = float("inf")

    sensitivity: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.sensitivity, bool) or not 0 < self.sensitivity < 1:
            raise ArgumentError(f"sensitivity must be a number between 0 and 1, not {self.sensitivity!r}.")

    def encode(self, signal: Tensor) -> SpikeTrains:
        order = self.ready(signal).argsort(dim=-1, descending=True, stable=True)
        return SpikeTrains(spikes_at(order.argsort(-1), signal.shape[-1]), self.dt)

    def decode(self, trains: SpikeTrains) -> Tensor:  # noqa: ARG002 - the contract's
        self.refuse("spikes keep the order of the values and no amplitude", "Use ranks(trains) or weights(trains) instead.")

    def bound(self, signal: Tensor) -> None:  # noqa: ARG002 - the contract's
        return None

    def ranks(self, trains: SpikeTrains) -> Tensor:
        """Return the place of each neuron in the order, 0 for the first: int64 [..., n]."""
        self.received(trains, neurons=len(trains.spikes))
        return trains.spikes.argmax(0)

    def weights(self, trains: SpikeTrains) -> Tensor:
        """Return sensitivity^rank [..., n]: how much each spike excites a neuron that each spike before it shunts."""
        return self.sensitivity ** self.ranks(trains).double()
