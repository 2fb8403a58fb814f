"""Loops over the elements of a sequence: which nodes belong to one, and how they are run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.errors import ArgumentError
from transpike.network.graph import Network
from transpike.ops import Collect, Element, Previous

INSIDE = (Element, Previous)  # what begins the inside of a loop

Compute = Callable[[str, dict[str, Tensor], int], Tensor]


@dataclass(frozen=True)
class Loop:
    """The nodes of one loop in order, its entries (`Element` nodes), and what it carries from element to element."""

    name: str
    nodes: tuple[str, ...]
    entries: tuple[str, ...]
    carried: Mapping[str, str]
    collected: frozenset[str]
    backwards: bool

    def outside(self, network: Network) -> set[str]:
        """Return the nodes outside the loop that it reads."""
        inside = set(self.nodes)
        return {source for name in self.nodes for source in network.nodes[name].inputs if source not in inside}


def membership(network: Network) -> dict[str, str]:
    """Return, for each node in a loop, the name of the loop. Raises ArgumentError where two loops meet inside."""
    found: dict[str, str] = {}
    for name, node in network.nodes.items():
        if isinstance(node.op, INSIDE):
            found[name] = node.op.loop
        elif not isinstance(node.op, Collect):
            loops = {found[source] for source in node.inputs if source in found}
            if len(loops) > 1:
                raise ArgumentError(f"Node {name!r} reads from inside the loops {sorted(loops)}: collect their values first.")
            if loops:
                found[name] = loops.pop()
    return found


def loops(network: Network) -> dict[str, Loop]:
    """Return the loops of a network by name."""
    members = membership(network)
    return {name: loop_of(network, name, members) for name in dict.fromkeys(members.values())}


def loop_of(network: Network, loop: str, members: Mapping[str, str]) -> Loop:
    """Return one loop."""
    nodes = tuple(name for name in network.nodes if members.get(name) == loop)
    entries = tuple(name for name in nodes if isinstance(network.nodes[name].op, Element))
    carried = {name: network.previous[name] for name in nodes if isinstance(network.nodes[name].op, Previous)}
    collected = frozenset(node.inputs[0] for node in network.having(Collect) if members.get(node.inputs[0]) == loop)
    backwards = any(network.nodes[name].op.backwards for name in entries)  # type: ignore[attr-defined]
    return Loop(loop, nodes, entries, carried, collected, backwards)


def schedule(network: Network, names: Collection[str] | None = None) -> list[str | Loop]:
    """Return the nodes in an order in which they can be computed, loops as one; of those in `names` only, if given.

    A loop runs once all that it reads from outside is there, and before whatever collects from it.
    """
    found = loops(network)
    wanted = network.nodes if names is None else names
    if not found:
        return [name for name in network.nodes if name in wanted]
    members = membership(network)
    reads = {name: loop.outside(network) for name, loop in found.items()}
    waiting: list[str | Loop] = []
    for name in network.nodes:
        item: str | Loop = found[members[name]] if name in members else name
        if item not in waiting and name in wanted:
            waiting.append(item)
    left = {name for item in waiting for name in nodes_of(item)}
    order: list[str | Loop] = []
    while waiting:
        sources = [reads[item.name] if isinstance(item, Loop) else network.nodes[item].inputs for item in waiting]
        ready = next(i for i, before in enumerate(sources) if left.isdisjoint(before))
        order.append(waiting.pop(ready))
        left.difference_update(nodes_of(order[-1]))
    return order


def nodes_of(item: str | Loop) -> tuple[str, ...]:
    """Return the nodes of an entry of a schedule."""
    return item.nodes if isinstance(item, Loop) else (item,)


def run_loop(
    network: Network,
    loop: Loop,
    values: Mapping[str, Tensor],
    compute: Compute,
    watched: Iterable[str] = (),
    before: Mapping[str, Tensor] | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Run a loop over all elements; return the values of what is collected, or `watched` [batch, elements, ...], and states.

    `compute(name, values, element)` gives the value of a node of the loop, but for its borders. States are what the `Previous`
    nodes would hold at the next element, by name; `before` are those with which the loop goes on after earlier elements.
    """
    count = len_of(network, loop, values)
    shapes_only = values[network.nodes[loop.entries[0]].inputs[0]].is_meta  # those of one element are those of all
    places = range(1 if shapes_only else count)
    found: dict[str, list[Tensor]] = {name: [] for name in (*loop.collected, *watched)}
    before = before or {}
    for element in reversed(places) if loop.backwards else places:
        inside = dict(values)
        for name in loop.nodes:
            node = network.nodes[name]
            if isinstance(node.op, Element):
                inside[name] = values[node.inputs[0]][:, element]
            elif isinstance(node.op, Previous):
                inside[name] = before[name] if name in before else inside[node.inputs[0]]
            else:
                inside[name] = compute(name, inside, element)
        before = {name: inside[source] for name, source in loop.carried.items()}
        for name, each in found.items():
            each.append(inside[name])
    repeats = count if shapes_only else 1
    whole = {name: side_by_side((each[::-1] if loop.backwards else each) * repeats) for name, each in found.items()}
    return whole, dict(before)


def len_of(network: Network, loop: Loop, values: Mapping[str, Tensor]) -> int:
    """Return how many elements a loop runs over."""
    counts = {values[network.nodes[name].inputs[0]].shape[1] for name in loop.entries}
    if len(counts) != 1:
        raise ArgumentError(f"The sequences of loop {loop.name!r} have different lengths: {sorted(counts)}.")
    return int(counts.pop())


def side_by_side(each: list[Tensor]) -> Tensor:
    """Return values [batch, ...] of one element each as [batch, elements, ...]."""
    batch = max(len(value) for value in each)
    return torch.stack([value.expand(batch, *value.shape[1:]) for value in each], 1)


def elements(network: Network, sizes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Return how many elements each node in a loop sees, given the shapes of all nodes."""
    found: dict[str, int] = {}
    for loop in loops(network).values():
        count = sizes[network.nodes[loop.entries[0]].inputs[0]][0]
        found.update(dict.fromkeys(loop.nodes, count))
    return found
