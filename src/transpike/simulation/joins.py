"""Sums of a signal and of weighed spikes in one pass over memory, where that changes no bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from transpike.network import Network
from transpike.ops import Add, Affine
from transpike.simulation.whole import height_of


@dataclass(frozen=True, eq=False)
class Join:
    """The sum of a node and of a shortcut: spikes of another node times a scale, which the node `shortcut` computes."""

    first: str
    shortcut: str
    spikes: str
    scale: Tensor


def joins(network: Network) -> Mapping[str, Join]:
    """Return the sums of a network in which one summand is spikes times a scale, by node name.

    Spikes are 0 or of one height per channel, and scale times height is a float: then the product is not rounded, and
    a processor that rounds product and sum together gives the same bits as one that rounds each.
    """
    found = {}
    for name, node in network.nodes.items():
        if not isinstance(node.op, Add) or node.op.scale != 1 or len(set(node.inputs)) != len(node.inputs):
            continue
        for first, shortcut in (node.inputs, node.inputs[::-1]):
            join = join_of(network, first, shortcut)
            if join is not None:
                found[name] = join
    return found


def join_of(network: Network, first: str, shortcut: str) -> Join | None:
    """Return the sum of two nodes if the second one scales spikes by factors that keep all bits."""
    op, sources = network.nodes[shortcut].op, network.nodes[shortcut].inputs
    if not isinstance(op, Affine) or op.scale is None or op.shift is not None:
        return None
    height = height_of(network, sources[0])
    if height is None or op.scale.numel() not in {1, len(op.scale) if op.scale.ndim else 1}:
        return None
    heights = height.reshape(-1, *[1] * max(0, op.scale.ndim - 1))
    exact = bool((op.scale.double() * heights.double() == (op.scale * heights).double()).all())
    return Join(first, shortcut, sources[0], op.scale) if exact else None
