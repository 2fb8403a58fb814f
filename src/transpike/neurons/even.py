"""The neuron of the sequential schedule: it listens for one window and sends its spikes evenly in the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.neurons.base import Neuron


@dataclass(frozen=True, eq=False)
class EvenFiring(Neuron):
    """Neurons that integrate a whole window of T steps and then send what they collected, spread evenly over T steps.

    With z the mean current of the window, bias included: n = clip(floor(z T / threshold + initial), 0, T) spikes, of which
    floor(n t / T + 1/2) are sent by step t of the next window. No spike depends on the order in which the current came, so
    there is no unevenness error: the network computes exactly its quantised counterpart. Each layer costs a window:
    latency is T times the number of layers, throughput one sample per window.
    Source: parallel conversion (ICML 2025), whose spikes come in a row instead of evenly; the sums are the same.
    """

    keeps: ClassVar[frozenset[str]] = frozenset({"count"})

    def spikes_for(self, mean_current: Tensor, time_steps: int) -> Tensor:
        """Return the number of spikes [batch, ...] for the mean current of a window [batch, ...]."""
        current = mean_current if self.bias is None else mean_current + self.bias[0]
        return (current * time_steps / self.threshold + self.initial).floor().clamp(0, time_steps)

    def value(self) -> Tensor:
        """Return what a spike is worth."""
        return self.threshold if self.height is None else self.height[0]

    def mean_sent(self, currents: Tensor, time_steps: int) -> Tensor:
        return self.spikes_for(currents.mean(0), time_steps) * self.value() / time_steps


def sent_by(spikes: Tensor, step: int, time_steps: int) -> Tensor:
    """Return how many of `spikes` were sent by `step` of a window, evenly spread: floor(n t / T + 1/2)."""
    return torch.floor(spikes * step / time_steps + 0.5)
