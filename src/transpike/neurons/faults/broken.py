"""Neurons that never fire, or always."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from transpike.neurons.base import Neuron
from transpike.neurons.faults.base import Fault, Link
from transpike.neurons.windowed import Windowed

SATURATING = 1e6  # thresholds: a current that makes any neuron send its largest message


def nothing() -> Tensor:
    """Return that no neuron is concerned."""
    return torch.zeros((), dtype=torch.bool)


@dataclass(frozen=True, eq=False)
class Broken(Fault):
    """Dead neurons send nothing; stuck ones send the most they can, at every step, or in every slot of every window.

    `dead` and `stuck` [...] mark neurons of a sample. A stuck neuron that fires once in a window, or at all, does so first.
    """

    dead: Tensor = field(default_factory=nothing)
    stuck: Tensor = field(default_factory=nothing)

    def step(self, link: Link, sent: Tensor, spikes: Tensor, neurons: Neuron) -> tuple[Tensor, Tensor]:
        loudest = neurons.loudest(link.steps).to(sent)
        most = neurons.at_once * (loudest != 0).to(sent)
        quiet = sent.masked_fill(self.dead, 0), spikes.masked_fill(self.dead, 0)
        return torch.where(self.stuck, loudest, quiet[0]), torch.where(self.stuck, most, quiet[1])

    def in_window(self, message: Tensor, neurons: Windowed, generator: torch.Generator, *, slots: bool) -> Tensor:  # noqa: ARG002
        quiet = message.masked_fill(self.dead, 0)
        if slots:
            return quiet.masked_fill(self.stuck, 1)
        strong = (neurons.threshold * SATURATING).expand(message.shape)
        loudest = neurons.encoded(strong[None], neurons.own_window or 1)[0]
        return torch.where(self.stuck, loudest.to(message.dtype), quiet)
