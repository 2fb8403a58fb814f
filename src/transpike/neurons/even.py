"""Sequential rate coding: neurons that listen for one window and send their spikes evenly in the next."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.neurons.pointwise import evenly, quantised
from transpike.neurons.windowed import Windowed


@dataclass(frozen=True, eq=False)
class EvenFiring(Windowed):
    """Neurons that integrate a whole window of T steps and then send what they collected, spread evenly over T steps.

    With z the mean current of the window, bias included: n = clip(floor(z T / threshold + initial), 0, T) spikes, of which
    floor(n t / T + 1/2) are sent by step t of the next window; each is worth height / T. The message is n.
    Source: parallel conversion (ICML 2025), whose spikes come in a row instead of evenly; the sums are the same.
    """

    def slots(self, time_steps: int) -> Tensor:
        return torch.full((time_steps,), 1 / time_steps, dtype=torch.float64)

    def sent(self, mean_current: Tensor, time_steps: int) -> tuple[Tensor, Tensor]:
        unit, bias = self.constants(time_steps)
        return quantised(mean_current, time_steps, self.threshold, self.initial, time_steps, unit, bias=bias)

    def train(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        return sent_by(message, step, time_steps) - sent_by(message, step - 1, time_steps)

    def spikes(self, message: Tensor, time_steps: int, until: int | None = None) -> Tensor:
        return message if until is None else sent_by(message, until, time_steps)

    def value(self, message: Tensor, time_steps: int) -> Tensor:
        return message * (self.worth_of_spike() / time_steps)

    def estimate(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        return sent_by(message, step, time_steps) * self.worth_of_spike() / step

    def course(self, message: Tensor, steps: range, time_steps: int) -> Tensor:
        return evenly(message, self.worth_of_spike(), steps, time_steps)

    def arrived(self, current: Tensor, step: int, time_steps: int) -> Tensor:  # noqa: ARG002 - the current of one step times steps
        return self.with_bias(current) * step

    def listening(self, integrated: Tensor, step: int, time_steps: int) -> Tensor:  # noqa: ARG002
        return integrated + self.initial * self.threshold

    def transmitting(self, integrated: Tensor, message: Tensor, step: int, time_steps: int) -> Tensor:
        return integrated + self.threshold * (self.initial - sent_by(message, step, time_steps))


def sent_by(spikes: Tensor, step: int, time_steps: int) -> Tensor:
    """Return how many of `spikes` were sent by `step` of a window, evenly spread: floor(n t / T + 1/2)."""
    return torch.floor(spikes * step / time_steps + 0.5)
