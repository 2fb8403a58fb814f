"""The integrate-and-fire neuron with reset by subtraction."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.neurons.base import Membrane, Neuron


@dataclass(frozen=True, eq=False)
class IntegrateAndFire(Neuron):
    """Integrate-and-fire neurons with reset by subtraction, in the units of the activation that they replace.

    m[t] = v[t-1] + I[t];  s[t] = 1 where m[t] >= threshold;  sent[t] = threshold s[t];  v[t] = m[t] - sent[t],
    from v[0] = initial * threshold. For an even input of mean z the mean of `sent` over T steps is
    threshold/T * clip(floor(z T / threshold + initial), 0, T). A spike carries one bit.
    Source: Rueckauer et al. 2017 (reset by subtraction); Bu et al. 2022, equation 12 (closed form, initial = 1/2).
    """

    def fire(self, state: Membrane) -> Tensor:
        # Floats instead of booleans: comparing into a float buffer is four times faster than converting a mask.
        return torch.ge(state.potential, state.threshold, out=state.sent)
