"""The integrate-and-fire neuron that rests after each spike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from transpike.errors import ArgumentError
from transpike.neurons.base import Membrane, Neuron
from transpike.neurons.integrate_and_fire import IntegrateAndFire


class RefractoryMembrane(Membrane):
    """A membrane, and how many steps each neuron still rests."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.resting = torch.zeros_like(self.potential)


@dataclass(frozen=True, eq=False)
class Refractory(IntegrateAndFire):
    """Integrate-and-fire neurons that cannot fire for `period` steps after a spike; reset by subtraction.

    They integrate all the while, so no charge is lost. The maximum rate is r = 1 / (period + 1) per step, and the largest
    mean that they can send is r threshold. For a constant input z <= r threshold the limit never binds: the mean of `sent`
    is threshold/T * floor(z T / threshold + initial), as without it; above it they fire every period + 1 steps from their
    first spike on. A spike carries one bit. Raises ArgumentError for a negative period.
    """

    copies: ClassVar[int] = Neuron.copies + 2
    membrane: ClassVar[type[Membrane]] = RefractoryMembrane

    period: int = 1

    def __post_init__(self) -> None:
        if self.period < 0:
            raise ArgumentError(f"A refractory period is a number of steps from 0 on, not {self.period}.")

    @property
    def most(self) -> float:  # type: ignore[override]
        return 1 / (self.period + 1)

    def fire(self, state: Membrane) -> Tensor:
        assert isinstance(state, RefractoryMembrane)
        spikes = super().fire(state).masked_fill_(state.resting > 0, 0.0)
        state.resting.sub_(1).clamp_(min=0).add_(spikes, alpha=self.period)
        return spikes
