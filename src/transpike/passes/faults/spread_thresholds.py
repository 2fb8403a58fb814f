"""Thresholds that differ from neuron to neuron."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.errors import ConversionError
from transpike.network import Network, Node
from transpike.network.grammar import place
from transpike.neurons import (
    DIFFERENTIAL,
    BinaryValue,
    IntegerIntegrateAndFire,
    LeakyIntegrateAndFire,
    Neuron,
    Population,
)
from transpike.parts import Op
from transpike.passes.faults.base import FaultPass, at_root, on_neurons, root_of, with_members

LEAST = 0.1  # of what a threshold should be
REASONS: tuple[tuple[type[Op] | tuple[type[Op], ...], str], ...] = (
    (BinaryValue, "computes its activation itself and has no threshold"),
    (LeakyIntegrateAndFire, "has one threshold in volt for all of its neurons"),
    (DIFFERENTIAL, "sends its thresholds themselves, so that its receivers would have to know them"),
)


@dataclass(frozen=True)
class SpreadThresholds(FaultPass):
    """Multiply the threshold of each neuron by 1 + `level` e, e normal, at least by 0.1; its spikes are worth what they were.

    The neuron fires and is reset at its own threshold, and starts from the same share of it. Thresholds of integer neurons
    are rounded. In a population each member's threshold is off by `level` e times half the range of the thresholds.
    """

    number: ClassVar[int] = 7
    level_name: ClassVar[str] = "sigma"
    highest: ClassVar[float] = torch.inf

    def worded(self) -> str:
        return f"Thresholds are off by {100 * self.level:.3g} % (standard deviation)"

    def changed(self, network: Network) -> Network:
        return on_neurons(network, self.spread)

    def spread(self, node: Node, op: Neuron, shape: tuple[int, ...], line: int) -> Neuron:
        """Return neurons with thresholds of their own."""
        for kinds, reason in REASONS:
            if isinstance(root_of(op), kinds):
                raise ConversionError(
                    f"{type(root_of(op)).__name__} {place(node)} {reason}: there is no spread of thresholds to try. Take "
                    "NoisyWeights (--weight-noise), which changes what reaches a neuron."
                )
        generator = self.generator(line)
        return at_root(op, lambda root: self.of_its_own(root, shape, generator))

    def of_its_own(self, op: Neuron, shape: tuple[int, ...], generator: torch.Generator) -> Neuron:
        """Return neurons with thresholds of their own, in the shape of a sample."""
        if isinstance(op, Population):
            return with_members(op, shape, lambda thresholds: self.shifted(thresholds, generator))
        factor = (1 + self.level * torch.randn(shape, generator=generator, dtype=torch.float64)).clamp(min=LEAST)
        threshold = op.threshold * factor.to(op.threshold)
        if isinstance(op, IntegerIntegrateAndFire):
            threshold = threshold.round().clamp(min=1)
        height = op.threshold[None] if op.height is None else op.height
        return dataclasses.replace(op, threshold=threshold, height=height)

    def shifted(self, thresholds: Tensor, generator: torch.Generator) -> Tensor:
        """Return the thresholds of the members of populations [*units, N] as they are."""
        finite = thresholds.where(thresholds.isfinite(), 0.0)
        half = (finite.amax(-1, keepdim=True) - finite.amin(-1, keepdim=True)) / 2
        noise = torch.randn(thresholds.shape, generator=generator, dtype=torch.float64)
        return thresholds + self.level * half * noise.to(thresholds)
