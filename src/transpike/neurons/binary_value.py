"""Neurons that compute their activation and send the bits of its value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from transpike.neurons.windowed import Windowed


@dataclass(frozen=True, eq=False)
class BinaryValue(Windowed):
    """Neurons that apply their activation to what they collected and send the bits of the result, the highest first.

    m = round((2^K - 1) (activation(z) - low) / (high - low)), from 0 to 2^K - 1; slot k = 1 ... K has a spike if bit K - k of m
    is 1; the value is low + (high - low) m / (2^K - 1). The spikes are binary, but the activation is computed in the neuron: it
    takes a chip whose neurons can, such as by a table. The error is at most (high - low) / (2^(K+1) - 2) between low and high.
    Source: the bits are those of weighted spikes (Kim et al. 2018); of any activation: this project.
    """

    least: ClassVar[float] = -1  # low may be negative

    low: Tensor = field(default_factory=lambda: torch.zeros(()))
    high: Tensor = field(default_factory=lambda: torch.ones(()))
    bits: int = 8

    @property
    def own_window(self) -> int:
        return self.bits

    @property
    def most_sent(self) -> int:
        """The largest message: all bits are 1."""
        return 2**self.bits - 1

    def tells_apart(self, time_steps: int) -> int:  # noqa: ARG002 - its window is its own
        return self.most_sent

    def slots(self, time_steps: int) -> Tensor:  # noqa: ARG002
        return 2.0 ** torch.arange(self.bits - 1, -1, -1, dtype=torch.float64) / self.most_sent

    def encoded(self, mean_current: Tensor, time_steps: int) -> Tensor:  # noqa: ARG002
        share = (self.activation(self.with_bias(mean_current)) - self.low) / (self.high - self.low)
        return (share * self.most_sent).round_().clamp_(0, self.most_sent)

    def train(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        return (message / 2 ** (time_steps - step)).floor_().remainder_(2)

    def delivered(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        unit = 2 ** (time_steps - step)
        sent = (message / unit).floor_() * unit  # the highest bits
        return torch.addcmul(self.low, sent, (self.high - self.low) / self.most_sent)

    def transmitting(self, integrated: Tensor, message: Tensor, step: int, time_steps: int) -> Tensor:
        return self.activation(integrated) - self.delivered(message, step, time_steps)

    def worth_of_spike(self) -> Tensor:
        return self.high - self.low

    def ceiling(self) -> Tensor:
        return self.high
