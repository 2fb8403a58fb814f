"""The integrate-and-fire neuron whose spike takes its whole potential away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from transpike.neurons.base import Membrane, Neuron
from transpike.neurons.integrate_and_fire import IntegrateAndFire


@dataclass(frozen=True, eq=False)
class ResetToZero(IntegrateAndFire):
    """Integrate-and-fire neurons with reset to zero: v[t] = 0 where m[t] >= threshold, else m[t].

    Each spike loses the charge m[t] - threshold. For a constant input z that is epsilon = k z - threshold with
    k = ceil(threshold / z), and from v[0] = 0 the mean of `sent` over T steps is
    (z - v[T]/T) threshold / (threshold + epsilon): too small by up to z / (threshold + z) of it however many steps there are.
    A spike carries one bit.
    Source: Rueckauer et al. 2017, equations 4 and 6a; the thesis's equations 4.1 and 4.3.
    """

    copies: ClassVar[int] = Neuron.copies + 1

    def reset(self, state: Membrane, spikes: Tensor) -> None:
        state.potential.masked_fill_(spikes > 0, 0.0)
