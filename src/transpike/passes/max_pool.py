"""Max-pooling on spikes: where it stands, and what it becomes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from transpike.calibration import Samples
from transpike.network import Network
from transpike.network.edit import rebuilt, with_op
from transpike.network.grammar import Carried, carried, decoded
from transpike.neurons import AccumulatedMaxPool
from transpike.ops import RECTIFIERS, AdaptiveMaxPool, MaxPool
from transpike.parts import Op


@dataclass(frozen=True)
class PoolBeforeActivation:
    """Let max-pool act before the activation that it follows: both are monotone, so they commute exactly.

    The neurons then stand behind the pool: a quarter of them for a window of 2 x 2.
    """

    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        for pool in network.having(MaxPool, AdaptiveMaxPool):
            activation = network.nodes[network.nodes[pool.name].inputs[0]]
            if isinstance(activation.op, RECTIFIERS) and network.only_user(activation.name) == pool.name:
                network = exchanged(network, activation.name, pool.name)
        return network


def exchanged(network: Network, first: str, second: str) -> Network:
    """Exchange two nodes of a chain: `second` reads what `first` read, and the readers of `second` read `first`."""
    front, back = network.nodes[first], network.nodes[second]
    nodes = []
    for node in network.nodes.values():
        if node.name == first:
            continue
        if node.name == second:
            nodes += [dataclasses.replace(back, inputs=front.inputs), dataclasses.replace(front, inputs=(second,))]
        else:
            inputs = tuple(first if source == second else source for source in node.inputs)
            nodes.append(dataclasses.replace(node, inputs=inputs))
    return rebuilt(network, nodes, {second: first})


@dataclass(frozen=True)
class AccumulateMaxPool:
    """Make each max-pool send the increments of the maximum of its accumulated inputs: exact in the limit."""

    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        read_out = decoded(network)
        for pool in network.having(MaxPool, AdaptiveMaxPool):
            if pool.name not in read_out:  # in order, so that a pool of pooled spikes is known to pool spikes
                of_spikes = carried(network)[pool.inputs[0]] is Carried.SPIKES
                network = with_op(network, pool.name, AccumulatedMaxPool(pool.op, of_spikes))
        return network
