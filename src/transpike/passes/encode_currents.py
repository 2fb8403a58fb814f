"""Where signed neurons have to stand, so that all weights but the first read spikes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from transpike.calibration import Samples
from transpike.network import Network, Node
from transpike.network.edit import bypass, rebuilt, rewired
from transpike.network.grammar import Carried, decoded
from transpike.neurons import FunctionOfSignals, Neuron
from transpike.ops import DENSE, RECTIFIERS, Identity, MatMul
from transpike.parts import Op


@dataclass(frozen=True)
class EncodeCurrents:
    """Put an identity, which neurons can become, before all weights and products of matrices that would read no spikes.

    Such weights read a norm, attention, a smooth activation or other weights. Readers of one value share the neurons; whatever
    else reads that value goes on without them. Weights that read the input itself, or words that were looked up, stay the
    analogue first layer.
    """

    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        for node in network.having(Identity):
            network = bypass(network, node.name)
        after = decoded(network)
        readers = {node.name for node in network.nodes.values() if dense(node.op) and node.name not in after}
        kinds = carried_before(network)
        sources = {source for name in readers for source in network.nodes[name].inputs if kinds[source] is Carried.CURRENT}
        renamed = {source: f"{source}.spikes" for source in sources}
        result: list[Node] = []
        for node in network.nodes.values():
            result.append(rewired(node, renamed) if node.name in readers else node)
            if node.name in renamed:
                result.append(Node(renamed[node.name], Identity(), (node.name,), node.origin))
        return rebuilt(network, result)


def dense(op: Op) -> bool:
    """Whether an op has a multiply-accumulate for each pair of values that it brings together."""
    return isinstance(op.op if isinstance(op, FunctionOfSignals) else op, (*DENSE, MatMul))


def carried_before(network: Network) -> dict[str, Carried]:
    """Return what each node will send once its activations are neurons.

    STATIC is the input as it came, CURRENT whatever weights or functions have computed since there last were spikes, even if
    it never changes.
    """
    found: dict[str, Carried] = {}
    for name, node in network.nodes.items():
        sources = {found[source] for source in node.inputs}
        if isinstance(node.op, (*RECTIFIERS, Neuron)):
            found[name] = Carried.SPIKES
        elif isinstance(node.op, FunctionOfSignals) or dense(node.op) or Carried.CURRENT in sources:
            found[name] = Carried.CURRENT
        else:
            found[name] = Carried.SPIKES if Carried.SPIKES in sources else Carried.STATIC
    return found
