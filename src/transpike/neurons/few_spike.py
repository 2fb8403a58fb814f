"""Few-spike neurons: a short sequence of thresholds, resets and heights that is fitted to an activation."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from transpike.neurons.pointwise import fired, looked_up, ones, ones_of_samples
from transpike.neurons.windowed import Windowed

LOOKED_UP = 12  # slots of a program up to which the value of each message is kept in a table


@dataclass(frozen=True, eq=False)
class FewSpike(Windowed):
    """Neurons that answer what they collected with at most K spikes, slot by slot: any activation, as well as K slots can.

    v[1] = z / threshold; in slot k: s[k] = 1 if v[k] >= thresholds[k] else 0; v[k+1] = v[k] - resets[k] s[k]; the value is
    height sum heights[k] s[k]. Thresholds [K], resets [K] and heights [K] are fitted to the activation on the range of its
    inputs (see
    `passes.FitFewSpikes`). The message is the number whose binary digits are the spikes, the first slot the highest.
    Source: Stoeckl and Maass 2021 (few-spike neurons).
    """

    least: ClassVar[float] = -1  # heights may be negative

    thresholds: Tensor = field(default_factory=lambda: torch.tensor([0.5]))
    resets: Tensor = field(default_factory=lambda: torch.tensor([0.5]))
    heights: Tensor = field(default_factory=lambda: torch.tensor([0.5]))

    @property
    def own_window(self) -> int:
        return len(self.thresholds)

    def tells_apart(self, time_steps: int) -> int:  # noqa: ARG002 - its window is its own
        return 2 ** len(self.thresholds) - 1

    def ceiling(self) -> Tensor:
        return self.worth_of_spike() * self.heights.clamp(min=0).sum()

    def slots(self, time_steps: int) -> Tensor:  # noqa: ARG002 - as many as were fitted
        return self.heights.double().cpu()

    def sent(self, mean_current: Tensor, time_steps: int) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        program = self.thresholds, self.resets, self.heights
        return fired(self.with_bias(mean_current), self.threshold, *program, self.constants(1)[0])

    def train(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        return (message / 2 ** (time_steps - step)).floor_().remainder_(2)

    def value(self, message: Tensor, time_steps: int) -> Tensor:
        return self.delivered(message, time_steps, time_steps)

    def delivered(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        if time_steps > LOOKED_UP:
            return super().delivered(message, step, time_steps)
        return looked_up(worths(self, step, time_steps), message) * self.worth_of_spike()

    def spikes(self, message: Tensor, time_steps: int, until: int | None = None) -> Tensor:
        return ones(message, time_steps - (until or time_steps))

    def spikes_of_samples(self, message: Tensor, time_steps: int) -> Tensor:  # noqa: ARG002 - all slots
        return ones_of_samples(message)

    def transmitting(self, integrated: Tensor, message: Tensor, step: int, time_steps: int) -> Tensor:
        sent = sum(self.resets[k - 1] * self.train(message, k, time_steps) for k in range(1, step + 1))
        return integrated - sent * self.threshold


@lru_cache(maxsize=256)
def worths(op: FewSpike, step: int, time_steps: int) -> Tensor:
    """Return what receivers have by slot `step` of each message there is."""
    digits = (torch.arange(2**time_steps) >> torch.arange(time_steps - 1, -1, -1)[:, None]) % 2
    values = op.heights.new_zeros(2**time_steps)
    for digit, height in zip(digits.to(op.heights), op.heights, strict=True):  # in the order of the slots: the same bits
        values.addcmul_(digit, height)
    return values.view(-1, 2 ** (time_steps - step))[:, :1].expand(-1, 2 ** (time_steps - step)).flatten()
