"""Few-spike neurons for any pointwise activation: a short program of thresholds, resets and heights, fitted to it."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from transpike.calibration import Samples
from transpike.calibration.observe import Rows, gather
from transpike.errors import positive_whole
from transpike.network import Network
from transpike.network.grammar import before_weights, trait
from transpike.neurons import FewSpike, Neuron
from transpike.ops import RECTIFIERS
from transpike.parts import Finding, Op, Stateful, Trait
from transpike.passes.few_spike_fit import fitted

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
    """Replace each activation that is no ReLU, and that weights follow, by few-spike neurons fitted to it, layer by layer.

    A program of `steps` slots is fitted to the activation on the range of its inputs in the samples by gradient descent with
    a triangle for the derivative of a spike, from three starts (the digits of the input; those of what is positive of it; a
    staircase without resets), the heights by least squares; the better of all programs on the way is kept. A finding says
    how well it fits.
    Source: Stoeckl and Maass 2021 (few-spike neurons); the starts and the least squares: this project.
    """

    steps: int
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __post_init__(self) -> None:
        positive_whole("steps", self.steps)

    def __call__(self, network: Network, samples: Samples) -> Network:
        followed = before_weights(network)
        kinds = [node for node in network.nodes.values() if trait(node.op) is Trait.ACTIVATION and node.name in followed]
        places = [node for node in kinds if not isinstance(node.op, (*RECTIFIERS, Stateful))]
        if not places:
            return network
        ranges = input_ranges(network, [node.inputs[0] for node in places], samples)
        neurons: dict[str, Op] = {}
        findings: list[Finding] = []
        like: dict[str, Any] = {"dtype": network.dtype, "device": network.device}
        spans = [ranges[node.inputs[0]] for node in places]
        programs = fitted([node.op for node in places], spans, self.steps)
        for node, span, (program, error) in zip(places, spans, programs, strict=True):
            one, none = torch.ones((), **like), torch.zeros((), **like)
            neurons[node.name] = FewSpike(one, none, node.op, None, None, 0, *(part.to(**like) for part in program))
            findings.append(fit_finding(node.name, type(node.op).__name__, self.steps, span, error))
        changed = network.map_ops(lambda node: neurons.get(node.name, node.op))
        return dataclasses.replace(changed, findings=(*changed.findings, *findings))


def fit_finding(name: str, kind: str, steps: int, span: tuple[float, float], error: float) -> Finding:
    """Say how well a program fits its activation."""
    return Finding(
        "few-spike-fit",
        f"{steps} slots stand for {kind} {name!r} within {error:.4f} (root mean square) on {span[0]:.3g} to {span[1]:.3g}.",
        "More slots fit better: take the recipe with a larger window.",
        node=name,
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
