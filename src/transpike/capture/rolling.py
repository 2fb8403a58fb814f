"""Find loops that were written out: calls of one cell, element after element of a sequence, become one loop again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import fx

from transpike.capture.call import operator_name

CELLS = frozenset(("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"))
SHORTEST = 2  # calls that are worth a loop


@dataclass(frozen=True)
class Chain:
    """Calls of one cell, each with the states that the last one left, on the elements `first`, `first` + `step` ... of `base`.

    `base` is a sequence, or the first call of another chain, on whose outputs this one runs.
    """

    calls: tuple[fx.Node, ...]
    base: fx.Node
    first: int
    step: int


def chains(graph: fx.Graph) -> dict[fx.Node, Chain]:
    """Return the chains of a graph by their first calls."""
    found: dict[fx.Node, Chain] = {}
    member: dict[fx.Node, tuple[Chain, int]] = {}
    for node in graph.nodes:
        if node.op == "call_function" and operator_name(node) in CELLS and node not in member:
            chain = chain_of(followed(node), member)
            if chain is not None:
                found[chain.calls[0]] = chain
                member.update({call: (chain, i) for i, call in enumerate(chain.calls)})
    return found


def followed(node: fx.Node) -> list[fx.Node]:
    """Return the calls of the same cell with the same weights that take over each other's states."""
    calls = [node]
    while (after := next((user for user in users(calls[-1]) if continues(calls[-1], user)), None)) is not None:
        calls.append(after)
    return calls


def users(node: fx.Node) -> Iterable[fx.Node]:
    """Return who reads the results of a call."""
    for user in node.users:
        yield from user.users if operator_name(user) == "getitem" else (user,)


def continues(call: fx.Node, after: fx.Node) -> bool:
    """Whether `after` is the same cell and takes over the states of `call`."""
    if after.op != "call_function" or after.target != call.target or after.args[2:] != call.args[2:]:
        return False
    states = after.args[1] if isinstance(after.args[1], list | tuple) else [after.args[1]]
    return [origin(state) for state in states] == [(call, i) for i in range(len(states))]


def origin(value: Any) -> tuple[Any, int]:
    """Return the call that a state comes from, and which of its results it is."""
    if isinstance(value, fx.Node) and operator_name(value) == "getitem":
        return value.args[0], int(value.args[1])  # type: ignore[arg-type]
    return value, 0


def chain_of(calls: list[fx.Node], member: dict[fx.Node, tuple[Chain, int]]) -> Chain | None:
    """Return calls as a chain if their inputs are elements of one sequence, one after the other; None else."""
    places = [element(call.args[0], member) for call in calls]
    known = [place for place in places if place is not None]
    if len(calls) < SHORTEST or len(known) < len(calls) or len({base for base, _ in known}) > 1:
        return None
    step = known[1][1] - known[0][1]
    even = all(index == known[0][1] + i * step for i, (_, index) in enumerate(known))
    return Chain(tuple(calls), known[0][0], known[0][1], step) if abs(step) == 1 and even else None


def element(value: Any, member: dict[fx.Node, tuple[Chain, int]]) -> tuple[fx.Node, int] | None:
    """Return the sequence that a value is an element of, and which: an index that is picked, or the output of a chain."""
    call, part = origin(value)
    if call in member and part == 0:
        chain, i = member[call]
        return chain.calls[0], i if chain.step > 0 else len(chain.calls) - 1 - i  # outputs are in the sequence's order
    if isinstance(call, fx.Node) and operator_name(call) == "unbind" and call.args[1:] in {(0,), (1,)}:
        return whole(call.args[0]), part  # type: ignore[arg-type]
    if not isinstance(value, fx.Node) or value.op != "call_function" or operator_name(value) != "select":
        return None
    base, axis, index = value.args
    return (whole(base), int(index)) if axis in {0, 1} else None  # type: ignore[arg-type]


def whole(node: fx.Node) -> fx.Node:
    """Return what a slice of all samples is a slice of."""
    while operator_name(node) == "slice" and node.args[1:3] == (0, 0) and len(node.args) <= 4:  # noqa: PLR2004 - no step
        node = node.args[0]  # type: ignore[assignment]
    return node
