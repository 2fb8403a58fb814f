"""Where spikes have to stand so that weights and products read nothing else, and products of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from transpike.calibration import Samples
from transpike.network import Network, Node
from transpike.network.edit import rebuilt, rewired
from transpike.network.grammar import Carried, decoded
from transpike.neurons import FunctionOfSignals, MeanFunction, Neuron, SpikeProduct
from transpike.ops import DENSE, RECTIFIERS, MatMul, Multiply, Relu
from transpike.parts import Op
from transpike.passes.encode_currents import carried_before
from transpike.passes.split_signed import number, two_sided


@dataclass(frozen=True)
class MultiplySpikes:
    """Let two signals be multiplied spike by spike, and put y = ReLU(y) - ReLU(-y) before weights and products that need it.

    Both ReLUs become neurons, one of which is silent. Weights that read the input itself, or words that were looked up, stay
    the analogue first layer; so does a product one of whose factors is such a value, which is linear in the other. In
    recurrent layers nothing is encoded anew (see `InsertRelays`), and a product is one of spikes if neurons send both factors.
    """

    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        network = network.map_ops(lambda node: SpikeProduct(node.op.analogue()) if product(node.op) else node.op)
        if not network.previous:
            network = encoded(network)
        kinds = carried_before(network)
        loops = bool(network.previous)
        direct = {node.name for node in network.nodes.values() if not loops or isinstance(node.op, (*RECTIFIERS, Neuron))}

        def read(node: Node) -> list[Carried]:
            return [kinds[source] if source in direct else Carried.CURRENT for source in node.inputs]

        return network.map_ops(lambda node: settled(node, read(node)))

    def worded(self) -> str:
        """Say in words what products are of."""
        return "products of spikes"


def product(op: Op) -> bool:
    """Whether an op multiplies two signals that layers follow."""
    return isinstance(op, FunctionOfSignals) and isinstance(op.op, Multiply | MatMul)


def encoded(network: Network) -> Network:
    """Return the network with spikes before all weights and products that would read what other weights gave."""
    after, kinds = decoded(network), carried_before(network)
    nodes = [node for node in network.nodes.values() if node.name not in after]
    readers = {node.name for node in nodes if isinstance(node.op, (*DENSE, SpikeProduct))}
    sources = {source for name in readers for source in network.nodes[name].inputs if kinds[source] is Carried.CURRENT}
    renamed = {source: f"{source}.spikes" for source in sources}
    result: list[Node] = []
    for node in network.nodes.values():
        result.append(rewired(node, renamed) if node.name in readers else node)
        if node.name in renamed:
            signal = Node(renamed[node.name], Relu(), (node.name,), node.origin)
            result += two_sided(network, signal, Relu(), Relu(), number(network, -1.0))
    return rebuilt(network, result)


def settled(node: Node, read: list[Carried]) -> Op:
    """Return the op of a node, given what its inputs carry: a product of spikes only where both are spikes."""
    if not isinstance(node.op, SpikeProduct) or all(kind is Carried.SPIKES for kind in read):
        return node.op
    return MeanFunction(node.op.op)  # with a factor that never changes it is linear: see `ComputeOnce`
