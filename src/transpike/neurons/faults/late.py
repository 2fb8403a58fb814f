"""Spikes that arrive at other times than they mean."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.neurons.base import Neuron
from transpike.neurons.faults.base import Fault, Link
from transpike.neurons.windowed import Windowed
from transpike.parts import rows_of

FURTHEST = 5  # standard deviations: beyond them a draw in a million


class Underway(Link):
    """The spikes that have been sent and not arrived, by when they are due: what they are worth, and how many they are."""

    def __init__(self, generators: list[torch.Generator], like: Tensor, reach: int) -> None:
        super().__init__(generators)
        self.due = [(torch.zeros_like(like), torch.zeros_like(like)) for _ in range(reach + 1)]

    def keep(self, rows: Tensor, batch: int) -> None:
        super().keep(rows, batch)
        self.due = [(rows_of(worth, rows), rows_of(count, rows)) for worth, count in self.due]


@dataclass(frozen=True, eq=False)
class Late(Fault):
    """Spikes arrive at other times than they mean, by sigma e steps with e normal.

    Where layers take turns, a spike moves by round(sigma e) slots and is then worth what its new slot is worth; spikes that
    move into one slot all arrive. One that would leave the window stays in its first or last slot. Where time is a real
    number, as for `FirstSpikeTime`, it moves by sigma e windows. Where all layers fire at every step no spike can come
    before it is sent: it comes round(|sigma e|) steps later, or not at all if the run ends before. What a neuron sends in one
    step moves together.
    """

    sigma: float = 0.0

    @property
    def reach(self) -> int:
        """How many steps a spike comes later at most."""
        return math.ceil(FURTHEST * self.sigma)

    @property
    def copies(self) -> int:  # type: ignore[override]
        """How many tensors of the size of a layer it holds at worst."""
        return 2 * self.reach + 4

    def start(self, like: Tensor, generators: list[torch.Generator]) -> Underway:
        return Underway(generators, like, self.reach)

    def step(self, link: Link, sent: Tensor, spikes: Tensor, neurons: Neuron) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        assert isinstance(link, Underway)
        wait = (self.sigma * link.normal(sent)).abs_().round_().clamp_(max=self.reach)
        for steps in range(self.reach + 1):
            worth, count = link.due[(link.steps + steps) % len(link.due)]
            moved = wait == steps
            worth.add_(sent * moved)
            count.add_(spikes * moved)
        worth, count = link.due[link.steps % len(link.due)]
        arrived = worth.clone(), count.clone()
        worth.zero_()
        count.zero_()
        return arrived

    def in_window(self, message: Tensor, neurons: Windowed, generator: torch.Generator, *, slots: bool) -> Tensor:
        moved = message.clone()
        if slots:
            sent = message.flatten().nonzero().squeeze(1)
            move(moved, sent, self.later(len(sent), generator).to(message.device).round().long())
        else:
            places = message.nonzero(as_tuple=True)  # numbers for spikes alone: most neurons have none
            moved[places] = neurons.postponed(message[places], self.later(len(places[0]), generator).to(message.device))
        return moved

    def later(self, spikes: int, generator: torch.Generator) -> Tensor:
        """Return by how many steps each of some spikes comes later."""
        return self.sigma * torch.randn(spikes, generator=generator)


def move(slots: Tensor, sent: Tensor, by: Tensor) -> None:
    """Move the spikes at the places `sent` in the flat slots of one sample [time, ...] by so many slots, within the window."""
    flat, size = slots.view(-1), slots[0].numel()
    slot, spikes = sent // size, flat[sent]
    flat[sent] = 0
    flat.index_add_(0, sent + ((slot + by).clamp(0, len(slots) - 1) - slot) * size, spikes)
