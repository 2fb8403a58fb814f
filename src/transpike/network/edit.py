"""Changes to a network, each giving a new one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from transpike.network.graph import Network, Node
from transpike.parts import Op


def rebuilt(network: Network, nodes: Iterable[Node], renamed: dict[str, str] | None = None) -> Network:
    """Return the network made of `nodes` in this order, with outputs and ways back led to their new names."""
    renamed = renamed or {}
    new = {node.name: node for node in nodes}
    outputs = {key: renamed.get(name, name) for key, name in network.outputs.items()}
    previous = {name: renamed.get(source, source) for name, source in network.previous.items() if name in new}
    return dataclasses.replace(network, nodes=new, outputs=outputs, previous=previous)


def substitute(network: Network, name: str, nodes: Iterable[Node]) -> Network:
    """Replace the node `name` by `nodes`; the last of them takes its place for readers and outputs."""
    new = list(nodes)
    renamed = {name: new[-1].name}
    result: list[Node] = []
    for node in network.nodes.values():
        result.extend(new if node.name == name else [rewired(node, renamed)])
    return rebuilt(network, result, renamed)


def bypass(network: Network, name: str) -> Network:
    """Remove the node `name`: its readers read its first input instead."""
    renamed = {name: network.nodes[name].inputs[0]}
    return rebuilt(network, (rewired(n, renamed) for n in network.nodes.values() if n.name != name), renamed)


def rewired(node: Node, renamed: dict[str, str]) -> Node:
    """Return the node reading the new names."""
    return dataclasses.replace(node, inputs=tuple(renamed.get(source, source) for source in node.inputs))


def follow(network: Network, name: str, node: Node) -> Network:
    """Insert `node`, which reads `name`, right after it; all other readers of `name` read `node` instead."""
    result: list[Node] = []
    for old in network.nodes.values():
        result.append(old if old.name == name else rewired(old, {name: node.name}))
        if old.name == name:
            result.append(node)
    return rebuilt(network, result, {name: node.name})


def pruned(network: Network) -> Network:
    """Return the network without nodes that no output needs; inputs stay, since the model takes them."""
    return network.restricted(network.nodes)


def with_op(network: Network, name: str, op: Op) -> Network:
    """Return the network with another op in the node `name`."""
    return network.map_ops(lambda node: op if node.name == name else node.op)
