"""Which values of a network are kept for a stretch of time, and which only pass by on the way from one to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from transpike.network import Network
from transpike.network.grammar import temporal_nodes
from transpike.parts import Stateful


@dataclass(frozen=True)
class Stage:
    """A node whose value is kept for all time steps of a stretch, and the kept values that nobody reads after it.

    `width` is the number of elements of the largest value, per sample and step, among those that pass by on the way to it.
    """

    name: str
    width: int
    frees: tuple[str, ...]


@dataclass(frozen=True)
class Stages:
    """A network cut into stages, in order.

    Kept are what ops with a state send, what several nodes read, and the outputs; in between are chains of ops without a
    state, such as a convolution and a sum, which are computed for as few steps at a time as stay in cache.
    """

    static: frozenset[str]
    order: tuple[Stage, ...]
    kept: frozenset[str]
    width: int  # the most elements that are kept at once, per sample and step


def staged(network: Network, sizes: Mapping[str, int]) -> Stages:
    """Cut a network into stages; `sizes` are the elements of each node's value for one sample."""
    temporal = temporal_nodes(network)
    users, outputs = network.users, set(network.outputs.values())
    kept = [
        name
        for name, node in network.nodes.items()
        if name in temporal and (isinstance(node.op, Stateful) or len(users[name]) != 1 or name in outputs)
    ]
    passed = {name: passing(network, name, temporal.difference(kept)) for name in kept}
    last = {root: name for name in kept for inner in (name, *passed[name]) for root in (name, *network.nodes[inner].inputs)}
    frees = {name: tuple(root for root in kept if last.get(root) == name) for name in kept}
    stages = tuple(Stage(name, max(sizes[inner] for inner in (name, *passed[name])), frees[name]) for name in kept)
    alive = peak = 0
    for stage in stages:
        alive += sizes[stage.name]
        peak = max(peak, alive)
        alive -= sum(sizes[name] for name in stage.frees)
    return Stages(frozenset(network.nodes).difference(temporal), stages, frozenset(kept), peak)


def passing(network: Network, name: str, free: set[str]) -> list[str]:
    """Return the nodes among `free` that a node reads, directly or through others of them."""
    found: list[str] = []
    for source in network.nodes[name].inputs:
        if source in free:
            found += [source, *passing(network, source, free)]
    return found
