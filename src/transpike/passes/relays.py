"""Encode numbers anew as spikes before weights read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from transpike.calibration import Samples
from transpike.network import Network, Node
from transpike.network.edit import follow
from transpike.network.grammar import Carried, carried, trait
from transpike.neurons import IntegrateAndFire, MeanProduct
from transpike.ops import WEIGHTED, Affine, Choose, Concatenate, Multiply, Previous, Relay
from transpike.parts import Op, Stateful, Trait


@dataclass(frozen=True)
class InsertRelays:
    """Put y = x before weights that would read numbers, for neurons to become: what products of gates give, and sums of it.

    The hidden state h = o tanh(c) of an LSTM then reaches the recurrent weights, the next layer and the read-out as spikes of
    one relay, and they cost synaptic operations instead of multiply-accumulates. It costs a window for each element and the
    error of one more encoding. Cell states, which no weights read, stay numbers.
    """

    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        for name in self.places(network):
            relay = Node(f"{name}.relay", Relay(), (name,), network.nodes[name].origin)
            network = follow(network, name, relay)
        return network

    def places(self, network: Network) -> list[str]:
        """Return the nodes whose values are numbers that weights read, in order."""
        kinds = carried(network.map_ops(lambda node: expected(node.op)))
        weights = [node for node in network.nodes.values() if isinstance(node.op, WEIGHTED) and not isinstance(node.op, Affine)]
        waiting = [source for node in weights for source in node.inputs if kinds[source] is Carried.CURRENT]
        seen, found = set(waiting), set()
        while waiting:
            node = network.nodes[waiting.pop()]
            sources = [network.previous[node.name], *node.inputs] if isinstance(node.op, Previous) else node.inputs
            if routes(node.op, len(sources)):
                new = {source for source in sources if kinds[source] is Carried.CURRENT} - seen
                seen |= new
                waiting += new
            else:
                found.add(node.name)
        return [name for name in network.nodes if name in found]


def expected(op: Op) -> Op:
    """Return what stands for an op of the ANN in a spiking network: neurons for activations, and products of numbers."""
    if isinstance(op, Multiply):
        return MeanProduct()
    neurons = not isinstance(op, Stateful) and trait(op) is Trait.ACTIVATION
    return IntegrateAndFire(torch.ones(()), torch.zeros(()), op) if neurons else op


def routes(op: Op, sources: int) -> bool:
    """Whether an op passes on what it reads, so that what is spikes before it is spikes behind it."""
    if isinstance(op, WEIGHTED) and not isinstance(op, Affine):
        return False
    return isinstance(op, Previous | Concatenate | Choose) or (sources == 1 and trait(op) is Trait.LINEAR)
