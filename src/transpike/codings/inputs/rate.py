"""What input codes share: spikes of one height whose rate is the value."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import ClassVar, Self

import torch
from torch import Tensor

from transpike.ops import Identity
from transpike.parts import Op, Stateful


@dataclass(frozen=True, eq=False)
class InputCode(Stateful):
    """How an input enters a spiking network; the mean of what it sends approaches the input."""

    def worded(self) -> str:
        """Say in a few words how the input enters."""
        raise NotImplementedError

    def analogue(self) -> Op:
        return Identity()


@dataclass(frozen=True, eq=False)
class RateCode(InputCode):
    """Spikes of height `amplitude`, the sign of the value and the rate |x| / amplitude, at most one per step.

    `amplitude` (a scalar tensor, positive) is the largest magnitude of the calibration samples; larger values are clipped
    to it. A negative value needs a second, inhibitory line: one signed bit.
    """

    keeps: ClassVar[frozenset[str]] = frozenset({"count"})

    amplitude: Tensor = field(default_factory=lambda: torch.tensor(1.0))

    def fitted(self, amplitude: Tensor, line: int) -> Self:  # noqa: ARG002 - deterministic codes need no line
        """Return this code for an input whose largest magnitude is `amplitude`, the `line`-th of its network."""
        return dataclasses.replace(self, amplitude=amplitude)
