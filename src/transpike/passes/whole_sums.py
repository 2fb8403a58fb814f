"""Which numbers of a network add up in the same neurons, so that they must be multiples of one unit."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import torch

from transpike.errors import ConversionError
from transpike.network import Network, Node, shapes
from transpike.network.edit import pruned, rebuilt
from transpike.network.grammar import decoded, place
from transpike.neurons import Neuron, TemporalMaxPool
from transpike.ops import (
    Add,
    Affine,
    AveragePool,
    Concatenate,
    Expand,
    Identity,
    Input,
    Mean,
    Pad,
    Permute,
    Reshape,
    Slice,
    TransposedConvolution,
    Upsample,
)
from transpike.parts import Decoder, Op
from transpike.passes.fold_batch_norm import Weighted, holds_channels, per_channel, scaled_outputs
from transpike.passes.scales import with_original

MOVES = (Reshape, Permute, Slice, Concatenate, Expand)  # give values other places


class Form(Enum):
    """What a node gives: values of the input, whole numbers of spikes, or sums of weights."""

    INPUT = "input"
    SPIKES = "spikes"
    CURRENT = "current"


@dataclass(frozen=True)
class Group:
    """Neurons (or read-outs) whose sums share ops with weights, those ops, and whether channels stay apart between them."""

    sinks: tuple[str, ...]
    ops: tuple[str, ...]
    by_channel: bool


def weighted_everywhere(network: Network) -> Network:
    """Put a weight of 1 where spikes meet currents, or neurons, without one: a relay has a weight too.

    Raises ConversionError with the reason for networks that are no layers of weights between neurons.
    """
    forms = dict[str, Form]()
    nodes: list[Node] = []
    for node in before_answers(network):
        found = [forms[source] for source in node.inputs]
        inputs = list(node.inputs)
        if isinstance(node.op, Neuron | Decoder) or Form.CURRENT in found:
            for at in [at for at, form in enumerate(found) if form is Form.SPIKES]:
                relay = Node(f"{node.name}.relay{at}", unit_weight(network), (inputs[at],), node.origin)
                nodes.append(relay)
                inputs[at], found[at] = relay.name, Form.CURRENT
        nodes.append(dataclasses.replace(node, inputs=tuple(inputs)))
        forms[node.name] = form_of(node, found)
    return rebuilt(network, [*nodes, *(node for node in network.nodes.values() if node.name not in forms)])


def scales_folded(network: Network) -> Network:
    """Give each scale of a layer's currents weights of its own, the layer's times the scale: its neurons differ in units."""
    ranks = {name: len(shape) for name, shape in shapes(network).items()}
    nodes: dict[str, Node] = {}
    for node in network.nodes.values():
        before = nodes.get(node.inputs[0]) if node.inputs else None
        affine = per_channel(node.op, ranks[node.name]) if isinstance(node.op, Affine) else None
        if before is not None and affine is not None and holds_channels(before, ranks):
            analogue = per_channel(node.op.analogue(), ranks[node.name])
            assert analogue is not None
            op = scaled_outputs(before.op, *affine)
            if not isinstance(op, TransposedConvolution):
                op = with_original(op, scaled_outputs(before.op.analogue(), *analogue))
            nodes[node.name] = Node(node.name, op, before.inputs, node.origin)
        else:
            nodes[node.name] = node
    return pruned(rebuilt(network, nodes.values()))


def before_answers(network: Network) -> list[Node]:
    """Return the nodes up to the read-outs."""
    answers = decoded(network)
    return [node for node in network.nodes.values() if node.name not in answers or isinstance(node.op, Decoder)]


def found_forms(network: Network) -> dict[str, Form]:
    """Return what each node up to the read-outs gives."""
    forms = dict[str, Form]()
    for node in before_answers(network):
        forms[node.name] = form_of(node, [forms[source] for source in node.inputs])
    return forms


def unit_weight(network: Network) -> Affine:
    """Return a weight of 1."""
    return Affine(torch.ones((), dtype=network.dtype, device=network.device))


def form_of(node: Node, found: list[Form]) -> Form:
    """Return what a node gives, from what it reads; raise ConversionError where whole numbers cannot say it."""
    op = node.op
    if isinstance(op, Input):
        return Form.INPUT
    if isinstance(op, Neuron | Decoder):
        if found[0] is Form.INPUT:
            raise unwritable(node, "reads the input without weights", "put a linear layer before it")
        return Form.SPIKES
    if isinstance(op, Weighted) or (isinstance(op, Affine) and found[0] is not Form.INPUT):
        if found[0] is Form.CURRENT:
            raise unwritable(
                node,
                "follows other weights without neurons between (or spikes of several heights, as those of a LeakyReLU)",
                "put a ReLU between the two layers, or take one in place of the LeakyReLU or clip",
            )
        return Form.CURRENT
    if len(set(found)) == 1 and (found[0] is Form.INPUT or keeps_whole(op)):
        return found[0]
    raise unwritable(
        node, "gives no whole numbers for spikes", "use sums, max-pools or strides, or layers with weights behind means"
    )


def keeps_whole(op: Op) -> bool:
    """Whether an op gives whole numbers for whole numbers."""
    if isinstance(op, Add):
        return abs(op.scale) == 1
    if isinstance(op, Pad):
        return op.mode != "constant" or op.value == 0
    if isinstance(op, Upsample):
        return op.mode == "nearest"
    if isinstance(op, Mean):
        return op.sum
    return (isinstance(op, AveragePool) and op.divisor == 1) or isinstance(op, (Identity, TemporalMaxPool, *MOVES))


def unwritable(node: Node, why: str, advice: str) -> ConversionError:
    """Return the error for a node that has no form in whole numbers."""
    return ConversionError(f"{type(node.op).__name__} {place(node)} {why}, which integer networks have no form for: {advice}.")


def shared_sums(network: Network) -> list[Group]:
    """Return the groups of sums, in the order of their first neurons; weights are everywhere (`weighted_everywhere`)."""
    groups: list[Group] = []
    for node in before_answers(network):
        if not isinstance(node.op, Neuron | Decoder):
            continue
        way = list(back_to_weights(network, node.inputs[0]))
        ops = tuple(dict.fromkeys(name for name in way if isinstance(network.nodes[name].op, Weighted | Affine)))
        moved = any(isinstance(network.nodes[name].op, MOVES) for name in way)
        mine = Group((node.name,), ops, not moved)
        for group in [group for group in groups if set(group.ops) & set(ops)]:
            groups.remove(group)
            mine = Group((*group.sinks, *mine.sinks), tuple(dict.fromkeys((*group.ops, *mine.ops))), by_channel=False)
        groups.append(mine)
    return groups


def back_to_weights(network: Network, name: str) -> Iterator[str]:
    """Yield the nodes from `name` back to the ops with weights whose outputs add up there."""
    node = network.nodes[name]
    yield name
    if not isinstance(node.op, Weighted | Affine):
        for source in node.inputs:
            yield from back_to_weights(network, source)
