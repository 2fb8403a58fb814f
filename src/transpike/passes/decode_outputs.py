"""Put a decoder before whatever acts on decoded values: the outputs, and a softmax or sigmoid in front of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from transpike.calibration import Samples
from transpike.errors import ConversionError
from transpike.network import Network, Node, shapes
from transpike.network.edit import rebuilt, rewired
from transpike.network.grammar import decoded, place, trait
from transpike.network.loops import membership
from transpike.neurons import FirstToMargin, Integrator
from transpike.ops import RECTIFIERS, AdaptiveMaxPool, Constant, LeakyRelu, MaxPool
from transpike.parts import Op, Stateful, Trait

SPIKING_RULES = (*RECTIFIERS, LeakyRelu, MaxPool, AdaptiveMaxPool, Stateful)


@dataclass(frozen=True)
class DecodeOutputs:
    """Insert a decoder on each edge that leads into the read-out: the accumulated potential, unless another is given.

    The read-out is every op without a spiking rule (softmax, sigmoid, products of signals) and all that follows it. It
    acts on the decoded answer, so it must not hold an activation that would have become neurons: ConversionError.
    ConversionError too if a decoder by margin would have to decide among something else than classes.
    """

    decoder: Integrator = field(default_factory=Integrator)
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        names, after = undecoded(network)
        if isinstance(self.decoder, FirstToMargin):
            check_classes(network, names)
        return behind(network, names, after, self.chain)

    def chain(self, node: Node) -> list[Node]:
        """Return the decoder of a node."""
        return [Node(f"{node.name}.decoded", self.decoder, (node.name,), node.origin)]

    def worded(self) -> str:
        """Say how the answer is read."""
        margin = self.decoder.margin if isinstance(self.decoder, FirstToMargin) else None
        return "accumulated potential" if margin is None else f"first to a margin of {margin:g}"


def undecoded(network: Network) -> tuple[set[str], dict[str, str]]:
    """Return the nodes whose values lead into the read-out or out of the network, and the read-out."""
    after = read_out(network)
    edges = {name for name in network.outputs.values() if name not in after}
    for name in after:
        edges |= {source for source in network.nodes[name].inputs if source not in after}
    done = decoded(network)
    return {name for name in edges if name not in done and not isinstance(network.nodes[name].op, Constant)}, after


def check_classes(network: Network, names: set[str]) -> None:
    """Raise ConversionError unless each of `names` gives one value for each of several classes."""
    sizes = shapes(network)
    for name in names:
        if len(sizes[name]) != 1 or sizes[name][0] < 2:  # noqa: PLR2004 - nobody can lead alone
            raise ConversionError(
                f"{place(network.nodes[name])} gives values of shape {sizes[name]} for a sample, but a decision by margin "
                "needs one value for each class: read the accumulated potential instead."
            )


def read_out(network: Network) -> dict[str, str]:
    """Return the nodes behind an op without a spiking rule, each with the op that put it there."""
    after: dict[str, str] = {}
    inside = membership(network)
    for name, node in network.nodes.items():
        causes = [after[source] for source in node.inputs if source in after]
        unruled = trait(node.op) in (Trait.ACTIVATION, Trait.COUPLED) and not isinstance(node.op, SPIKING_RULES)
        if unruled and name in inside:
            raise ConversionError(
                f"{type(node.op).__name__} {place(node)} stands in a recurrent layer, where this recipe has no rule for it: "
                "take recipe few-spike or one of population coding (population-quantile)."
            )
        if causes and isinstance(node.op, SPIKING_RULES):
            cause = network.nodes[causes[0]]
            kind = type(cause.op).__name__
            raise ConversionError(
                f"{kind} {place(cause)} stands before {type(node.op.analogue()).__name__} {place(node)}: under rate coding "
                f"{kind} has no spiking rule and may stand at the output only: recipe differential has rules for it, as has "
                "hybrid. Else replace it by a ReLU-like activation and fine-tune, or convert the part of the model before it."
            )
        if causes or unruled:
            after[name] = causes[0] if causes else name
    return after


def behind(network: Network, names: set[str], after: Mapping[str, str], chain: Callable[[Node], list[Node]]) -> Network:
    """Insert the nodes of `chain(node)` behind each of `names`; the last is read by the read-out and the outputs only."""
    chains = {name: chain(network.nodes[name]) for name in names}
    renamed = {name: nodes[-1].name for name, nodes in chains.items()}
    result: list[Node] = []
    for node in network.nodes.values():
        result.append(rewired(node, renamed) if node.name in after else node)
        result += chains.get(node.name, [])
    return rebuilt(network, result, renamed)
