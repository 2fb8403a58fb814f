"""Write signed and shifted activations as sums of one-sided ones, which neurons can be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from transpike.calibration import Samples
from transpike.network import Network, Node
from transpike.network.edit import substitute
from transpike.ops import Add, Affine, Clip, Identity, LeakyRelu, Relu
from transpike.parts import Op


@dataclass(frozen=True)
class SplitSigned:
    """Make two opposite neurons of a signed activation, exactly.

    LeakyReLU(x) = ReLU(x) - slope ReLU(-x);  clip(x, -l, h) = clip(x, 0, h) - clip(-x, 0, l).
    A clip that does not straddle 0 is shifted: clip(x, l, h) = l + clip(x - l, 0, h - l).
    """

    removes: ClassVar[tuple[type[Op], ...]] = (LeakyRelu,)

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        for node in network.having(LeakyRelu, Clip):
            network = substitute(network, node.name, one_sided(network, node))
        return network


def number(network: Network, value: float) -> torch.Tensor:
    """Return a scalar in the dtype of the network."""
    return torch.tensor(value, dtype=network.dtype)


def one_sided(network: Network, node: Node) -> list[Node]:
    """Return the nodes that replace one activation."""
    op = node.op
    if isinstance(op, LeakyRelu):
        return two_sided(network, node, Relu(), Relu(), -op.slope)
    assert isinstance(op, Clip)
    low, high = op.low, op.high
    if low == 0:
        return [node if high < math.inf else Node(node.name, Relu(), node.inputs, node.origin)]
    if low < 0 < high and -low < math.inf:
        positive = Clip(0.0, high) if high < math.inf else Relu()
        return two_sided(network, node, positive, Clip(0.0, -low), number(network, -1.0))
    if low == -math.inf and high == math.inf:
        return [Node(node.name, Identity(), node.inputs, node.origin)]
    return shifted(network, node, low, high)


def two_sided(network: Network, node: Node, positive: Op, negative: Op, weight: torch.Tensor) -> list[Node]:
    """Y = positive(x) + weight * negative(-x)."""
    (source,), name, origin = node.inputs, node.name, node.origin
    return [
        Node(f"{name}.positive", positive, (source,), origin),
        Node(f"{name}.opposite", Affine(number(network, -1.0)), (source,), origin),
        Node(f"{name}.negative", negative, (f"{name}.opposite",), origin),
        Node(f"{name}.weighted", Affine(weight), (f"{name}.negative",), origin),
        Node(name, Add(), (f"{name}.positive", f"{name}.weighted"), origin),
    ]


def shifted(network: Network, node: Node, low: float, high: float) -> list[Node]:
    """Y = low + clip(x - low, 0, high - low), or from above where only `high` is finite: y = high - ReLU(high - x)."""
    from_below = low > -math.inf
    sign, base = (1.0, low) if from_below else (-1.0, high)
    body = Clip(0.0, high - low) if from_below and high < math.inf else Relu()
    factor = None if from_below else number(network, sign)
    enter = Affine(factor, number(network, -sign * base))
    leave = Affine(factor, number(network, base))
    name, origin = node.name, node.origin
    return [
        Node(f"{name}.shifted", enter, node.inputs, origin),
        Node(f"{name}.clipped", body, (f"{name}.shifted",), origin),
        Node(name, leave, (f"{name}.clipped",), origin),
    ]
