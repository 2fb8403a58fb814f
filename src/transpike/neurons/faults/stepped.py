"""Neurons with a fault where all layers fire at every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.neurons.faults.base import Link
from transpike.neurons.faults.wrapped import FaultyNeuron
from transpike.neurons.first_spikes import Firing, FirstSpike
from transpike.parts import State


class Transmission(State):
    """The state of the neurons, that of their links, and what has arrived: spikes, and what they are worth [batch, ...].

    `told` is what first spikes that arrived stand for.
    """

    def __init__(self, inner: State, link: Link, like: Tensor, told: Firing | None) -> None:
        self.inner, self.link, self.told = inner, link, told
        self.count: Tensor = torch.zeros_like(like)
        self.total = torch.zeros_like(like)

    @property
    def potential(self) -> Tensor | None:  # type: ignore[override]
        """The potential of the neurons."""
        return self.inner.potential

    def keep(self, rows: Tensor, batch: int) -> None:
        super().keep(rows, batch)
        for part in (self.inner, self.link, self.told):
            if part is not None:
                part.keep(rows, batch)

    def transmitted(self) -> Tensor:
        return self.total if self.told is None else self.told.transmitted()


@dataclass(frozen=True, eq=False)
class Faulty(FaultyNeuron):
    """Neurons that fire as those inside do, and whose spikes a fault changes before any other neuron receives them.

    >>> from transpike.neurons import Broken, IntegrateAndFire
    >>> from transpike.ops import Relu
    >>> one = IntegrateAndFire(torch.tensor(1.0), torch.tensor(0.0), Relu())
    >>> dead = Faulty(one.threshold, one.initial, one.activation, inner=one, fault=Broken(dead=torch.tensor([True, False])))
    >>> dead.step(dead.start(torch.zeros(1, 2)), torch.ones(1, 2))
    tensor([[0., 1.]])
    """

    keeps: ClassVar[frozenset[str]] = frozenset({"count", "potential"})

    def start(self, x: Tensor, first_sample: int = 0) -> Transmission:  # type: ignore[override]
        link = self.happens.start(x, self.happens.generators(self.seed, self.line, first_sample, len(x)))
        told = self.root.start(x) if isinstance(self.root, FirstSpike) else None
        assert told is None or isinstance(told, Firing)
        return Transmission(self.inside.start(x, first_sample), link, x, told)

    def step(self, state: Transmission, x: Tensor, *others: Tensor) -> Tensor:  # type: ignore[override]
        state.link.steps += 1
        assert state.inner.count is not None
        before = state.inner.count.clone()
        sent = self.inside.step(state.inner, x, *others)  # type: ignore[arg-type]
        sent, spikes = self.happens.step(state.link, sent, state.inner.count - before, self.inside)
        state.count.add_(spikes)
        if self.restarts(state.link.steps):
            state.total.zero_()
        state.total.add_(sent)
        if state.told is not None:
            assert isinstance(self.root, FirstSpike)
            state.told.steps += 1
            self.root.tell(state.told, sent / state.told.height)
        return sent
