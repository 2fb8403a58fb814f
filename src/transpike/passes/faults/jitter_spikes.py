"""Let spikes come a little too early or too late, to see what a code bears."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from transpike.errors import ConversionError
from transpike.network import Network, Node
from transpike.network.grammar import place
from transpike.neurons import GatedFewSpike, Late, Neuron, Population
from transpike.passes.faults.base import FaultPass, on_neurons, on_spikes, root_of


@dataclass(frozen=True)
class JitterSpikes(FaultPass):
    """Move each spike by `level` steps times a normal number; see `neurons.Late`."""

    number: ClassVar[int] = 4
    level_name: ClassVar[str] = "sigma"
    highest: ClassVar[float] = torch.inf

    def worded(self) -> str:
        return f"Spikes are off by {self.level:g} steps (standard deviation)"

    def changed(self, network: Network) -> Network:
        return on_neurons(network, self.jittering)

    def jittering(self, node: Node, op: Neuron, shape: tuple[int, ...], line: int) -> Neuron:  # noqa: ARG002
        """Return neurons whose spikes come at other times."""
        if isinstance(root_of(op), Population):
            raise ConversionError(
                f"The members of the population {place(node)} fire in a single step, in which no spike is early or late: "
                "jitter is for codes in which time counts."
            )
        if isinstance(root_of(op), GatedFewSpike):
            raise ConversionError(
                f"The spikes of {place(node)} are worth what the neuron that sent them is fitted to, slot by slot: there is no "
                "rule for those that arrive in another slot. Take a recipe such as phase-binary, or ReLUs alone."
            )
        return on_spikes(node, op, Late(float(self.level)), self.seed, line)
