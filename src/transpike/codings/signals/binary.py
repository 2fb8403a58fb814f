"""Binary codes: spikes are the bits of a whole number, one after the other or all at once. Thesis, section 3.1.3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.codings.signals.base import Bound, Properties, SpikeTrains, ValueCode, even_bound, whole
from transpike.errors import ArgumentError, DataError

MOST_BITS = 30  # so that all words are whole numbers in float64, with room


@dataclass(frozen=True, kw_only=True)
class Word(ValueCode):
    """A value in [0, 1] as a word of B bits, m = round(x (2^B - 1)), the highest bit first: off by at most 1/(2 (2^B - 1))."""

    bits: int = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("bits", self.bits, 1)
        if self.bits > MOST_BITS:
            raise ArgumentError(f"bits must be at most {MOST_BITS}, not {self.bits}.")

    def word(self, signal: Tensor) -> Tensor:
        """Return the bits of `signal` [...]: int8 [bits, ...]."""
        number = (self.ready(signal) * (2**self.bits - 1) + 1 / 2).floor().long()
        places = torch.arange(self.bits - 1, -1, -1).reshape(-1, *(1,) * number.ndim)
        return (number >> places & 1).to(torch.int8)

    def value(self, word: Tensor) -> Tensor:
        """Return the values [...] of words [bits, ...]."""
        places = 2.0 ** torch.arange(self.bits - 1, -1, -1, dtype=torch.float64)
        return torch.tensordot(places, word, dims=1) / (2**self.bits - 1)

    def bound(self, signal: Tensor) -> Bound:
        return even_bound(signal, 1 / (2 * (2**self.bits - 1)))


@dataclass(frozen=True, kw_only=True)
class BinaryPresence(Word):
    """Write a value in [0, 1] as bits in clock cycles of one step: a spike is 1, silence is 0, the highest bit first.

    m = round(x (2^B - 1)) in B = `bits` steps; m / (2^B - 1) is off by at most 1/(2 (2^B - 1)). Values [...] <-> spikes
    [B, ...]. Raises ArgumentError for values out of [0, 1]. Source: thesis, section 3.1.3 (first scheme).

    >>> code = BinaryPresence(bits=4)
    >>> trains = code.encode(torch.tensor([10 / 15]))
    >>> trains.spikes[:, 0].tolist(), round(15 * code.decode(trains).item())
    ([1, 0, 1, 0], 10)
    """

    properties: ClassVar[Properties] = Properties(
        family="globally referenced",
        stimulus="values",
        inverts=True,
        guarantee="1/(2 (2^B - 1))",
        for_conversion=False,
        why="No spiking neuron turns a continuous activation directly into bits.",
        citation="thesis, section 3.1.3, first scheme",
    )

    @property
    def steps(self) -> int:
        return self.bits

    def encode(self, signal: Tensor) -> SpikeTrains:
        return SpikeTrains(self.word(signal), self.dt)

    def decode(self, trains: SpikeTrains) -> Tensor:
        return self.value(self.received(trains, self.bits))


@dataclass(frozen=True, kw_only=True)
class BinaryHalves(Word):
    """Write a value in [0, 1] as bits in clock cycles of two steps: a spike in the first is 0, in the second 1.

    m = round(x (2^B - 1)) in 2 B steps with exactly B = `bits` spikes, the highest bit first, so that every word keeps the
    neuron firing and a lost spike shows. Values [...] <-> spikes [2 B, ...]. Raises ArgumentError for values out of [0, 1],
    and `decode` raises DataError for a cycle without exactly one spike. Source: thesis, section 3.1.3 (second scheme).

    >>> code = BinaryHalves(bits=3)
    >>> trains = code.encode(torch.tensor([5 / 7]))
    >>> trains.spikes[:, 0].tolist(), round(7 * code.decode(trains).item())
    ([0, 1, 1, 0, 0, 1], 5)
    """

    properties: ClassVar[Properties] = Properties(
        family="globally referenced",
        stimulus="values",
        inverts=True,
        guarantee="1/(2 (2^B - 1))",
        for_conversion=False,
        why="No spiking neuron turns a continuous activation directly into bits.",
        citation="thesis, section 3.1.3, second scheme",
    )

    @property
    def steps(self) -> int:
        return 2 * self.bits

    def encode(self, signal: Tensor) -> SpikeTrains:
        word = self.word(signal)
        return SpikeTrains(torch.stack([1 - word, word], 1).flatten(0, 1), self.dt)

    def decode(self, trains: SpikeTrains) -> Tensor:
        cycles = self.received(trains, self.steps).unflatten(0, (self.bits, 2))
        if bool((cycles.sum(1) != 1).any()):
            raise DataError(
                "BinaryHalves reads exactly one spike per line in each cycle of two steps: a spike was lost or added."
            )
        return self.value(cycles[:, 1])


@dataclass(frozen=True, kw_only=True)
class ParallelBinary(Word):
    """Write a value in [0, 1] as a word that B neurons send in one step, a neuron for each bit, the highest first.

    m = round(x (2^B - 1)); m / (2^B - 1) is off by at most 1/(2 (2^B - 1)). Values [...] <-> spikes [1, ..., B]. Raises
    ArgumentError for values out of [0, 1]. Source: thesis, section 3.1.3 (synchronous firing read as a parallel word).

    >>> code = ParallelBinary(bits=4)
    >>> trains = code.encode(torch.tensor([10 / 15]))
    >>> trains.spikes[0, 0].tolist(), round(15 * code.decode(trains).item())
    ([1, 0, 1, 0], 10)
    """

    properties: ClassVar[Properties] = Properties(
        family="correlation",
        stimulus="values",
        inverts=True,
        guarantee="1/(2 (2^B - 1))",
        for_conversion=False,
        why="The neurons of a layer would have to be connected with each other to agree on a word.",
        citation="thesis, section 3.1.3, correlation and synchrony",
    )

    @property
    def steps(self) -> int:
        return 1

    def encode(self, signal: Tensor) -> SpikeTrains:
        return SpikeTrains(self.word(signal).movedim(0, -1)[None].contiguous(), self.dt)

    def decode(self, trains: SpikeTrains) -> Tensor:
        return self.value(self.received(trains, 1, self.bits)[0].movedim(-1, 0))
