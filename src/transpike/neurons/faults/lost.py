"""Spikes that get lost on their way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.neurons.base import Neuron
from transpike.neurons.faults.base import POSITIVE, SHIFT, Fault, Link
from transpike.neurons.population import Population
from transpike.neurons.windowed import Windowed


@dataclass(frozen=True, eq=False)
class Lost(Fault):
    """Each spike is lost with probability `share`, by itself; the neuron that sent it is reset all the same.

    Of a population each of its spikes may be lost, of a burst too; a graded spike is lost whole.
    """

    number: ClassVar[int] = 1

    share: float = 0.0

    def step(self, link: Link, sent: Tensor, spikes: Tensor, neurons: Neuron) -> tuple[Tensor, Tensor]:
        if neurons.at_once == 1:
            kept = link.uniform(sent) >= self.share
            return sent * kept, spikes * kept
        left = link.kept(spikes, 1 - self.share)
        return sent * (left / spikes.clamp(min=1)), left

    def in_window(self, message: Tensor, neurons: Windowed, generator: torch.Generator, *, slots: bool) -> Tensor:
        if isinstance(neurons, Population):
            inside, outside = (self.left(part, generator) for part in (neurons.excited(message), neurons.inhibited(message)))
            return inside + (neurons.size + 1) * outside
        if slots:
            positive, negative = (self.left(part, generator) for part in (message & POSITIVE, message >> SHIFT))
            return positive + (negative << SHIFT)
        arrived = message.clone()
        sent = message.nonzero(as_tuple=True)  # numbers for spikes alone: most neurons have none
        lost = torch.rand(len(sent[0]), generator=generator) < self.share
        arrived[tuple(place[lost.to(place.device)] for place in sent)] = 0
        return arrived

    def left(self, spikes: Tensor, generator: torch.Generator) -> Tensor:
        """Return how many of so many spikes [...] are left."""
        left = spikes.clone()
        sent = spikes.nonzero(as_tuple=True)
        counts = spikes[sent].cpu().float()
        left[sent] = torch.binomial(counts, torch.full_like(counts, 1 - self.share), generator=generator).to(left)
        return left
