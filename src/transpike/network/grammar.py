"""What is legal at which stage; later stages trust it and carry no defensive code."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum

from transpike.errors import ArgumentError, ConversionError
from transpike.network.graph import Network, Node
from transpike.network.loops import membership
from transpike.network.turns import sequential
from transpike.neurons import DIFFERENTIAL, FirstToMargin, Neuron, Windowed
from transpike.ops import (
    DENSE,
    PRODUCTS,
    TRAITS,
    AdaptiveMaxPool,
    Identity,
    Input,
    MatMul,
    MaxPool,
    Previous,
)
from transpike.parts import Decoder, Op, Stateful, Trait

READ_OUT_ONLY = (Trait.ACTIVATION, Trait.COUPLED)


def trait(op: Op) -> Trait:
    """Return the trait of an op; a stateful op has that of what it approximates."""
    return TRAITS[type(op.analogue())]


def place(node: Node) -> str:
    """Name a node and where it is in the user's model, for messages."""
    where = f" (in {node.origin!r} of your model)" if node.origin and node.origin != node.name else ""
    return f"{node.name!r}{where}"


def decoded(network: Network) -> set[str]:
    """Return the nodes that act on decoded values: whatever depends on a decoder of outputs."""
    after: set[str] = set()
    for name, node in network.nodes.items():
        if isinstance(node.op, Decoder) or any(source in after for source in node.inputs):
            after.add(name)
    return after


def temporal_nodes(network: Network, changing_inputs: bool = False) -> set[str]:
    """Return the nodes whose value changes from step to step: whatever follows an op that keeps state.

    The rest is static, the same at each step. With `changing_inputs` the inputs are temporal as well. Of a loop all nodes
    are temporal if one of them is.
    """
    temporal: set[str] = set()
    members = membership(network)
    for name, node in network.nodes.items():
        changing = isinstance(node.op, Stateful) or (changing_inputs and isinstance(node.op, Input))
        if changing or any(source in temporal for source in node.inputs):
            temporal.update((name, *(other for other, loop in members.items() if loop == members.get(name))))
    return temporal


def linear_here(node: Node, temporal: Collection[str]) -> bool:
    """Whether an op is a product of which one factor alone changes over time: linear in that."""
    moving = [i for i, source in enumerate(node.inputs) if source in temporal]
    return len(moving) == 1 and moving[0] in PRODUCTS.get(type(node.op), ())


def before_weights(network: Network) -> set[str]:
    """Return the nodes that some weights follow."""
    return before(network, *DENSE)


def before(network: Network, *kinds: type[Op]) -> set[str]:
    """Return the nodes that an op of one of `kinds` follows, perhaps at the next element of a sequence."""
    waiting = [node.name for node in network.having(*kinds)]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        read = {*network.nodes[name].inputs, *(source for node, source in network.previous.items() if node == name)}
        waiting += read - found
        found |= read
    return found


def need_no_loops(network: Network, what: str) -> None:
    """Raise ConversionError if a network has recurrent layers, where `what` (a recipe does) has no rule."""
    for node in network.having(Previous):
        raise ConversionError(
            f"The recipe {what}, for which there is no rule in recurrent layers such as {node.origin or node.name!r}: take "
            "recipe few-spike, one of population coding (population-quantile), or, for ReLUs alone, rate, mmse or graded."
        )


def differential(network: Network) -> bool:
    """Whether what is sent changes a decoded rate, so that its mean over time says nothing."""
    return any(isinstance(node.op, DIFFERENTIAL) for node in network.nodes.values())


def check_spiking(network: Network) -> Network:
    """Return `network` if it can be simulated, else raise ConversionError naming the first node that cannot.

    Raises ArgumentError for what is no network, such as the model itself. Before the decoders every op is
    linear or keeps state, or its value never changes; after them any op may act on the decoded value.
    """
    if not isinstance(network, Network):
        raise ArgumentError(f"A converted Network is needed here, not {type(network).__name__}: call transpike.convert first.")
    read_out = decoded(network)
    temporal = temporal_nodes(network)
    for name, node in network.nodes.items():
        if isinstance(node.op, Stateful | Identity) or name in read_out or name not in temporal:
            continue
        if trait(node.op) in READ_OUT_ONLY and not linear_here(node, temporal):
            kind = type(node.op).__name__
            what = "maximum" if isinstance(node.op, MaxPool | AdaptiveMaxPool) else "non-linear op"
            raise ConversionError(
                f"{kind} {place(node)} is a {what} that still acts on spikes one step at a time: the recipe has no rule "
                f"for it. Use a recipe whose passes replace {kind}, or move it behind the output."
            )
    for key, target in network.outputs.items():
        if target not in read_out:
            raise ConversionError(
                f"Output {key!r} is not decoded: no decoder stands before {target!r}. Convert a model, or add DecodeOutputs."
            )
    if sequential(network):
        check_windows(network)
    return network


def check_windows(network: Network) -> None:
    """Raise ConversionError for what cannot take turns with the layers of a sequential network."""
    for node in network.nodes.values():
        if isinstance(node.op, FirstToMargin) or (isinstance(node.op, Neuron) and not isinstance(node.op, Windowed)):
            raise ConversionError(
                f"{type(node.op).__name__} {place(node)} acts step by step, but in the sequential schedule each layer listens "
                "for a whole window first: read the accumulated potential, or take a recipe of the concurrent schedule."
            )
    windows = {node.op.own_window for node in network.nodes.values() if isinstance(node.op, Windowed)}
    if len(windows) > 1:
        raise ConversionError(f"The layers take turns, but their windows have different lengths: {sorted(map(str, windows))}.")


class Carried(Enum):
    """What a node sends from step to step."""

    STATIC = "static"  # the same value at each step: computed once
    SPIKES = "spikes"  # spikes, perhaps routed, joined, averaged or scaled: work arises per spike
    CURRENT = "current"  # weighted sums that no neuron has turned into spikes: dense work at each step
    ANSWER = "answer"  # the decoded output and what follows it


def carried(network: Network) -> dict[str, Carried]:
    """Return what each node of a spiking network sends.

    Weights turn spikes into currents and neurons turn currents into spikes; everything else passes on what it reads. A
    scale or a constant shift of spikes leaves them spikes: the first is their height, the second a bias.
    """
    answers = decoded(network)
    kinds: dict[str, Carried] = {}
    known: dict[str, Carried] | None = None
    while kinds != known:  # what the element before sent is known after the first round
        known = kinds
        kinds = {}
        for name, node in network.nodes.items():
            sources = {kinds[source] for source in node.inputs} - {Carried.STATIC}
            if name in network.previous:
                sources |= {known.get(network.previous[name], Carried.STATIC)} - {Carried.STATIC}
            kinds[name] = Carried.ANSWER if name in answers else sent_by(node.op, sources)
    return kinds


def sent_by(op: Op, sources: set[Carried]) -> Carried:
    """Return what an op sends, given what those that it reads send, but for static values."""
    if isinstance(op, Stateful) and not op.routes:
        return Carried.CURRENT if op.joins else Carried.SPIKES
    if not sources:
        return Carried.STATIC
    weighted = isinstance(op, (*DENSE, MatMul))
    return Carried.CURRENT if weighted or Carried.CURRENT in sources else Carried.SPIKES
