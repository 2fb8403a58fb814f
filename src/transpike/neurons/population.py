"""Populations: many neurons with thresholds of their own stand for one value, at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from transpike.neurons.windowed import Windowed


@dataclass(frozen=True, eq=False)
class Population(Windowed):
    """N neurons that all receive the same current; how many of them fire is the value, in a single step.

    With x = gain z + shift: E = #{j: x >= thresholds[j]} neurons fire; a second, inhibitory population, if there is one, has
    I = #{j: -x >= inhibitory[j]}. The value is base + excitation E - inhibition I; or, with `table` [..., N + 1], table[E],
    where every neuron has a weight of its own. Thresholds [..., N] ascend along their last axis and are those of every unit,
    or of each unit of a sample. The numbers are found by search, so that a step costs log N. `gain` and `shift` belong to the
    weights and the bias before the population, `base`, `excitation` and `inhibition` to those behind it.
    Source: a thesis on conversion, section 5.2.
    """

    least: ClassVar[float] = -1  # inhibitory spikes

    thresholds: Tensor = field(default_factory=lambda: torch.zeros(1))
    inhibitory: Tensor | None = None
    base: Tensor = field(default_factory=lambda: torch.zeros(()))
    excitation: Tensor = field(default_factory=lambda: torch.ones(()))
    inhibition: Tensor = field(default_factory=lambda: torch.zeros(()))
    table: Tensor | None = None
    gain: Tensor = field(default_factory=lambda: torch.ones(()))
    shift: Tensor = field(default_factory=lambda: torch.zeros(()))

    @property
    def size(self) -> int:
        """How many excitatory neurons each population has."""
        return self.thresholds.shape[-1]

    @property
    def members(self) -> int:
        return self.size + (0 if self.inhibitory is None else self.inhibitory.shape[-1])

    @property
    def own_window(self) -> int:
        return 1

    def tells_apart(self, time_steps: int) -> int:  # noqa: ARG002 - its window is a single step
        return self.members

    def slots(self, time_steps: int) -> Tensor:  # noqa: ARG002
        return torch.ones(1, dtype=torch.float64)

    def encoded(self, mean_current: Tensor, time_steps: int) -> Tensor:  # noqa: ARG002
        current = self.with_bias(mean_current) * self.gain + self.shift
        excited = firing(self.thresholds, current)
        return excited if self.inhibitory is None else excited + (self.size + 1) * firing(self.inhibitory, -current)

    def excited(self, message: Tensor) -> Tensor:
        """Return how many excitatory neurons fire."""
        return message if self.inhibitory is None else message % (self.size + 1)

    def inhibited(self, message: Tensor) -> Tensor:
        """Return how many inhibitory neurons fire."""
        return torch.zeros_like(message) if self.inhibitory is None else message // (self.size + 1)

    def train(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        return self.spikes(message, time_steps, step)

    def spikes(self, message: Tensor, time_steps: int, until: int | None = None) -> Tensor:  # noqa: ARG002 - all at once
        return (self.excited(message) + self.inhibited(message)).to(self.threshold.dtype)

    def delivered(self, message: Tensor, step: int, time_steps: int) -> Tensor:  # noqa: ARG002
        if self.table is not None:
            return self.looked_up(self.excited(message))
        value = torch.addcmul(self.base, self.excited(message).to(self.base.dtype), self.excitation)
        return value if self.inhibitory is None else value - self.inhibited(message) * self.inhibition

    def looked_up(self, count: Tensor) -> Tensor:
        """Return what so many spikes of each unit [batch, ...] stand for."""
        assert self.table is not None
        if self.table.ndim == 1:
            return self.table[count]
        rows = self.table.expand(*count.shape[-(self.table.ndim - 1) :], self.size + 1)
        return rows.expand(*count.shape, self.size + 1).gather(-1, count[..., None])[..., 0]

    def times(self, message: Tensor, time_steps: int) -> Tensor:
        return torch.where(self.spikes(message, time_steps) > 0, 1.0, torch.inf)

    def transmitting(self, integrated: Tensor, message: Tensor, step: int, time_steps: int) -> Tensor:  # noqa: ARG002
        return torch.zeros_like(integrated)  # all members start the next step from rest

    def worth_of_spike(self) -> Tensor:
        return self.excitation

    def ceiling(self) -> Tensor:
        return self.base + self.excitation * self.size if self.table is None else self.table[..., -1]


def firing(thresholds: Tensor, current: Tensor) -> Tensor:
    """Return how many thresholds [..., N] the current of each unit [batch, ...] reaches."""
    if thresholds.ndim == 1:
        return torch.searchsorted(thresholds, current.contiguous(), right=True)
    shape = current.shape[0], *thresholds.shape[:-1]
    units = current.expand(shape).flatten(1).T.contiguous()
    found = torch.searchsorted(thresholds.flatten(0, -2), units, right=True)
    return found.T.reshape(shape)
