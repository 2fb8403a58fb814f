"""Replace activations by neurons that send the bits of their values."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import torch

from transpike.calibration import Samples
from transpike.calibration.observe import Rows, gather
from transpike.errors import positive_whole
from transpike.network import Network
from transpike.network.grammar import before_weights, trait
from transpike.neurons import BinaryValue
from transpike.parts import Op, Stateful, Trait
from transpike.passes.populations import Sampled

SMALLEST = 1e-6  # range of values


@dataclass(frozen=True)
class SendBits:
    """Replace each activation that weights follow by `BinaryValue` neurons of `bits` slots, on the range of its values."""

    bits: int = 8
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __post_init__(self) -> None:
        positive_whole("bits", self.bits)

    def __call__(self, network: Network, samples: Samples) -> Network:
        followed = before_weights(network)
        nodes = [
            node
            for node in network.nodes.values()
            if node.name in followed and not isinstance(node.op, Stateful) and trait(node.op) is Trait.ACTIVATION
        ]
        seen, _ = gather(network.analogue(), {node.name: Rows(node.name, 1) for node in nodes}, Sampled, samples)
        made: dict[str, Op] = {}
        for node in nodes:
            low, high = seen[node.name].low, max(seen[node.name].high, seen[node.name].low + SMALLEST)
            one = BinaryValue(torch.ones(()), torch.zeros(()), node.op, bits=self.bits)
            one = dataclasses.replace(one, low=torch.tensor(low), high=torch.tensor(high))
            made[node.name] = one.map_tensors(lambda tensor: tensor.to(network.device, network.dtype))
        return network.map_ops(lambda node: made.get(node.name, node.op))
