"""Links that carry only so many spikes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.neurons.base import Neuron
from transpike.neurons.faults.base import Fault, Link
from transpike.neurons.windowed import Windowed


class Busy(Link):
    """For how many steps the link of each neuron still carries its last spike [batch, ...]."""

    def __init__(self, generators: list[torch.Generator], like: Tensor) -> None:
        super().__init__(generators)
        self.resting = torch.zeros_like(like)


@dataclass(frozen=True, eq=False)
class Limited(Fault):
    """The link of a neuron is busy for `pause` steps after a spike: what the neuron sends in them is lost.

    A neuron so sends at most once in pause + 1 steps, or slots of its window; what it sends in one step passes together. The
    charge of lost spikes is lost, unlike that of `Refractory` neurons, which wait.
    """

    number: ClassVar[int] = 2

    pause: int = 0

    def start(self, like: Tensor, generators: list[torch.Generator]) -> Busy:
        return Busy(generators, like)

    def step(self, link: Link, sent: Tensor, spikes: Tensor, neurons: Neuron) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        assert isinstance(link, Busy)
        passed = self.passed(link.resting, spikes)
        return sent * passed, spikes * passed

    def passed(self, resting: Tensor, spikes: Tensor) -> Tensor:
        """Return where spikes pass, and note in `resting` for how long their links are busy."""
        passed = (resting <= 0) & (spikes != 0)
        resting.sub_(1).clamp_(min=0).masked_fill_(passed, self.pause)
        return passed

    def in_window(self, message: Tensor, neurons: Windowed, generator: torch.Generator, *, slots: bool) -> Tensor:  # noqa: ARG002
        if not slots:
            return message  # one spike in a window
        resting, arrived = torch.zeros_like(message[0]), torch.zeros_like(message)
        for step, sent in enumerate(message):
            arrived[step] = sent * self.passed(resting, sent)
        return arrived
