"""Few-spike neurons for any pointwise activation: a short program of thresholds, resets and heights, fitted to it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.calibration import Samples
from transpike.calibration.observe import Rows, gather
from transpike.errors import ConversionError, positive_whole
from transpike.network import Network, Node
from transpike.network.grammar import before, place, trait
from transpike.neurons import FewSpike, GatedFewSpike, Neuron
from transpike.ops import RECTIFIERS, Logarithm, Power
from transpike.parts import Finding, Op, Stateful, Trait
from transpike.passes.few_spike_fit import Span, fitted
from transpike.passes.few_spike_ranges import gated
from transpike.passes.functions import LAYERS

SMALLEST = 1e-3  # range of inputs


@dataclass(frozen=True)
class FewSpikeRelu:
    """Makes few-spike neurons for a ReLU, in closed form: their spikes are the bits of the value.

    thresholds[k] = (2^(K-k) - initial) / (2^K - 1), resets[k] = heights[k] = 2^(K-k) / (2^K - 1).
    """

    steps: int

    def __call__(self, threshold: Tensor, initial: Tensor, activation: Op) -> Neuron:
        """Return neurons of (threshold, initial, activation)."""
        whole = 2.0 ** torch.arange(self.steps - 1, -1, -1).to(threshold.device, threshold.dtype)
        most = 2**self.steps - 1
        return FewSpike(threshold, initial, activation, None, None, 0, (whole - initial) / most, whole / most, whole / most)


@dataclass(frozen=True)
class FitFewSpikes:
    """Replace each activation that is no ReLU, and that layers follow, by few-spike neurons fitted to it, layer by layer.

    Programs of `steps` slots are fitted to the activation on the range of its inputs in the samples. With one of the `ranges`
    the program is found by gradient descent with a triangle for the derivative of a spike, from three starts (the digits of
    the input; those of what is positive of it; a staircase without resets), the heights by least squares; the better of all
    programs on the way is kept. With several, as many neurons share the range, each reads the digits of its part, and its
    heights are found by least squares: the error falls with their number squared. A finding says how well it fits.
    Source: Stoeckl and Maass 2021 (few-spike neurons); LAS (gated neurons with a part of the range each); the starts, the
    parts and the least squares: this project.
    """

    steps: int
    ranges: int = 1
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __post_init__(self) -> None:
        positive_whole("steps", self.steps)
        positive_whole("ranges", self.ranges)

    def __call__(self, network: Network, samples: Samples) -> Network:
        followed = before(network, *LAYERS)
        kinds = [node for node in network.nodes.values() if trait(node.op) is Trait.ACTIVATION and node.name in followed]
        places = [node for node in kinds if not isinstance(node.op, (*RECTIFIERS, Stateful))]
        if not places:
            return network
        ranges = input_ranges(network, [node.inputs[0] for node in places], samples)
        spans = [ranges[node.inputs[0]] for node in places]
        for node, span in zip(places, spans, strict=True):
            check_span(node, span)
        made = self.neurons([node.op for node in places], spans)
        neurons: dict[str, Op] = {}
        findings: list[Finding] = []
        for node, span, (neuron, error, largest) in zip(places, spans, made, strict=True):
            neurons[node.name] = neuron.map_tensors(lambda tensor: tensor.to(network.device, network.dtype))
            findings.append(fit_finding(node, self.steps, span, error, largest))
        changed = network.map_ops(lambda node: neurons.get(node.name, node.op))
        return dataclasses.replace(changed, findings=(*changed.findings, *findings))

    def neurons(self, ops: Sequence[Op], spans: Sequence[Span]) -> list[tuple[Neuron, float, float | None]]:
        """Return neurons for each activation on the range of its inputs, the error of their fit, and the largest if known."""
        one, none = torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
        if self.ranges == 1:
            programs = fitted(ops, spans, self.steps)
            return [
                (FewSpike(one, none, op, None, None, 0, *program), error, None)
                for op, (program, error) in zip(ops, programs, strict=True)
            ]
        shared = [gated(op, span, self.steps, self.ranges, factor(op)) for op, span in zip(ops, spans, strict=True)]
        return [
            (GatedFewSpike(one, none, op, None, None, 0, *program), error, largest)
            for op, (program, error, largest) in zip(ops, shared, strict=True)
        ]


def factor(op: Op) -> bool:
    """Whether an activation gives factors, whose relative error counts: reciprocals of powers."""
    return isinstance(op, Power) and op.exponent < 0


def check_span(node: Node, span: tuple[float, float]) -> None:
    """Raise ConversionError where a function has no value at 0, and the samples come to both sides of it."""
    if (factor(node.op) or isinstance(node.op, Logarithm)) and span[0] <= 0 <= span[1]:
        raise ConversionError(
            f"{type(node.op).__name__} {place(node)} has no bound near 0, and its inputs in the samples go from {span[0]:.3g} "
            f"to {span[1]:.3g}: no program of spikes fits it. Take recipe differential or hybrid, which compute it as it is."
        )


def fit_finding(node: Node, steps: int, span: Span, error: float, largest: float | None) -> Finding:
    """Say how well programs fit their activation."""

    def worded(value: float) -> str:
        return f"{100 * value:.2f} %" if factor(node.op) else f"{value:.4f}"

    most = "" if largest is None else f", {worded(largest)} at most"
    return Finding(
        "few-spike-fit",
        f"{steps} slots stand for {type(node.op).__name__} {node.name!r} within {worded(error)} (root mean square{most}) on "
        f"{span[0]:.3g} to {span[1]:.3g}.",
        "More slots fit better: take the recipe with a larger window.",
        node=node.name,
    )


@dataclass
class Extent:
    """The least and the greatest of all values."""

    rows: int
    low: float = math.inf
    high: float = -math.inf

    def add(self, values: Tensor) -> None:
        """Take in values."""
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))

    @property
    def silent(self) -> Tensor:
        """Whether no value was above 0."""
        return torch.tensor([self.high <= 0])


def input_ranges(network: Network, names: list[str], samples: Samples) -> dict[str, tuple[float, float]]:
    """Return the least and the greatest value of some nodes of the ANN over the samples, a little apart."""
    found, _ = gather(network.analogue(), {name: Rows(name, 1) for name in names}, Extent, samples)
    return {name: (one.low, max(one.high, one.low + SMALLEST)) for name, one in found.items()}
