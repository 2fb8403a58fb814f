"""What codes with one spike in a window share: its slot is the message."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from transpike.errors import positive_whole
from transpike.neurons.pointwise import arrived, reaching
from transpike.neurons.windowed import Windowed


@dataclass(frozen=True, eq=False)
class OneSpike(Windowed):
    """Neurons that fire at most once in a window of `levels` steps, the earlier the more they received.

    The message is the number of slots that are left when the spike comes, n = levels + 1 - k for slot k, and 0 for none.
    """

    single: ClassVar[bool] = True

    levels: int = 31

    @property
    def own_window(self) -> int:
        return self.levels

    def with_window(self, steps: int) -> Self:
        return dataclasses.replace(self, levels=positive_whole("window", steps))

    def postponed(self, message: Tensor, by: Tensor) -> Tensor:
        return (message - by.round().to(message.dtype)).clamp(1, self.levels)

    def train(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        return (message == time_steps + 1 - step).to(message.dtype)

    def spikes(self, message: Tensor, time_steps: int, until: int | None = None) -> Tensor:
        last = 1 if until is None else time_steps + 1 - until
        return torch.ge(message, max(1, last), out=torch.empty_like(message))  # floats: faster than truth values

    def spikes_of_samples(self, message: Tensor, time_steps: int) -> Tensor:  # noqa: ARG002 - the least message is 1
        return reaching(message, 1)

    def times(self, message: Tensor, time_steps: int) -> Tensor:
        return (time_steps + 1 - message).masked_fill(message == 0, torch.inf)

    def delivered(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        return self.value(message * (message >= time_steps + 1 - step), time_steps)

    def course(self, message: Tensor, steps: range, time_steps: int) -> Tensor:
        left = torch.tensor([time_steps + 1 - step for step in steps], device=message.device, dtype=message.dtype)
        return arrived(message, self.value(message, time_steps), left)


def after_spike(potential: Tensor, message: Tensor, step: int, time_steps: int) -> Tensor:
    """Return the potential in slot `step`, which a spike has set to 0 for the rest of the window."""
    return potential.masked_fill((message > 0) & (message >= time_steps + 1 - step), 0)
