"""The output neuron: it integrates and never fires."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.ops import Identity
from transpike.parts import Decoder, Op, State


class Accumulated(State):
    """The accumulated potential [batch, ...] after `steps` steps."""

    def __init__(self, potential: Tensor) -> None:
        self.potential: Tensor = potential
        self.steps = 0


@dataclass(frozen=True, eq=False)
class Integrator(Decoder):
    """Decode a temporal signal as its running mean: y[t] = (x[1] + ... + x[t]) / t, the accumulated potential over t."""

    keeps: ClassVar[frozenset[str]] = frozenset({"potential"})

    def start(self, x: Tensor, first_sample: int = 0) -> Accumulated:  # noqa: ARG002 - deterministic
        return Accumulated(torch.zeros_like(x))

    def step(self, state: Accumulated, x: Tensor) -> Tensor:
        state.steps += 1
        return state.potential.add_(x) / state.steps

    def analogue(self) -> Op:
        return Identity()
