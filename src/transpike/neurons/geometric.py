"""Phase coding with one spike on a geometric scale."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

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

    def sent(self, mean_current: Tensor, time_steps: int) -> tuple[Tensor, Tensor]:
        thresholds, worths = ascending(self, time_steps, mean_current.device, mean_current.dtype)
        return reached(self.with_bias(mean_current), self.threshold, thresholds, worths, self.constants(1)[0])

    def value(self, message: Tensor, time_steps: int) -> Tensor:
        _, worths = ascending(self, time_steps, message.device, message.dtype)
        return looked_up(torch.cat([worths.new_zeros(1), worths]), message) * self.worth_of_spike()

    def transmitting(self, integrated: Tensor, message: Tensor, step: int, time_steps: int) -> Tensor:
        return after_spike(integrated, message, step, time_steps)


@lru_cache(maxsize=256)
def ascending(op: GeometricPhase, time_steps: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return the thresholds of the slots, in thresholds of the neuron, and their worths, both the smallest first."""
    worths = op.slots(time_steps).flip(0).to(device, dtype)
    return worths * (op.initial / op.base + 1 - op.initial), worths
