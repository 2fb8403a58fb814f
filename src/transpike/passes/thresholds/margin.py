"""Room above the thresholds of another rule."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from transpike.calibration import Samples
from transpike.errors import ArgumentError
from transpike.network import Network
from transpike.passes.thresholds.base import Found, Layer, Threshold


@dataclass(frozen=True)
class WithMargin:
    """`factor` times the thresholds of another rule, for activations larger than all that the samples showed.

    Costs resolution where values are quantised, and nothing where they are not. Raises ArgumentError unless factor >= 1.
    """

    rule: Threshold
    factor: float

    def __post_init__(self) -> None:
        if not self.factor >= 1:
            raise ArgumentError(f"factor must be a number from 1, not {self.factor!r}.")

    def find(self, network: Network, layers: Sequence[Layer], samples: Samples) -> Found:
        """Return the threshold of each layer."""
        found = self.rule.find(network, layers, samples)
        return dataclasses.replace(found, thresholds={name: self.factor * one for name, one in found.thresholds.items()})
