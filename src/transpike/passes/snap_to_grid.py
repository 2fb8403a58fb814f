"""Exact arithmetic: put weights, biases and thresholds on a fixed-point grid, so that no sum is ever rounded."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from transpike.calibration import Samples
from transpike.errors import ArgumentError, ConversionError
from transpike.network import Network, Node
from transpike.network.edit import rebuilt
from transpike.network.grammar import decoded, need_no_loops, place
from transpike.neurons import (
    Burst,
    Delayed,
    Graded,
    IntegerIntegrateAndFire,
    IntegrateAndFire,
    LookAhead,
    Neuron,
    Refractory,
    ResetToZero,
    SignedGraded,
    TemporalMaxPool,
    Ternary,
)
from transpike.ops import (
    AdaptiveAveragePool,
    Add,
    Affine,
    AveragePool,
    Input,
    Mean,
    OnGrid,
    Pad,
    TransposedConvolution,
    Upsample,
)
from transpike.parts import Decoder, Finding, Op, Stateful
from transpike.passes.fold_batch_norm import Weighted
from transpike.passes.means import power_of_two, sums_for_means, values_averaged
from transpike.passes.normalise_weights import NormaliseWeights

MANTISSA = 24  # bits of a float32
TABLE_BITS = 6  # of heights that change from step to step
SUMS: tuple[type[Neuron], ...] = (
    IntegrateAndFire,
    ResetToZero,
    Refractory,
    Ternary,
    Burst,
    Graded,
    SignedGraded,
    LookAhead,
)  # whose membranes hold nothing but sums of what arrived and of thresholds


@dataclass(frozen=True)
class SnapToGrid:
    """Round weights, biases and potentials to multiples of 2^-bits thresholds; every sum in the network is then exact.

    The network is first brought to thresholds and heights of 1 (see `NormaliseWeights`), so that a membrane holds whole
    multiples of 2^-bits whose sums float32 represents as they are: spikes depend neither on the order of sums, nor on the
    engine, the batch or the device. Inputs are rounded to what the first weights leave of the 24 bits of float32. A finding
    says how much the weights changed, and for how many steps the sums stay exact whatever the input. Raises ConversionError
    for neurons and ops whose arithmetic is not a sum. Digital neuromorphic chips compute the same way.
    """

    bits: int = 10
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __post_init__(self) -> None:
        if isinstance(self.bits, bool) or not isinstance(self.bits, int) or not 4 <= self.bits <= 14:  # noqa: PLR2004
            raise ArgumentError(f"bits must be a whole number from 4 to 14, not {self.bits!r}.")

    def __call__(self, network: Network, samples: Samples) -> Network:
        if network.having(IntegerIntegrateAndFire):
            return network  # all its numbers are whole
        need_no_loops(network, "puts weights on a grid")
        check_kinds(network)
        normal = NormaliseWeights()(sums_for_means(network, power_of_two), samples)
        snapping = Snapping(normal, self.bits)
        for node in normal.nodes.values():
            snapping.snap(node)
        return dataclasses.replace(snapping.network(), findings=(*network.findings, snapping.finding()))


def check_kinds(network: Network) -> None:
    """Raise ConversionError for what keeps state by other means than sums."""
    answers = decoded(network)
    for node in network.nodes.values():
        op = node.op
        sums = type(op) in SUMS or isinstance(op, Decoder | TemporalMaxPool | Delayed)
        interpolates = isinstance(op, Upsample) and op.mode != "nearest"
        if (isinstance(op, Stateful) and not sums) or (interpolates and node.name not in answers):
            raise ConversionError(
                f"{type(op).__name__} {place(node)} multiplies or divides what it received, so that its arithmetic cannot be "
                "exact: convert without exact arithmetic, or take a recipe of integrate-and-fire neurons and constant input."
            )


def snapped(tensor: Tensor, bits: int) -> Tensor:
    """Return the nearest multiples of 2^-bits."""
    return OnGrid(bits)(tensor)


class Snapping:
    """The nodes written so far; of each value the exponent e, in multiples of 2^-e, and a bound of its magnitude."""

    def __init__(self, network: Network, bits: int) -> None:
        self.before, self.bits = network, bits
        self.answers = decoded(network)
        self.nodes: list[Node] = []
        self.renamed: dict[str, str] = {}
        self.exponent: dict[str, int] = {}
        self.bound: dict[str, float] = {}
        self.static: set[str] = set()
        self.changes: dict[str, float] = {}
        self.steps = math.inf

    def write(self, node: Node, op: Op, exponent: int, bound: float, name: str | None = None) -> None:
        """Write a node, or one more behind it."""
        inputs = tuple(self.renamed.get(source, source) for source in node.inputs) if name is None else (node.name,)
        self.nodes.append(Node(name or node.name, op, inputs, node.origin))
        self.exponent[node.name], self.bound[node.name] = exponent, bound
        if name is not None:
            self.renamed[node.name] = name

    def snap(self, node: Node) -> None:
        """Write a node with its parameters on the grid."""
        op = node.op
        if node.name in self.answers and not isinstance(op, Decoder):
            self.write(node, op, 0, 0.0)
            return
        exponent = max((self.exponent[source] for source in node.inputs), default=0)
        bound = max((self.bound[source] for source in node.inputs), default=1.0)
        if isinstance(op, Input) or (
            node.inputs and all(source in self.static for source in node.inputs) and not is_stateful(op)
        ):
            self.static.add(node.name)
        if isinstance(op, Input):
            self.write(node, op, 0, 1.0)
        elif isinstance(op, Neuron):
            self.neuron(node, op, exponent, bound)
        elif isinstance(op, Weighted | Affine):
            self.weighted(node, op, exponent, bound)
        elif isinstance(op, AveragePool | AdaptiveAveragePool | Mean):
            self.averaged(node, op, exponent, bound)
        elif isinstance(op, Add):
            self.added(node, op, exponent)
        elif isinstance(op, Pad) and op.mode == "constant":
            value = float(snapped(torch.tensor(op.value), self.bits))
            self.write(
                node, dataclasses.replace(op, value=value), max(exponent, self.bits if value else 0), max(bound, abs(value))
            )
        else:
            self.write(node, op, exponent, bound)

    def neuron(self, node: Node, op: Neuron, exponent: int, bound: float) -> None:
        """Write neurons: potentials on the grid of their currents, tables of heights on a coarser one."""
        bias = None if op.bias is None else snapped(op.bias, self.bits)
        height = None if op.height is None else snapped(op.height, TABLE_BITS)
        current = bound + (0.0 if bias is None else float(bias.abs().max()))
        self.note_sums(max(exponent, self.bits), current)
        sent = float(op.most) if height is None else float(op.most) * float(height.abs().max())
        neuron = dataclasses.replace(op, initial=snapped(op.initial, self.bits), bias=bias, height=height)
        self.write(node, neuron, TABLE_BITS if height is not None else 0, sent)

    def note_sums(self, exponent: int, current: float) -> None:
        """Note for how many steps a sum of currents stays below 2^(24 - exponent) thresholds."""
        self.steps = min(self.steps, 2.0 ** (MANTISSA - exponent) / max(current, 1.0) - 1)

    def weighted(self, node: Node, op: Weighted | Affine, exponent: int, bound: float) -> None:
        """Write an op with weights; on static values, round the input before it and the current after it."""
        if node.inputs[0] in self.static and isinstance(op, Affine):
            self.write(node, op, 0, 1.0)  # by element: it has no sum whose order could matter
            return
        if node.inputs[0] in self.static:
            self.first(node, op)
            return
        changed = self.on_grid(node, op, self.bits)
        reach = magnitude(changed, bound)
        self.write(node, changed, exponent + self.bits, reach)

    def first(self, node: Node, op: Weighted | Affine) -> None:
        """Write an op on static values: its input gets the bits that the weights and the length of the sum leave."""
        changed = self.on_grid(node, op, self.bits)
        source = node.inputs[0]
        reach = magnitude(changed, self.bound[source])
        left = MANTISSA - self.bits - 1 - math.ceil(math.log2(max(reach, 1.0)))
        name = f"{node.name}.input"
        self.nodes.append(Node(name, OnGrid(max(left, 1)), (self.renamed.get(source, source),), node.origin))
        self.nodes.append(Node(node.name, changed, (name,), node.origin))
        self.write(node, OnGrid(self.bits), self.bits, reach, name=f"{node.name}.grid")

    def on_grid(self, node: Node, op: Weighted | Affine, bits: int) -> Op:
        """Return an op with weights that are multiples of 2^-bits, noting how much they changed."""
        names = ("scale", "shift") if isinstance(op, Affine) else ("weight", "bias")
        changes: dict[str, Any] = {n: snapped(value, bits) for n in names if (value := getattr(op, n)) is not None}
        if hasattr(op, "original"):
            changes["original"] = op.analogue()
        changed = dataclasses.replace(op, **changes)
        old, new = getattr(op, names[0]), getattr(changed, names[0])
        if old is not None and float(old.norm()) > 0:
            self.changes[node.name] = float((new - old).norm() / old.norm())
        return changed

    def averaged(self, node: Node, op: AveragePool | AdaptiveAveragePool | Mean, exponent: int, bound: float) -> None:
        """Write a mean; where it is not over a power of two, round what comes out."""
        count = values_averaged(self.before, node)
        if count is not None and power_of_two(count):
            self.write(node, op, exponent + count.bit_length() - 1, bound)
        else:
            self.write(node, op, exponent, bound)
            self.write(node, OnGrid(exponent + self.bits), exponent + self.bits, bound, name=f"{node.name}.grid")

    def added(self, node: Node, op: Add, exponent: int) -> None:
        """Write a sum."""
        scale = float(snapped(torch.tensor(op.scale), self.bits))
        a, b = (self.bound[source] for source in node.inputs)
        finer = 0 if scale == round(scale) else self.bits
        self.write(node, dataclasses.replace(op, scale=scale), exponent + finer, a + abs(scale) * b)

    def network(self) -> Network:
        """Return the network of the nodes written."""
        return rebuilt(self.before, self.nodes, self.renamed)

    def finding(self) -> Finding:
        """Say how much the weights changed, and how long the sums stay exact."""
        worst = max(self.changes, key=self.changes.__getitem__, default=None)
        change = 0.0 if worst is None else self.changes[worst]
        steps = "any number of" if math.isinf(self.steps) else f"{max(int(self.steps), 0):,}"
        return Finding(
            "exact-arithmetic",
            f"Weights, biases and thresholds are multiples of 2^-{self.bits} thresholds. The weights changed by "
            f"{100 * change:.2g} % of their norm at most" + ("." if worst is None else f" (in {worst!r})."),
            f"Sums are exact for {steps} time steps whatever the input, and beyond as long as no potential exceeds "
            f"{2 ** (MANTISSA - 1 - self.bits):,} thresholds.",
            node=worst,
        )


def is_stateful(op: Op) -> bool:
    """Whether an op keeps state in time."""
    return isinstance(op, Stateful)


def magnitude(op: Op, bound: float) -> float:
    """Return the largest magnitude that an op with weights can give for inputs of magnitude `bound`."""
    if isinstance(op, Affine):
        scale = 1.0 if op.scale is None else float(op.scale.abs().max())
        return scale * bound + (0.0 if op.shift is None else float(op.shift.abs().max()))
    assert isinstance(op, Weighted)
    weight = op.weight.abs().double()
    axis = 1 if isinstance(op, TransposedConvolution) else 0
    rows = weight.movedim(axis, 0).flatten(1).sum(1)
    bias = 0.0 if op.bias is None else float(op.bias.abs().max())
    return float(rows.max()) * bound + bias
