"""Few-spike neurons that share the range of their inputs: the one in whose part an input lies answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from transpike.neurons.pointwise import as_laid_out, looked_up, ones
from transpike.neurons.windowed import Windowed


@dataclass(frozen=True, eq=False)
class GatedFewSpike(Windowed):
    """G few-spike neurons for one value, each with a part of the range of the inputs: more exact than one with as many slots.

    With x = z / threshold, neuron g answers if bounds[g] <= x < bounds[g+1]; the first answers below its part too, the last
    above it. It fires in slot 1, which opens its gate, and v[1] = x - bounds[g]; in slot k = 2 ... K:
    s[k] = 1 if v >= widths[g] 2^(1-k), and then v is reduced by as much. The value is height sum heights[g, k] s[k]. A neuron
    whose heights [K] are all 0 stays silent. `bounds` and `widths` are [G], `heights` [G, K].
    The message is g 2^(K-1) plus the number whose binary digits are the spikes from slot 2 on.
    Source: gated neurons with a part of the range each, LAS (the hierarchically gated neuron); the programs are those of
    Stoeckl and Maass 2021 (few-spike neurons).
    """

    least: ClassVar[float] = -1  # heights may be negative

    bounds: Tensor = field(default_factory=lambda: torch.zeros(1))
    widths: Tensor = field(default_factory=lambda: torch.ones(1))
    heights: Tensor = field(default_factory=lambda: torch.tensor([[0.5, 0.5]]))

    @property
    def own_window(self) -> int:
        return self.heights.shape[1]

    @property
    def members(self) -> int:
        return len(self.bounds)

    @property
    def parts(self) -> int:
        """How many values a neuron tells apart in its part of the range."""
        return 1 << (self.own_window - 1)

    def tells_apart(self, time_steps: int) -> int:  # noqa: ARG002 - its window is its own
        return self.members * self.parts - 1

    def ceiling(self) -> Tensor:
        return self.worth_of_spike() * self.heights.clamp(min=0).sum(1).max()

    def slots(self, time_steps: int) -> Tensor:  # noqa: ARG002 - as many as were fitted
        """Return the largest that a spike in each slot is worth, of any of the neurons [time]."""
        return self.heights.double().abs().amax(0).cpu()

    def encoded(self, mean_current: Tensor, time_steps: int) -> Tensor:  # noqa: ARG002
        x = self.with_bias(mean_current) / self.threshold
        return as_laid_out(x, lambda flat, out: out.copy_(self.messages(flat)))

    def messages(self, x: Tensor) -> Tensor:
        """Return the messages for flat inputs."""
        which = torch.bucketize(x, self.bounds[1:], right=True)
        scale = self.parts / self.widths
        digits = (x - self.bounds[which]).mul_(scale[which]).floor_().clamp_(0, self.parts - 1)
        return digits.add_(which, alpha=self.parts)

    def split(self, message: Tensor) -> tuple[Tensor, Tensor]:
        """Return which neuron answers, and the digits of its spikes."""
        whole = message.long()
        return torch.div(whole, self.parts, rounding_mode="floor"), whole % self.parts

    def answers(self) -> Tensor:
        """Return which neurons fire at all [G]."""
        return (self.heights != 0).any(1)

    def train(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        which, digits = self.split(message)
        fires = torch.ones_like(digits) if step == 1 else (digits >> (time_steps - step)) % 2
        return (fires * self.answers()[which]).to(message.dtype)

    def spikes(self, message: Tensor, time_steps: int, until: int | None = None) -> Tensor:
        which, digits = self.split(message)
        fired = ones(digits, time_steps - (until or time_steps)) + 1
        return (fired * self.answers()[which]).to(message.dtype)

    def delivered(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        taken = torch.arange(time_steps) < step
        return self.looked_up(message, self.heights * taken.to(self.heights)) * self.worth_of_spike()

    def value(self, message: Tensor, time_steps: int) -> Tensor:  # noqa: ARG002
        return self.looked_up(message, self.heights) * self.worth_of_spike()

    def looked_up(self, message: Tensor, heights: Tensor) -> Tensor:
        """Return what messages stand for if spikes are worth `heights` [G, K]."""
        numbers = torch.arange(self.parts, device=message.device)[:, None]
        places = torch.arange(self.own_window - 2, -1, -1, device=message.device)
        digits = ((numbers >> places) % 2).to(heights.dtype)
        table = (heights[:, :1] + heights[:, 1:] @ digits.T).flatten()
        return looked_up(table, message)

    def transmitting(self, integrated: Tensor, message: Tensor, step: int, time_steps: int) -> Tensor:
        """Return the potential of the neuron whose part of the range it is."""
        which, digits = self.split(message)
        unit = self.widths[which] / self.parts
        left = digits >> (time_steps - step) << (time_steps - step)  # the digits sent by then
        taken = (self.bounds[which] + left * unit) * self.answers()[which]
        return integrated - taken * self.threshold
