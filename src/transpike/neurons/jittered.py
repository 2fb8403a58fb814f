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
    `FirstSpikeTime` without a clock, it moves by sigma e windows. The numbers are drawn from `seed`, the place of the neurons
    in their network, `line`, and the place of the sample in the run, so that a run can be repeated in any blocks.
    The message is how many spikes arrive in each slot [batch, time, ...], negative ones times 128; for real times the value
    that arrives [batch, 1, ...].
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
        neurons = self.neurons
        message = neurons.encoded(mean_current, time_steps).contiguous()
        if neurons.continuous:
            return message[:, None]
        slots = message.new_empty((len(message), time_steps, *message.shape[1:]), dtype=torch.int16)
        for step in range(1, time_steps + 1):
            slots[:, step - 1] = neurons.train(message, step, time_steps)
        return slots.masked_fill_(slots < 0, NEGATIVE)

    def disturbed(self, message: Tensor, first_sample: int) -> Tensor:
        return torch.stack([self.moved(one, first_sample + place) for place, one in enumerate(message)])

    def moved(self, message: Tensor, sample: int) -> Tensor:
        """Return the message of one sample [time, ...] as it arrives."""
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.line) * 1_000_003 + sample)
        if self.neurons.continuous:
            noise = self.drawn(message.shape, generator).to(message.device)
            return torch.where(message > 0, (message - noise).clamp(torch.finfo(message.dtype).tiny, 1), message)
        flat, size, last = message.flatten(), message[0].numel(), len(message) - 1
        sent = flat.nonzero().squeeze(1)  # numbers for spikes alone: most slots have none
        slots = sent // size
        steps = self.drawn(sent.shape, generator).to(message.device).round().long()
        moved = sent + ((slots + steps).clamp(0, last) - slots) * size
        return torch.zeros_like(flat).index_add_(0, moved, flat[sent]).view_as(message)

    def drawn(self, shape: torch.Size, generator: torch.Generator) -> Tensor:
        """Return by how much spikes move, in steps."""
        return self.sigma * torch.randn(shape, generator=generator)

    def train(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        if self.neurons.continuous:
            return self.neurons.train(message[:, 0], step, time_steps)
        return self.arrivals(message, step)

    def arrivals(self, message: Tensor, step: int) -> Tensor:
        """Return the sum of the spikes that arrive in a slot."""
        one = message[:, step - 1]
        return ((one & POSITIVE) - (one >> SHIFT)).to(self.threshold.dtype)

    def spikes(self, message: Tensor, time_steps: int, until: int | None = None) -> Tensor:
        if self.neurons.continuous:
            return (message[:, 0] > 0).to(message.dtype)
        some = message[:, : until or time_steps]
        return ((some & POSITIVE) + (some >> SHIFT)).sum(1).to(self.threshold.dtype)

    def delivered(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        if self.neurons.continuous:
            return message[:, 0] * self.worth_of_spike()
        sent = self.worth_of_spike().new_zeros(message[:, 0].shape)
        for k, worth in enumerate(self.slots(time_steps)[:step].tolist(), 1):
            sent.add_(self.arrivals(message, k), alpha=worth)
        return sent * self.worth_of_spike()

    def times(self, message: Tensor, time_steps: int) -> Tensor:
        if self.neurons.continuous:
            return self.neurons.times(message[:, 0], time_steps)
        arrived = message.cumsum(1) > 0
        return (time_steps + 1 - arrived.sum(1)).to(self.threshold.dtype).masked_fill(~arrived[:, -1], torch.inf)
