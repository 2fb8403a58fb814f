"""A loop written out: every element of a sequence has nodes of its own. It defines what a loop is."""

from __future__ import annotations

import dataclasses

from transpike.network import Network, Node, shapes
from transpike.network.loops import elements, loops
from transpike.ops import Collect, Concatenate, Element, Identity, Previous, Reshape, Slice


def at(name, element):
    """Return the name of a node of a loop for one element."""
    return f"{name}@{element}"


def unrolled(network: Network) -> Network:
    """Return the network without loops."""
    sizes = shapes(network)
    counts, found = elements(network, sizes), loops(network)
    nodes: list[Node] = []
    done = set()
    inside = {name: loop for loop in found.values() for name in loop.nodes}
    for name, node in network.nodes.items():
        if name not in inside:
            nodes += gathered(node, counts, sizes) if isinstance(node.op, Collect) else [node]
        elif inside[name].name not in done and name == inside[name].nodes[-1]:
            done.add(inside[name].name)
            nodes += turns(network, inside[name], counts[name], sizes)
    order = sorted_by_inputs(nodes)
    return Network({node.name: node for node in order}, network.outputs, network.method)


def turns(network, loop, count, sizes):
    """Return the nodes of all elements of a loop."""
    order = range(count - 1, -1, -1) if loop.backwards else range(count)
    before = None
    for element in order:
        for name in loop.nodes:
            node = network.nodes[name]
            inputs = tuple(at(source, element) if source in loop.nodes else source for source in node.inputs)
            if isinstance(node.op, Element):
                picked = f"{at(name, element)}.whole"
                yield Node(picked, Slice(1, element, element + 1), node.inputs, node.origin)
                yield Node(at(name, element), Reshape(sizes[name]), (picked,), node.origin)
            elif isinstance(node.op, Previous):
                source = inputs[0] if before is None else at(loop.carried[name], before)
                yield Node(at(name, element), Identity(), (source,), node.origin)
            else:
                yield dataclasses.replace(node, name=at(name, element), inputs=inputs)
        before = element


def gathered(node, counts, sizes):
    """Return the nodes that put the values of all elements side by side."""
    (source,) = node.inputs
    each = [f"{node.name}.{element}" for element in range(counts[source])]
    for element, name in enumerate(each):
        yield Node(name, Reshape((1, *sizes[source])), (at(source, element),), node.origin)
    yield Node(node.name, Concatenate(1), tuple(each), node.origin)


def sorted_by_inputs(nodes):
    waiting, known, order = list(nodes), set(), []
    while waiting:
        ready = next(node for node in waiting if known.issuperset(node.inputs))
        waiting.remove(ready)
        known.add(ready.name)
        order.append(ready)
    return order
