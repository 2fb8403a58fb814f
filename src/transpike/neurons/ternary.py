"""The signed neuron with memory: it can take back spikes that it sent too early."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.neurons.base import Membrane, Neuron


@dataclass(frozen=True, eq=False)
class Ternary(Neuron):
    """Integrate-and-fire neurons that send +1, 0 or -1 spikes, never more back than they sent.

    n[t] = 1 where m[t] >= threshold; -1 where m[t] <= retract * threshold and n[1] + ... + n[t-1] > 0; else 0.

    `retract` = -1 is the published neuron; with 0 a settled neuron ends at 0 < v < threshold, so that its net count is
    floor(z T / threshold + initial) whatever the order in which its current came: no unevenness error.
    With `forgives_debt` (SNM without debt) a potential that is negative after the reset is set to 0 where nothing is left to
    take back: the neuron gains that charge. A spike carries two bits, the sign being one.
    Source: Wang et al. 2022 (IJCAI, SNM); `retract` = 0 is this project's.
    """

    copies: ClassVar[int] = 7
    nets: ClassVar[bool] = True
    least: ClassVar[float] = -1

    retract: float = 0.0
    forgives_debt: bool = False

    @property
    def bits_per_spike(self) -> int:
        return 2

    def fire(self, state: Membrane) -> Tensor:
        back = (state.potential <= self.retract * state.threshold).logical_and_(state.net > 0)
        return torch.ge(state.potential, state.threshold, out=state.sent).masked_fill_(back, -1.0)

    def note(self, state: Membrane, spikes: Tensor) -> None:
        state.count.add_(spikes.abs())
        state.net.add_(spikes)

    def reset(self, state: Membrane, spikes: Tensor) -> None:
        super().reset(state, spikes)
        if self.forgives_debt:
            state.potential.masked_fill_((state.net == 0) & (state.potential < 0), 0.0)
