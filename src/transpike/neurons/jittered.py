"""Spikes that arrive a little too early or too late."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.neurons.windowed import Windowed

NEGATIVE = 128  # how a slot of a message counts a negative spike beside positive ones, each fewer than this


@dataclass(frozen=True, eq=False)
class Jittered(Windowed):
    """Neurons whose spikes arrive at other times than they mean: t' = t + sigma e with e normal, in steps of the window.

    On a clock a spike moves by round(sigma e) slots and is then worth what its new slot is worth; spikes that move into one
    slot all arrive. One that would leave the window stays in its first or last slot. Where time is a real number, as for
    `FirstSpikeTime` without a clock, it moves by sigma e windows. The numbers are drawn from `seed`, the place of the neurons
    in their network, `line`, and the place of the sample in the run, so that a run can be repeated in any blocks.
    The message is how many spikes arrive in each slot [batch, ..., time], negative ones times 128; for real times the value
    that arrives [batch, ..., 1].
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
        message = neurons.encoded(mean_current, time_steps)
        if neurons.continuous:
            return message[..., None]
        trains = torch.stack(
            [neurons.train(message, step, time_steps).to(torch.int16) for step in range(1, time_steps + 1)], -1
        )
        return torch.where(trains < 0, NEGATIVE, trains)

    def disturbed(self, message: Tensor, first_sample: int) -> Tensor:
        return torch.stack([self.moved(one, first_sample + place) for place, one in enumerate(message)])

    def moved(self, message: Tensor, sample: int) -> Tensor:
        """Return the message of one sample [..., time] as it arrives."""
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.line) * 1_000_003 + sample)
        noise = self.sigma * torch.randn(message.shape, generator=generator).to(message.device)
        if self.neurons.continuous:
            return torch.where(message > 0, (message - noise).clamp(torch.finfo(message.dtype).tiny, 1), message)
        places = torch.arange(message.shape[-1], device=message.device)
        slots = (places + noise.round()).clamp(0, message.shape[-1] - 1).long()
        return torch.zeros_like(message).scatter_add_(-1, slots, message)

    def train(self, message: Tensor, step: int, time_steps: int) -> Tensor:  # noqa: ARG002
        return arrivals(message[..., step - 1]).to(self.threshold.dtype)

    def spikes(self, message: Tensor, time_steps: int, until: int | None = None) -> Tensor:
        if self.neurons.continuous:
            return (message[..., 0] > 0).to(message.dtype)
        some = message[..., : until or time_steps]
        return (some % NEGATIVE + some // NEGATIVE).sum(-1).to(self.threshold.dtype)

    def delivered(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        if self.neurons.continuous:
            return message[..., 0] * self.worth_of_spike()
        worth = self.slots(time_steps).to(message.device, self.threshold.dtype)[:step]
        return (arrivals(message[..., :step]).to(worth.dtype) @ worth) * self.worth_of_spike()


def arrivals(message: Tensor) -> Tensor:
    """Return the sum of the spikes that arrive in each slot."""
    return message % NEGATIVE - message // NEGATIVE
