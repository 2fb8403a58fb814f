"""Activations that a model writes out, such as x sigmoid(1.702 x): found by their values, read as operators."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.network import Network, Node
from transpike.network.edit import pruned, substitute
from transpike.ops import TRAITS, Add, Affine, Constant, Divide, Gelu, Hardswish, Identity, Mish, Multiply, Number, Silu
from transpike.parts import Op, Trait

KNOWN: tuple[Op, ...] = (Gelu(), Gelu(tanh=True), Silu(), Hardswish(), Mish())
POINTWISE = (Add, Affine, Divide, Identity, Multiply)
REACH = 10.0  # of the values that are compared
CLOSE = 1e-5
LONGEST = 12  # nodes that an activation is written out as
Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Match:
    """y = scale f(slope x), with f a known activation."""

    op: Op
    scale: float = 1.0
    slope: float = 1.0


def whole_activations(network: Network) -> Network:
    """Return the network with each product that is a known activation of one earlier node as that activation.

    y = c f(b x) with f one of `KNOWN` (b only for SiLU) is recognised by its values between -10 and 10, however it is written
    out. What nothing else reads of its parts is left out.
    """
    for node in list(network.nodes.values()):
        if isinstance(node.op, Multiply | Divide):
            found = next(written_out(network, node), None)
            network = network if found is None else substitute(network, node.name, spelled(network, node, *found))
    return pruned(network)


def written_out(network: Network, node: Node) -> Iterator[tuple[str, Match]]:
    """Yield the nodes of which alone `node` is a known activation, nearest first, and which it is."""
    order = {name: place for place, name in enumerate(network.nodes)}
    region, open_ends = [node], {*node.inputs}
    while len(region) <= LONGEST:
        last = network.nodes[max(open_ends, key=order.__getitem__)]
        if len(open_ends) == 1 and last.name != node.name:
            match = matching(function(region, last.name))
            yield from () if match is None else ((last.name, match),)
        if not pointwise(last.op):
            return
        open_ends = {*open_ends, *last.inputs} - {last.name}
        region.append(last)


def pointwise(op: Op) -> bool:
    """Whether an op is a function of single values that holds no array of constants."""
    known = isinstance(op, POINTWISE) or TRAITS.get(type(op)) is Trait.ACTIVATION or isinstance(op, Constant | Number)
    return known and all(tensor.numel() == 1 for _, tensor in op.tensors())


def function(region: list[Node], root: str) -> Function:
    """Return what the nodes of a region, last first, compute of the value of `root`."""

    def values(x: Tensor) -> Tensor:
        found = {root: x}
        for node in reversed(region):
            found[node.name] = node.op.map_tensors(torch.Tensor.double)(*(found[name] for name in node.inputs))
        return found[region[0].name].expand_as(x) if found[region[0].name].numel() == 1 else found[region[0].name].reshape(-1)

    return values


def matching(of: Function) -> Match | None:
    """Return the known activation that a function is, if it is one."""
    x = torch.linspace(-REACH, REACH, 2001, dtype=torch.float64)
    y = of(x)
    slope = silu_slope(*of(x.new_tensor([1.0, -1.0])).tolist())
    choices = [Match(op) for op in KNOWN] + ([] if slope is None else [Match(Silu(), 1 / slope, slope)])
    for choice in choices:
        form = choice.scale * choice.op(choice.slope * x)
        scale = float((y * form).sum() / form.square().sum())
        if scale and float((y - scale * form).abs().max()) <= CLOSE * abs(scale):
            return Match(choice.op, scale * choice.scale if abs(scale - 1) > CLOSE else choice.scale, choice.slope)
    return None


def silu_slope(at_one: float, at_minus_one: float) -> float | None:
    """Return b > 0 of y = c x / (1 + exp(-b x)), given y at 1 and -1, whose ratio is -exp(b)."""
    ratio = -at_one / at_minus_one if at_minus_one else math.nan
    return math.log(ratio) if 1 < ratio < math.inf else None


def spelled(network: Network, node: Node, root: str, match: Match) -> list[Node]:
    """Return the nodes that take the place of `node`: the activation of `root` between its scales, where they are not 1."""
    steps: list[tuple[str, Op]] = [("activation", match.op)]
    if match.slope != 1:
        steps.insert(0, ("slope", Affine(torch.tensor(match.slope, dtype=network.dtype), None)))
    if match.scale != 1:
        steps.append(("scale", Affine(torch.tensor(match.scale, dtype=network.dtype), None)))
    nodes: list[Node] = []
    for name, op in steps:
        own = node.name if op is steps[-1][1] else f"{node.name}.{name}"
        nodes.append(Node(own, op, (nodes[-1].name if nodes else root,), node.origin))
    return nodes
