"""Encode numbers anew as spikes before weights read them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import torch

from transpike.calibration import Samples
from transpike.network import Network, Node
from transpike.network.edit import rewired
from transpike.network.grammar import Carried, carried, trait
from transpike.neurons import IntegrateAndFire, MeanFunction
from transpike.ops import WEIGHTED, Affine, Choose, Concatenate, Multiply, Relay
from transpike.parts import Op, Stateful, Trait


@dataclass(frozen=True)
class InsertRelays:
    """Put y = x before weights that would read numbers, for neurons to become: what products of gates give, and sums of it.

    The hidden state h = o tanh(c) of an LSTM then reaches the recurrent weights, the next layer and the read-out as spikes of
    one relay, and they cost synaptic operations instead of multiply-accumulates. It costs a window for each element and the
    error of one more encoding. What no weights read stays a number: the cell state of an LSTM, and the state that a GRU keeps
    beside what its weights read of it, so that errors do not add up from element to element.
    """

    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        twins = self.twins(network)
        nodes: list[Node] = []
        for name, node in network.nodes.items():
            nodes.append(rewired(node, twins) if weighted(node.op) else node)
            if name in twins and passes_on(network, node):
                nodes.append(dataclasses.replace(rewired(node, twins), name=twins[name]))
            elif name in twins:
                nodes.append(Node(twins[name], Relay(), (name,), node.origin))
        held = {twins[name]: twins.get(source, source) for name, source in network.previous.items() if name in twins}
        return dataclasses.replace(network, nodes={node.name: node for node in nodes}, previous={**network.previous, **held})

    def twins(self, network: Network) -> dict[str, str]:
        """Return the nodes that weights read numbers of, directly or passed on, with the names of those that have spikes."""
        kinds = carried(network.map_ops(lambda node: expected(node.op)))
        weights = [node for node in network.nodes.values() if weighted(node.op)]
        waiting = [source for node in weights for source in node.inputs if kinds[source] is Carried.CURRENT]
        found: dict[str, str] = {}
        while waiting:
            name = waiting.pop()
            node = network.nodes[name]
            if name in found:
                continue
            routes = passes_on(network, node)
            found[name] = f"{name}.{'relayed' if routes else 'relay'}"
            sources = [network.previous[name], *node.inputs] if name in network.previous else node.inputs
            waiting += [source for source in sources if routes and kinds[source] is Carried.CURRENT]
        return found


def expected(op: Op) -> Op:
    """Return what stands for an op of the ANN in a spiking network: neurons for activations, and products of numbers."""
    if isinstance(op, Multiply):
        return MeanFunction(op)
    neurons = not isinstance(op, Stateful) and trait(op) is Trait.ACTIVATION
    return IntegrateAndFire(torch.ones(()), torch.zeros(()), op) if neurons else op


def weighted(op: Op) -> bool:
    """Whether an op multiplies what it reads with weights, for each connection one."""
    return isinstance(op, WEIGHTED) and not isinstance(op, Affine)


def passes_on(network: Network, node: Node) -> bool:
    """Whether a node passes on what it reads, so that what is spikes before it is spikes behind it."""
    alone = len(node.inputs) == 1 and trait(node.op) is Trait.LINEAR and not weighted(node.op)
    return node.name in network.previous or isinstance(node.op, Concatenate | Choose) or alone
