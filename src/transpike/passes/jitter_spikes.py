"""Let spikes come a little too early or too late, to see what a code bears."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from transpike.calibration import Samples
from transpike.errors import ArgumentError, ConversionError
from transpike.network import Network
from transpike.neurons import GatedFewSpike, Jittered, Neuron, Windowed
from transpike.parts import Op


@dataclass(frozen=True)
class JitterSpikes:
    """Move each spike of a sequential network by sigma steps times a normal number; see `neurons.Jittered`.

    Raises ArgumentError for a negative sigma, ConversionError where layers do not take turns or a slot has no worth of its own.
    """

    sigma: float
    seed: int = 0
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __post_init__(self) -> None:
        if not self.sigma >= 0:
            raise ArgumentError(f"sigma must be a number of steps from 0, not {self.sigma!r}.")

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        changed: dict[str, Op] = {}
        for line, node in enumerate(network.having(Neuron)):
            if not isinstance(node.op, Windowed):
                raise ConversionError(
                    f"Jitter is for codes whose layers take turns, but {node.name!r} holds {type(node.op).__name__} neurons. "
                    "Take a recipe of the sequential schedule, such as phase."
                )
            if isinstance(node.op, GatedFewSpike):
                raise ConversionError(
                    f"The spikes of {node.name!r} are worth what the neuron that sent them is fitted to, slot by slot: there "
                    "is no rule for those that arrive in another slot. Take a recipe such as phase-binary, or ReLUs alone."
                )
            common = {field.name: getattr(node.op, field.name) for field in dataclasses.fields(Neuron)}
            changed[node.name] = Jittered(**common, inner=node.op, sigma=self.sigma, seed=self.seed, line=line)
        return network.map_ops(lambda node: changed.get(node.name, node.op))
