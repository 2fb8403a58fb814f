"""Spikes that arrive a little too early or too late."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.neurons.windowed import Windowed

SHIFT = 7  # bits of a slot of a message in which positive spikes are counted, below the negative ones
POSITIVE, NEGATIVE = 2**SHIFT - 1, 2**SHIFT


@dataclass(frozen=True, eq=False)
class Jittered(Windowed):
    """Neurons whose spikes arrive at other times than they mean: t' = t + sigma e with e normal, in steps of the window.

    On a clock a spike moves by round(sigma e) slots and is then worth what its new slot is worth; spikes that move into one
    slot all arrive. One that would leave the window stays in its first or last slot. Where time is a real number, as for
    `FirstSpikeTime`, it moves by sigma e windows. The numbers are drawn from `seed`, the place of the neurons
    in their network, `line`, and the place of the sample in the run, so that a run can be repeated in any blocks.
    Where a neuron fires once the message is that of the neurons, moved; else it is how many spikes arrive in each slot
    [batch, time, ...], negative ones times 128.
    `inner` are the neurons, whose threshold, height and bias count.
    """

    inner: Windowed | None = None
    sigma: float = 0.0
    seed: int = 0
    line: int = 0

    @property
    def neurons(self) -> Windowed:
        """The neurons that send the spikes."""
        assert self.inner is not None
        return self.inner

    @property
    def own_window(self) -> int | None:
        return self.neurons.own_window

    def slots(self, time_steps: int) -> Tensor:
        return self.neurons.slots(time_steps)

    def encoded(self, mean_current: Tensor, time_steps: int) -> Tensor:
        message = self.neurons.encoded(mean_current, time_steps)
        return message if self.neurons.single else in_slots(self.neurons, message.contiguous(), time_steps)

    def disturbed(self, message: Tensor, first_sample: int) -> Tensor:
        moved = message.clone()
        for place, one in enumerate(moved):
            generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.line) * 1_000_003 + first_sample + place)
            if self.neurons.single:
                sent = one.nonzero(as_tuple=True)  # numbers for spikes alone: most neurons have none
                one[sent] = self.neurons.postponed(one[sent], self.later(len(sent[0]), generator).to(one.device))
            else:
                sent_slots = one.flatten().nonzero().squeeze(1)
                move(one, sent_slots, self.later(len(sent_slots), generator).to(one.device).round().long())
        return moved

    def later(self, spikes: int, generator: torch.Generator) -> Tensor:
        """Return by how many steps each of some spikes comes later."""
        return self.sigma * torch.randn(spikes, generator=generator)

    def train(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        if self.neurons.single:
            return self.neurons.train(message, step, time_steps)
        one = message[:, step - 1]
        return ((one & POSITIVE) - (one >> SHIFT)).to(self.threshold.dtype)

    def spikes(self, message: Tensor, time_steps: int, until: int | None = None) -> Tensor:
        if self.neurons.single:
            return self.neurons.spikes(message, time_steps, until)
        some = message[:, : until or time_steps]
        return ((some & POSITIVE) + (some >> SHIFT)).sum(1).to(self.threshold.dtype)

    def delivered(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        if self.neurons.single:
            return self.neurons.delivered(message, step, time_steps)
        sent = self.worth_of_spike().new_zeros(message[:, 0].shape)
        for k, worth in enumerate(self.slots(time_steps)[:step].tolist(), 1):
            sent.add_(self.train(message, k, time_steps), alpha=worth)
        return sent * self.worth_of_spike()

    def times(self, message: Tensor, time_steps: int) -> Tensor:
        if self.neurons.single:
            return self.neurons.times(message, time_steps)
        arrived = message.cumsum(1) > 0
        return (time_steps + 1 - arrived.sum(1)).to(self.threshold.dtype).masked_fill(~arrived[:, -1], torch.inf)


def in_slots(neurons: Windowed, message: Tensor, time_steps: int) -> Tensor:
    """Return the spikes that messages stand for [batch, time, ...], negative ones as 128."""
    slots = message.new_empty((len(message), time_steps, *message.shape[1:]), dtype=torch.int16)
    for step in range(1, time_steps + 1):
        slots[:, step - 1] = neurons.train(message, step, time_steps)
    return slots.masked_fill_(slots < 0, NEGATIVE)


def move(slots: Tensor, sent: Tensor, by: Tensor) -> None:
    """Move the spikes at the places `sent` in the flat slots of one sample [time, ...] by so many slots, within the window."""
    flat, size = slots.view(-1), slots[0].numel()
    slot, spikes = sent // size, flat[sent]
    flat[sent] = 0
    flat.index_add_(0, sent + ((slot + by).clamp(0, len(slots) - 1) - slot) * size, spikes)
