"""Regular input: each value becomes an evenly spaced spike train of that rate."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.codings.inputs.rate import RateCode
from transpike.codings.sampling import diffuse
from transpike.parts import State


class Remainder(State):
    """What was received and not yet sent, in units of the amplitude [batch, ...], and the spikes so far."""

    def __init__(self, remainder: Tensor) -> None:
        self.remainder = remainder
        self.count: Tensor = torch.zeros_like(remainder)


@dataclass(frozen=True, eq=False)
class Regular(RateCode):
    """Send evenly spaced spikes at the rate of the value: error diffusion in time.

    e = r[t-1] + clip(x / amplitude, -1, 1);  s[t] = sign(e) where |e| >= 1/2, else 0;  r[t] = e - s[t];  r[0] = 0.
    The mean over T steps is amplitude/T * round(T x / amplitude): its error is at most amplitude / (2 T) and falls as one
    over the number of spikes. Equal values fire together. Source: Rueckauer et al. 2017 (the same as an
    integrate-and-fire input neuron); the law is that of the thesis, section 3.2.

    >>> x = torch.tensor([[0.25, -0.5]])
    >>> code = Regular()
    >>> state = code.start(x)
    >>> torch.stack([code.step(state, x)[0] for _ in range(4)]).add(0).tolist()
    [[0.0, -1.0], [1.0, 0.0], [0.0, -1.0], [0.0, 0.0]]
    """

    def worded(self) -> str:
        return "regular spikes"

    def start(self, x: Tensor, first_sample: int = 0) -> Remainder:  # noqa: ARG002 - deterministic
        return Remainder(torch.zeros_like(x))

    def step(self, state: Remainder, x: Tensor) -> Tensor:
        spikes = diffuse(state.remainder, (x / self.amplitude).clamp_(-1, 1))
        state.count.add_(spikes.abs())
        return spikes * self.amplitude
