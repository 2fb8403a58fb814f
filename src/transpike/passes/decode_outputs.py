"""Put an integrator before whatever acts on decoded values: the outputs, and a softmax or sigmoid in front of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from transpike.calibration import Samples
from transpike.errors import ConversionError
from transpike.network import Network, Node
from transpike.network.edit import rebuilt
from transpike.network.grammar import place, trait
from transpike.neurons import Integrator
from transpike.ops import RECTIFIERS, AdaptiveMaxPool, Constant, LeakyRelu, MaxPool
from transpike.parts import Op, Trait

SPIKING_RULES = (*RECTIFIERS, LeakyRelu, MaxPool, AdaptiveMaxPool)


@dataclass(frozen=True)
class DecodeOutputs:
    """Insert an Integrator on each edge that leads into the read-out.

    The read-out is every op without a spiking rule (softmax, sigmoid, products of signals) and all that follows it. It
    acts on the decoded answer, so it must not hold an activation that would have become neurons: ConversionError.
    """

    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        after = read_out(network)
        edges = {name for name in network.outputs.values() if name not in after}
        for name in after:
            edges |= {source for source in network.nodes[name].inputs if source not in after}
        integrated = {name for name in edges if not isinstance(network.nodes[name].op, Constant | Integrator)}
        return with_integrators(network, integrated, after)


def read_out(network: Network) -> dict[str, str]:
    """Return the nodes behind an op without a spiking rule, each with the op that put it there."""
    after: dict[str, str] = {}
    for name, node in network.nodes.items():
        causes = [after[source] for source in node.inputs if source in after]
        unruled = trait(node.op) in (Trait.ACTIVATION, Trait.COUPLED) and not isinstance(node.op, SPIKING_RULES)
        if causes and isinstance(node.op, SPIKING_RULES):
            cause = network.nodes[causes[0]]
            kind = type(cause.op).__name__
            raise ConversionError(
                f"{kind} {place(cause)} stands before {type(node.op).__name__} {place(node)}: under rate coding {kind} "
                f"has no spiking rule and may stand at the output only. Replace it by a ReLU-like activation and "
                f"fine-tune, or convert the part of the model before it."
            )
        if causes or unruled:
            after[name] = causes[0] if causes else name
    return after


def with_integrators(network: Network, names: set[str], after: dict[str, str]) -> Network:
    """Insert an Integrator behind each of `names`, read by the read-out and the outputs only."""
    nodes: list[Node] = []
    renamed = {name: f"{name}.decoded" for name in names}
    for node in network.nodes.values():
        inputs = tuple(renamed.get(source, source) for source in node.inputs) if node.name in after else node.inputs
        nodes.append(Node(node.name, node.op, inputs, node.origin))
        if node.name in names:
            nodes.append(Node(renamed[node.name], Integrator(), (node.name,), node.origin))
    return rebuilt(network, nodes, renamed)
