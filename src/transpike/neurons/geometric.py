"""Phase coding with one spike on a geometric scale."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.neurons.one_spike import OneSpike, after_spike
from transpike.neurons.pointwise import looked_up, reached


@dataclass(frozen=True, eq=False)
class GeometricPhase(OneSpike):
    """Neurons that fire once in a window of K steps; a spike in slot k is worth base^(1-k) of the height.

    The neuron fires in the first slot in which what it collected reaches the threshold theta_k = threshold base^(1-k)
    (initial / base + 1 - initial), which decays from slot to slot: half-way to the next smaller value for initial = 1/2. So
    relative errors are at most (base - 1) / 2, and values below threshold base^(1-K) are not sent. The message is the number of
    slots left, K + 1 - k, or 0.
    Source: SpikedAttention (NeurIPS 2024), one-spike phase coding with base 1.15.
    """

    levels: int = 24
    base: float = 1.15

    def slots(self, time_steps: int) -> Tensor:
        return self.base ** -torch.arange(time_steps, dtype=torch.float64)

    def encoded(self, mean_current: Tensor, time_steps: int) -> Tensor:
        smallest_first = self.slots(time_steps).flip(0).to(mean_current.device, mean_current.dtype)
        collected = self.with_bias(mean_current) / self.threshold
        thresholds = smallest_first * (self.initial / self.base + 1 - self.initial)
        return reached(collected, thresholds)

    def value(self, message: Tensor, time_steps: int) -> Tensor:
        worth = self.slots(time_steps).flip(0).to(message.device, message.dtype)
        return looked_up(torch.cat([worth.new_zeros(1), worth]), message) * self.worth_of_spike()

    def transmitting(self, integrated: Tensor, message: Tensor, step: int, time_steps: int) -> Tensor:
        return after_spike(integrated, message, step, time_steps)
