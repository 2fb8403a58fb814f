"""Let spikes get lost, to see what a code bears."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from transpike.errors import ConversionError
from transpike.network import Network, Node
from transpike.network.grammar import place
from transpike.neurons import Lost, Neuron, Population
from transpike.passes.faults.base import FaultPass, on_neurons, on_spikes, root_of


@dataclass(frozen=True)
class DropSpikes(FaultPass):
    """Lose each spike with probability `level`, on its way to all of its receivers at once; see `neurons.Lost`."""

    number: ClassVar[int] = 3

    def worded(self) -> str:
        return f"{100 * self.level:.3g} % of the spikes are lost"

    def changed(self, network: Network) -> Network:
        return on_neurons(network, self.dropping)

    def dropping(self, node: Node, op: Neuron, shape: tuple[int, ...], line: int) -> Neuron:  # noqa: ARG002
        """Return neurons whose spikes get lost."""
        root = root_of(op)
        if isinstance(root, Population) and root.table is not None:
            raise ConversionError(
                f"Population {place(node)} has a weight for each member, and its number of spikes does not say whose are lost: "
                "take dead members (KillNeurons), or populations without weights of their own, such as population-quantile."
            )
        return on_spikes(node, op, Lost(float(self.level)), self.seed, line)
