"""How the layers of a sequential network take turns: windows, their length, and what has to wait."""

from __future__ import annotations

from collections.abc import Mapping

from transpike.codings import Recorded
from transpike.errors import ArgumentError, positive_whole
from transpike.network.graph import Network
from transpike.network.loops import elements, loops
from transpike.network.remembered import once
from transpike.network.value import shapes
from transpike.neurons import Neuron, Windowed
from transpike.ops import Collect
from transpike.parts import Decoder


def sequential(network: Network) -> bool:
    """Whether layers take turns: each listens for a window and sends in the next."""
    return once(network, "sequential", lambda one: any(isinstance(node.op, Windowed) for node in one.nodes.values()))


def window(network: Network) -> int | None:
    """Return the steps of the window that the code of a network has of its own; None if it can run for any number."""
    return once(network, "window", own_window)


def own_window(network: Network) -> int | None:
    """Return the window of the first neurons that have one of their own."""
    found = [node.op.own_window for node in network.nodes.values() if isinstance(node.op, Neuron)]
    return next((steps for steps in found if steps is not None), None)


def steps_for(network: Network, time_steps: int | None, default: int | None = None) -> int:
    """Return for how many steps to run: `time_steps`, or the window of a code that has one of its own, or `default`.

    Recordings run for as many steps as they have frames, unless `time_steps` says otherwise. Raises ArgumentError if there is
    none of them, or if both of the first are there and differ.
    """
    own = window(network)
    if time_steps is not None:
        positive_whole("time_steps", time_steps)
    if own is not None and time_steps not in {None, own}:
        raise ArgumentError(
            f"The code of this network has a window of {own} steps, not {time_steps}: leave time_steps out, or convert with "
            "another window (see Recipe.with_window)."
        )
    frames = next((node.op.frames for node in network.having(Recorded)), None)  # type: ignore[attr-defined]
    for steps in (time_steps, own, frames, default):
        if steps is not None:
            return steps
    raise ArgumentError("time_steps= is needed: the code of this network has no window of its own.")


def turns(network: Network) -> dict[str, int]:
    """Return, for each node, in which window what it sends leaves, from 1: the layers of neurons on the longest path to it.

    In a loop that is the window of its first element; what is collected leaves with the last.
    """
    return depths(network, round_trips_of(network))


def depths(network: Network, round_trips: Mapping[str, int]) -> dict[str, int]:
    """Return the layers of neurons on the longest path to each node, and the windows for which loops go round."""
    found: dict[str, int] = {}
    for name, node in network.nodes.items():
        waits = round_trips.get(node.op.loop, 0) if isinstance(node.op, Collect) else 0
        found[name] = max((found[source] for source in node.inputs), default=0) + isinstance(node.op, Neuron) + waits
    return found


def round_trips_of(network: Network) -> dict[str, int]:
    """Return, for each loop, how many windows pass between its first and its last element."""
    if not network.previous:
        return {}
    counts = elements(network, shapes(network))
    found: dict[str, int] = {}
    for name, loop in loops(network).items():
        depth: dict[str, int] = {}
        for inside in loop.nodes:
            node = network.nodes[inside]
            before = max((depth.get(source, 0) for source in node.inputs), default=0)
            depth[inside] = before + isinstance(node.op, Neuron)
        around = max((depth[source] for source in loop.carried.values()), default=0)
        found[name] = around * (counts[loop.entries[0]] - 1)
    return found


def held(network: Network) -> dict[tuple[str, str], int]:
    """Return for how many windows messages wait for the layer that reads them, by (sender, reader), where they have to.

    Layers that read what was sent more than one window ago, as over a skip connection, need a memory for it. Constant inputs
    wait for nobody. What follows the last neurons reads in the window after them.
    """
    sent = depths(network, {})  # in step with the elements of sequences
    senders: dict[str, frozenset[str]] = {}
    waits: dict[tuple[str, str], int] = {}
    for name, node in network.nodes.items():
        before: frozenset[str] = frozenset().union(*(senders[source] for source in node.inputs))
        reads = isinstance(node.op, Neuron | Decoder)
        for sender in before if reads else ():
            extra = sent[name] - sent[sender] - isinstance(node.op, Neuron)
            if extra > 0:
                waits[sender, name] = extra
        senders[name] = frozenset({name}) if reads else before
    return waits
