"""Ops of many values at once, written out in functions of one value, sums and products, which neurons can be."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch

from transpike.calibration import Samples
from transpike.network import Network, Node, shapes
from transpike.network.edit import substitute
from transpike.network.grammar import Carried, before
from transpike.ops import (
    Absolute,
    Add,
    Affine,
    Divide,
    Exponential,
    GroupNorm,
    Largest,
    LayerNorm,
    Logarithm,
    Maximum,
    Mean,
    Multiply,
    Power,
    Relu,
    Reshape,
    RMSNorm,
    Softmax,
)
from transpike.parts import Op
from transpike.passes.encode_currents import carried_before
from transpike.passes.functions import LAYERS
from transpike.passes.split_signed import number, two_sided

Written = list[Node]


class Writing:
    """The nodes that one node is written out in; each step reads those before it and is named after what it gives."""

    def __init__(self, network: Network, node: Node) -> None:
        self.network, self.node = network, node
        self.shape = shapes(network)[node.name]
        self.nodes: Written = []

    def add(self, what: str, op: Op, *sources: str) -> str:
        """Add a node and return its name; without `what` it is the last, which takes the place of the node."""
        name = f"{self.node.name}.{what}" if what else self.node.name
        self.nodes.append(Node(name, op, sources, self.node.origin))
        return name

    def shifted(self, what: str, source: str, by: float) -> str:
        """Add a constant."""
        return self.add(what, Affine(shift=number(self.network, by)), source)


@dataclass(frozen=True)
class WriteOut:
    """Write norms, softmax, quotients, squares and maxima that layers follow out in functions of one value, sums and products.

    softmax: e = exp(x - max x), e (1 / sum e);  layer, group and RMS norm: c = x - mean, c (mean c^2 + eps)^(-1/2);
    a / b = a (1 / b);  x^2 = x x;  |x| = ReLU(x) + ReLU(-x);  max(a, b) = b + ReLU(a - b): the same function exactly. The
    largest value of a softmax stays an op of many values. What acts on the input as it came, or on words that were looked up,
    stays as it is, and is computed once.
    Source: MBE neurons (AAAI 2026), softmax and layer norm by products of spikes and fitted neurons.
    """

    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        followed = before(network, *LAYERS)
        kinds = carried_before(network)
        for node in list(network.nodes.values()):
            raw = all(kinds[source] is Carried.STATIC for source in node.inputs)
            write = FORMS.get(type(node.op))
            if write is None or raw or node.name not in followed:
                continue
            writing = Writing(network, node)
            write(writing)
            if writing.nodes:
                network = substitute(network, node.name, writing.nodes)
        return network


def softmax(to: Writing) -> None:
    """P = e (1 / sum e) with e = exp(x - max x); its logarithm is x - max x - log sum e."""
    op, (x,) = to.node.op, to.node.inputs
    assert isinstance(op, Softmax)
    largest = to.add("largest", Largest((op.axis,), keepdim=True), x)
    below = to.add("below", Add(-1.0), x, largest)
    exponential = to.add("exponential", Exponential(), below)
    total = to.add("total", Mean((op.axis,), keepdim=True, sum=True), exponential)
    if op.logarithm:
        to.add("", Add(-1.0), below, to.add("logarithm", Logarithm(), total))
    else:
        to.add("", Multiply(), exponential, to.add("reciprocal", Power(-1.0), total))


def norm_over_last_axes(to: Writing) -> None:
    """C (mean c^2 + eps)^(-1/2) scale + shift, with c = x - mean for a layer norm and c = x for an RMS norm."""
    op, (x,) = to.node.op, to.node.inputs
    assert isinstance(op, LayerNorm | RMSNorm)
    rank = len(to.shape) + 1
    axes = tuple(range(rank - len(op.shape), rank))
    eps = op.eps if op.eps is not None else torch.finfo(to.network.dtype).eps
    shift = op.shift if isinstance(op, LayerNorm) else None
    centred = centre(to, x, axes) if isinstance(op, LayerNorm) else x
    plain = op.scale is None and shift is None
    normal = to.add("" if plain else "normal", Multiply(), centred, deviation(to, centred, axes, eps))
    if not plain:
        to.add("", Affine(op.scale, shift), normal)


def group_norm(to: Writing) -> None:
    """Do the same over the values of each group of channels."""
    op, (x,) = to.node.op, to.node.inputs
    assert isinstance(op, GroupNorm)
    groups = to.add("groups", Reshape((op.groups, math.prod(to.shape) // op.groups)), x)
    centred = centre(to, groups, (2,))
    normal = to.add("normal", Multiply(), centred, deviation(to, centred, (2,), op.eps))
    plain = op.scale is None and op.shift is None
    channels = to.add("" if plain else "channels", Reshape(to.shape), normal)
    if not plain:
        scale, shift = (part if part is None else part.reshape(-1, *[1] * (len(to.shape) - 1)) for part in (op.scale, op.shift))
        to.add("", Affine(scale, shift), channels)


def centre(to: Writing, x: str, axes: tuple[int, ...]) -> str:
    """X - mean."""
    return to.add("centred", Add(-1.0), x, to.add("mean", Mean(axes, keepdim=True), x))


def deviation(to: Writing, centred: str, axes: tuple[int, ...], eps: float) -> str:
    """(mean c^2 + eps)^(-1/2)."""
    squares = to.add("squares", Multiply(), centred, centred)
    variance = to.shifted("variance", to.add("power", Mean(axes, keepdim=True), squares), eps)
    return to.add("reciprocal", Power(-0.5), variance)


def quotient(to: Writing) -> None:
    """Multiply a and 1 / b."""
    a, b = to.node.inputs
    to.add("", Multiply(), a, to.add("reciprocal", Power(-1.0), b))


def power(to: Writing) -> None:
    """X x for a square; other powers are functions of one value already."""
    assert isinstance(to.node.op, Power)
    if to.node.op.exponent == 2:  # noqa: PLR2004 - the square
        to.add("", Multiply(), *to.node.inputs, *to.node.inputs)


def absolute(to: Writing) -> None:
    """ReLU(x) + ReLU(-x)."""
    to.nodes = two_sided(to.network, to.node, Relu(), Relu(), number(to.network, 1.0))


def maximum(to: Writing) -> None:
    """B + ReLU(a - b)."""
    a, b = to.node.inputs
    above = to.add("above", Relu(), to.add("difference", Add(-1.0), a, b))
    to.add("", Add(), b, above)


FORMS: dict[type[Op], Callable[[Writing], None]] = {
    Softmax: softmax,
    LayerNorm: norm_over_last_axes,
    RMSNorm: norm_over_last_axes,
    GroupNorm: group_norm,
    Divide: quotient,
    Power: power,
    Absolute: absolute,
    Maximum: maximum,
}
