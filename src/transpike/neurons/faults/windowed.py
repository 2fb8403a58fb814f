"""Neurons with a fault where layers take turns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.neurons.even import EvenFiring
from transpike.neurons.faults.base import NEGATIVE, POSITIVE, SHIFT
from transpike.neurons.faults.wrapped import FaultyNeuron
from transpike.neurons.population import Population
from transpike.neurons.windowed import Windowed


@dataclass(frozen=True, eq=False)
class FaultyWindow(FaultyNeuron, Windowed):
    """Neurons that send the messages of those inside, which a fault changes on their way.

    Where a neuron fires once, or a message is a number of spikes, it is that of the neurons inside, changed; else it is how
    many spikes arrive in each slot [batch, time, ...], negative ones times 128.
    """

    @property
    def neurons(self) -> Windowed:
        """The neurons without any fault."""
        assert isinstance(self.root, Windowed)
        return self.root

    @property
    def in_slots(self) -> bool:
        """Whether messages say what is in each slot."""
        return not (self.neurons.single or isinstance(self.neurons, Population))

    def slots(self, time_steps: int) -> Tensor:
        return self.neurons.slots(time_steps)

    def encoded(self, mean_current: Tensor, time_steps: int) -> Tensor:
        assert isinstance(self.inside, Windowed)
        message = self.inside.encoded(mean_current, time_steps)
        if self.in_slots and not isinstance(self.inside, FaultyWindow):
            return slots_of(self.neurons, message.contiguous(), time_steps)
        return message

    def disturbed(self, message: Tensor, first_sample: int) -> Tensor:
        assert isinstance(self.inside, Windowed)
        message = self.inside.disturbed(message, first_sample)
        generators = self.happens.generators(self.seed, self.line, first_sample, len(message))
        pairs = zip(message, generators, strict=True)
        arrived = [self.happens.in_window(one, self.neurons, g, slots=self.in_slots) for one, g in pairs]
        return torch.empty_like(message).copy_(torch.stack(arrived)) if len(message) else message

    def train(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        if not self.in_slots:
            return self.neurons.train(message, step, time_steps)
        one = message[:, step - 1]
        return ((one & POSITIVE) - (one >> SHIFT)).to(self.threshold.dtype)

    def spikes(self, message: Tensor, time_steps: int, until: int | None = None) -> Tensor:
        if not self.in_slots:
            return self.neurons.spikes(message, time_steps, until)
        some = message[:, : until or time_steps]
        return ((some & POSITIVE) + (some >> SHIFT)).sum(1).to(self.threshold.dtype)

    def delivered(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        if not self.in_slots:
            return self.neurons.delivered(message, step, time_steps)
        nothing = torch.zeros_like(message[:, 0], dtype=self.threshold.dtype)
        sent = torch.zeros_like(nothing)
        for k, worth in enumerate(self.slots(time_steps)[:step].tolist(), 1):
            sent.add_(self.train(message, k, time_steps), alpha=worth)
        return sent * self.worth_of_spike() + self.neurons.delivered(nothing, step, time_steps)

    def estimate(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        if not self.in_slots:
            return self.neurons.estimate(message, step, time_steps)
        share = time_steps / step if isinstance(self.neurons, EvenFiring) else 1  # a rate is known before the window is over
        return self.delivered(message, step, time_steps) * share

    def arrived(self, current: Tensor, step: int, time_steps: int) -> Tensor:
        return self.neurons.arrived(current, step, time_steps)

    def listening(self, integrated: Tensor, step: int, time_steps: int) -> Tensor:
        return self.neurons.listening(integrated, step, time_steps)

    def times(self, message: Tensor, time_steps: int) -> Tensor:
        if not self.in_slots:
            return self.neurons.times(message, time_steps)
        arrived = message.cumsum(1) > 0
        return (time_steps + 1 - arrived.sum(1)).to(self.threshold.dtype).masked_fill(~arrived[:, -1], torch.inf)

    def worth_of_spike(self) -> Tensor:
        return self.neurons.worth_of_spike()


def slots_of(neurons: Windowed, message: Tensor, time_steps: int) -> Tensor:
    """Return the spikes that messages stand for [batch, time, ...], negative ones as 128."""
    slots = message.new_empty((len(message), time_steps, *message.shape[1:]), dtype=torch.int16)
    for step in range(1, time_steps + 1):
        slots[:, step - 1] = neurons.train(message, step, time_steps)
    return slots.masked_fill_(slots < 0, NEGATIVE)
