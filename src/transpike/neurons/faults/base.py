"""What a fault is: something that happens to spikes between the neurons that send them and those that receive them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.neurons.base import Neuron
from transpike.neurons.windowed import Windowed
from transpike.parts import Op, State

SHIFT = 7  # bits of a slot of a message in which positive spikes are counted, below the negative ones
POSITIVE, NEGATIVE = 2**SHIFT - 1, 2**SHIFT
PRIME = 1_000_003


class Link(State):
    """What a fault remembers of the spikes so far; `steps` counts time steps, and each sample has a generator of its own."""

    def __init__(self, generators: list[torch.Generator]) -> None:
        self.generators = generators
        self.steps = 0

    def keep(self, rows: Tensor, batch: int) -> None:
        super().keep(rows, batch)
        self.generators = [self.generators[row] for row in rows.tolist()]

    def uniform(self, like: Tensor) -> Tensor:
        """Return even random numbers in [0, 1) in the shape of `like` [batch, ...]."""
        return self.stacked([torch.rand(like.shape[1:], generator=one) for one in self.generators], like)

    def normal(self, like: Tensor) -> Tensor:
        """Return standard normal random numbers in the shape of `like` [batch, ...]."""
        return self.stacked([torch.randn(like.shape[1:], generator=one) for one in self.generators], like)

    def kept(self, spikes: Tensor, share: float) -> Tensor:
        """Return how many of `spikes` [batch, ...] are left if each stays with probability `share`."""
        chance = torch.full(spikes.shape[1:], float(share))
        counts = spikes.cpu().float()
        left = [torch.binomial(one, chance, generator=g) for one, g in zip(counts, self.generators, strict=True)]
        return self.stacked(left, spikes)

    def stacked(self, parts: Sequence[Tensor], like: Tensor) -> Tensor:
        """Return the parts of all samples in dtype and layout of `like`."""
        return torch.empty_like(like).copy_(torch.stack(list(parts)))


@dataclass(frozen=True, eq=False)
class Fault(Op):
    """What becomes of the spikes that neurons send: of those of one time step, or of those of a whole window."""

    number: ClassVar[int] = 0  # tells the draws of the faults apart
    copies: ClassVar[int] = 2  # tensors of the size of a layer that it holds at worst

    def generators(self, seed: int, line: int, first: int, count: int) -> list[torch.Generator]:
        """Return a generator for each of the samples from place `first` of the run on, for the neurons number `line`."""
        base = ((self.number * PRIME + seed) * PRIME + line) * PRIME
        return [torch.Generator().manual_seed((base + first + i) % 2**63) for i in range(count)]

    def start(self, like: Tensor, generators: list[torch.Generator]) -> Link:  # noqa: ARG002 - most remember no spikes
        """Return the state of the links of neurons shaped like `like` [batch, ...] before the first step."""
        return Link(generators)

    def step(self, link: Link, sent: Tensor, spikes: Tensor, neurons: Neuron) -> tuple[Tensor, Tensor]:
        """Return what arrives of what neurons sent in a step and of their spikes, both [batch, ...]."""
        raise NotImplementedError

    def in_window(self, message: Tensor, neurons: Windowed, generator: torch.Generator, *, slots: bool) -> Tensor:
        """Return the message of one sample as it arrives: that of the neurons [...], or with `slots` spikes [time, ...].

        A slot holds the number of its positive spikes, and 128 times that of its negative ones.
        """
        raise NotImplementedError
