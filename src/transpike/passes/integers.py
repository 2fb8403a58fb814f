"""Integer networks: weights, biases, thresholds and potentials as whole numbers in the bits of a chip."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from transpike.calibration import Samples
from transpike.calibration.covariance import Covariance, covariances
from transpike.errors import ArgumentError, ConversionError
from transpike.network import Network, Node, shapes
from transpike.network.edit import follow, substitute, with_op
from transpike.network.grammar import need_no_loops, place
from transpike.neurons import IntegerIntegrateAndFire, IntegrateAndFire, Integrator, Neuron, Saturating
from transpike.neurons.integer import MOST_BITS
from transpike.ops import Affine, OnGrid, Rescaled, TransposedConvolution
from transpike.parts import Decoder, Finding, Op, Stateful
from transpike.passes.fold_batch_norm import Weighted
from transpike.passes.insert_neurons import channel_axis
from transpike.passes.means import sums_for_means
from transpike.passes.normalise_weights import NormaliseWeights
from transpike.passes.rounding import compensated, finest_unit
from transpike.passes.scales import rescaled
from transpike.passes.snap_to_grid import magnitude
from transpike.passes.whole_sums import Form, Group, found_forms, scales_folded, shared_sums, weighted_everywhere

HEADROOM = 4  # thresholds that a potential must be able to hold
SCOPES = ("layer", "channel")
LIMITS = {"weight_bits": (2, 16), "potential_bits": (4, 24), "input_bits": (2, 16)}


@dataclass(frozen=True)
class FitIntegers:
    """Write a network of integrate-and-fire neurons in whole numbers: weights of few bits, potentials of more.

    The network is brought to thresholds and spikes of 1 (see `NormaliseWeights`). Then all numbers that add up in the same
    neurons are multiplied by one unit S and rounded: W = round(S W'), |W| < 2^(weight_bits - 1); threshold S; a spike is 1.
    The unit is chosen for the least error of the layer's currents on the calibration samples (`finest_unit`), one per layer or,
    where a chip has thresholds of their own for its neurons, per channel; the weights are rounded so that one makes up for
    another (`compensated`), and the bias takes over what their mean input then lacks. Inputs are rounded to `input_bits`, one
    of them the sign. Potentials saturate or wrap (`neuron`). Raises ArgumentError for bits out of range and ConversionError
    for networks that have no such form: other neurons, two layers with weights in a row, means that no weights follow.
    """

    weight_bits: int = 8
    potential_bits: int = 16
    scope: str = "layer"
    neuron: type[IntegerIntegrateAndFire] = Saturating
    input_bits: int = 9
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ArgumentError(f"{name} must be a whole number from {low} to {high}, not {value!r}.")
        if not issubclass(self.neuron, IntegerIntegrateAndFire):
            raise ArgumentError(f"neuron must be Saturating or Wrapping, not {self.neuron!r}.")
        if self.scope not in SCOPES:
            raise ArgumentError(f"scope must be 'layer' or 'channel', not {self.scope!r}.")

    def worded(self) -> str:
        """Name it."""
        units = "" if self.scope == "layer" else ", a unit for each channel"
        wraps = "" if self.neuron is Saturating else f", {self.neuron.__name__.lower()}"
        return f"weights of {self.weight_bits} bits, potentials of {self.potential_bits}{units}{wraps}"

    def __call__(self, network: Network, samples: Samples) -> Network:
        need_no_loops(network, "writes a network in whole numbers")
        check_kinds(network)
        sums = sums_for_means(network, keep=lambda count: count == 1)
        normal = weighted_everywhere(scales_folded(NormaliseWeights()(sums, samples)))
        groups = shared_sums(normal)
        readers = {name: normal.nodes[name].inputs[0] for group in groups for name in group.ops}
        found = covariances(normal.analogue(), readers, samples)
        lost: dict[str, float] = {}
        for group in groups:
            normal = self.written(normal, group, found, lost)
        for group in groups:
            check_sums(normal, group)
        normal = with_whole_inputs(normal, self.input_bits - 1)
        return dataclasses.replace(normal, findings=(*network.findings, self.finding(lost)))

    def written(self, network: Network, group: Group, found: Mapping[str, Covariance], lost: dict[str, float]) -> Network:
        """Return the network with one group of sums in whole numbers, noting the relative error of each op's weights."""
        most, limit = 2 ** (self.weight_bits - 1) - 1, 2 ** (self.potential_bits - 1) // HEADROOM
        matrices = {name: as_matrix(network.nodes[name]) for name in group.ops}
        each = self.scope == "channel" and group.by_channel
        if each:
            rows = max(len(matrix) for matrix in matrices.values())
            matrices = {name: matrix.expand(rows, -1) for name, matrix in matrices.items()}
        known = {name: found.get(name) or unknown(matrix) for name, matrix in matrices.items()}
        peaks = [m.abs().amax(1, keepdim=True) if each else m.abs().max()[None, None] for m in matrices.values()]
        peak = torch.stack(peaks).amax(0)
        unit = finest_unit([(matrix, known[name].matrix) for name, matrix in matrices.items()], peak, most, limit)
        for name, matrix in matrices.items():
            whole = compensated(matrix, unit, most, known[name].matrix)
            missing = (matrix - whole / unit) @ known[name].mean
            lost[name] = float((whole / unit - matrix).norm() / matrix.norm().clamp(min=1e-12))
            node = network.nodes[name]
            network = with_op(network, name, in_units(node.op, whole, unit[:, 0], missing, spread(network, node)))
        for name in group.sinks:
            network = self.sink(network, network.nodes[name], unit[:, 0])
        return network

    def sink(self, network: Network, node: Node, unit: Tensor) -> Network:
        """Return the network with neurons of threshold S, or with a read-out whose answer is divided by S."""
        scale = unit.reshape(spread(network, node)).to(network.device, network.dtype)
        if isinstance(node.op, Decoder):
            return follow(network, node.name, Node(f"{node.name}.units", Affine(1 / scale), (node.name,), node.origin))
        assert isinstance(node.op, Neuron)
        op = node.op
        bias = None if op.bias is None else (op.bias * scale).round()
        activation = Rescaled(op.activation, 1 / scale, torch.ones_like(scale))
        threshold = torch.ones_like(op.threshold) * scale
        height = torch.ones_like(threshold)[None]
        whole = self.neuron(threshold, op.initial, activation, height, bias, op.delay, self.potential_bits)
        return with_op(network, node.name, whole)

    def finding(self, lost: Mapping[str, float]) -> Finding:
        """Say in how many bits the network is written, and how much the weights changed."""
        worst = max(lost, key=lost.__getitem__)
        return Finding(
            "integers",
            f"Weights are whole numbers of {self.weight_bits} bits, potentials of {self.potential_bits}. The weights changed "
            f"by {100 * lost[worst]:.2g} % of their norm at most (in {worst!r}).",
            "More weight bits, or a unit for each channel where the chip has thresholds for single neurons, change less.",
            node=worst,
        )


def check_kinds(network: Network) -> None:
    """Raise ConversionError for neurons and read-outs that have no integer form."""
    for node in network.having(Stateful):
        op = node.op
        if isinstance(op, Neuron) and (type(op) is not IntegrateAndFire or (op.height is not None and len(op.height) > 1)):
            raise ConversionError(
                f"{type(op).__name__} {place(node)} has no integer form: take a recipe of integrate-and-fire neurons whose "
                "spikes are the same at each step, such as rate or sbg."
            )
        if isinstance(op, Decoder) and type(op) is not Integrator:
            raise ConversionError(
                f"{type(op).__name__} {place(node)} decides in the units of the answer, which an integer network does not "
                "have: take the accumulated potential as output."
            )


def check_sums(network: Network, group: Group) -> None:
    """Raise ConversionError if the sums of a group could leave what float32 holds exactly."""
    ops = [network.nodes[name].op for name in group.ops]
    largest = sum(magnitude(op, 1.0) for op in ops)
    if largest >= 2**MOST_BITS:
        raise ConversionError(
            f"The currents of {place(network.nodes[group.sinks[0]])} could reach {largest:.3g}, beyond the {MOST_BITS} bits in "
            "which they are simulated exactly: take fewer weight_bits."
        )


def spread(network: Network, node: Node) -> list[int]:
    """Return the shape that gives values per channel their place in a sample of a node."""
    rank = len(shapes(network)[node.name])
    axis = channel_axis(network, node, rank)
    return [-1 if at == axis else 1 for at in range(1, rank + 1)]


def as_matrix(node: Node) -> Tensor:
    """Return the weights of an op as [outputs, what each meets], in float64; those of a scale as [channels or 1, 1]."""
    op = node.op
    if isinstance(op, Affine):
        scale = torch.ones(1) if op.scale is None else op.scale
        if scale.numel() > max(scale.shape, default=1):
            raise ConversionError(f"The scale {place(node)} differs from place to place: take thresholds per layer or channel.")
        return scale.detach().double().reshape(-1, 1)
    assert isinstance(op, Weighted)
    return by_outputs(op, op.weight.double()).flatten(1)


def by_outputs(op: Weighted, weight: Tensor) -> Tensor:
    """Return weights as [outputs, inputs of each, ...]: transposed convolutions hold [inputs, outputs per group, ...]."""
    if not isinstance(op, TransposedConvolution):
        return weight
    return weight.unflatten(0, (op.groups, -1)).transpose(1, 2).flatten(0, 1)


def unknown(matrix: Tensor) -> Covariance:
    """Return what is assumed of inputs whose patches are not known: that they vary alike and apart, around 0."""
    size = matrix.shape[1]
    return Covariance(torch.zeros(size, dtype=torch.float64), torch.eye(size, dtype=torch.float64))


def in_units(op: Op, whole: Tensor, unit: Tensor, missing: Tensor, spread: list[int]) -> Op:
    """Return an op with whole weights [outputs, what each meets] in multiples of 1 / unit [1 or outputs].

    `missing` [outputs] is what its mean output lacks; its bias takes that over. `spread` is the shape that gives values per
    channel their place in a sample.
    """
    if isinstance(op, Affine):
        exact = rescaled(op.analogue(), torch.ones(1).double(), (1 / unit).reshape(spread)[None])
        shift = 0.0 if op.shift is None else op.shift.double()
        shift = ((shift + missing.reshape(spread)) * unit.reshape(spread)).round()
        scale = whole.reshape(spread) if len(whole) > 1 else whole.reshape(())
        like = op.scale if op.scale is not None else op.shift
        assert like is not None
        return Affine(scale.to(like), shift.to(like) if bool(shift.any()) else None, exact)
    assert isinstance(op, Weighted)
    shape, groups = by_outputs(op, op.weight).shape, getattr(op, "groups", 1)
    inputs, outputs = shape[1] * groups, shape[0]
    exact = rescaled(op.analogue(), torch.ones(inputs).double(), (1 / unit).expand(outputs))
    bias = torch.zeros(outputs).double() if op.bias is None else op.bias.double()
    weight = whole.reshape(shape)
    if isinstance(op, TransposedConvolution):
        weight = weight.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1)
    changes: dict[str, Any] = {
        "weight": weight.to(op.weight),
        "bias": ((bias + missing.expand(outputs)) * unit).round().to(op.weight),
    }
    if not isinstance(op, TransposedConvolution):
        changes["original"] = exact
    return dataclasses.replace(op, **changes)


def with_whole_inputs(network: Network, bits: int) -> Network:
    """Return the network with inputs rounded to multiples of 2^-bits, and the currents that they drive to whole numbers."""
    forms = found_forms(network)
    weighted = [node for node in network.nodes.values() if isinstance(node.op, Weighted)]
    for node in [node for node in weighted if forms.get(node.inputs[0]) is Form.INPUT]:
        rounded = Node(f"{node.name}.input", OnGrid(bits), (node.inputs[0],), node.origin)
        whole = Node(f"{node.name}.grid", OnGrid(0), (node.name,), node.origin)
        changed = dataclasses.replace(node, inputs=(rounded.name,))
        network = substitute(network, node.name, [rounded, changed, whole])
    return network
