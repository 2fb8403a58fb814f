"""Differential coding for convolutional networks: neurons, thresholds, and what enters and leaves."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.calibration import Histogram, Moments, Rows, Samples, gather
from transpike.codings import BiasOnce, DifferenceInput
from transpike.errors import ArgumentError, ConversionError
from transpike.network import Network, Node, shapes
from transpike.network.edit import rebuilt, rewired, substitute
from transpike.network.grammar import decoded, linear_here, need_no_loops, place, temporal_nodes
from transpike.neurons import (
    DifferenceDecoder,
    DifferenceFunction,
    DifferenceMaxPool,
    DifferenceNeuron,
    FunctionOfSignals,
    Integrator,
    first_spike,
)
from transpike.ops import SELECTORS, Affine, Clip, Convolution, Linear, Pad, Relu, TransposedConvolution
from transpike.parts import Op, Stateful
from transpike.passes.functions import ComputeOnce
from transpike.passes.insert_neurons import channel_axis
from transpike.passes.max_pool import replaced
from transpike.passes.split_signed import number, two_sided
from transpike.passes.thresholds import Layer, Streamed
from transpike.passes.thresholds.base import WAKE, few_samples, silence
from transpike.passes.thresholds.gaussian import gaussian_thresholds

COARSE = 512  # bins that a search of thresholds looks at: far finer than the candidates, and quick
FITTED_LEVELS = 64  # levels of the quantiser that thresholds are fitted for, as in the source


@dataclass(frozen=True)
class SplitClips:
    """Write an upper bound as the difference of two activations without one: clip(x, 0, h) = ReLU(x) - ReLU(x - h)."""

    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        need_no_loops(network, "codes differentially")
        read_out = decoded(network)
        for node in network.having(Clip):
            if node.name not in read_out:
                assert isinstance(node.op, Clip)
                network = substitute(network, node.name, without_bound(network, node, node.op.high))
        return network


def without_bound(network: Network, node: Node, high: float) -> list[Node]:
    """Return the nodes that compute clip(x, 0, high)."""
    lower, opposite, upper, weighted, joined = two_sided(network, node, Relu(), Relu(), number(network, -1.0))
    shifted = dataclasses.replace(opposite, name=f"{node.name}.beyond", op=Affine(None, number(network, -high)))
    return [lower, shifted, dataclasses.replace(upper, inputs=(shifted.name,)), weighted, joined]


class Magnitudes(Histogram):
    """A histogram of the values without their signs."""

    def add(self, values: Tensor) -> None:
        """Count `values` [channels, n] without their signs."""
        super().add(values.abs())


@dataclass(frozen=True)
class LeastSquares(Streamed):
    """A threshold rule: the largest level at which the first spikes of multi-threshold neurons have the least squared error.

    Per channel the theta that minimises the sum over the activations a of the samples of (x(a) - a)^2, where x(a) is the
    spike that a neuron with sizes from theta down (see `DifferenceNeuron`) sends for a at the first step; searched over 61
    candidates from 1/16 to twice the largest activation, equally spaced in the logarithm. 0 where a channel was never
    active. This project's.
    """

    levels: int = 4
    mantissa: int = 0

    def empty(self, rows: int, *, each_neuron: bool) -> Histogram:
        bins = super().empty(rows, each_neuron=each_neuron)
        assert isinstance(bins, Histogram)
        return Magnitudes(rows, bins.bins, bins.counts.dtype)

    def __call__(self, histogram: Histogram) -> Tensor:
        counts = histogram.counts.unflatten(1, (min(COARSE, histogram.bins), -1)).sum(2)
        values = (torch.arange(counts.shape[1]) + 1 / 2) * (histogram.width * (histogram.bins // counts.shape[1]))[:, None]
        best = torch.zeros_like(histogram.maximum)
        least = torch.full_like(best, torch.inf)
        for factor in 2.0 ** torch.linspace(-4, 1, 61, dtype=torch.float64):
            theta = (histogram.maximum * factor).clamp(min=torch.finfo(torch.float64).tiny)[:, None]
            error = ((first_spike(values, theta, self.levels, self.mantissa) - values).square() * counts).sum(1)
            best, least = torch.where(error < least, theta[:, 0], best), torch.minimum(error, least)
        return torch.where(histogram.maximum > 0, best, 0.0)

    def thresholds(self, statistic: Histogram, layer: Layer, samples: Samples) -> Tensor:  # noqa: ARG002 - first spikes alone
        return self(statistic)


@dataclass(frozen=True)
class InsertDifferenceNeurons:
    """Replace each ReLU by multi-threshold neurons whose largest level is `scale` times the Gaussian threshold.

    The threshold of a channel follows from mean and variance of its pre-activation on the samples, see
    `gaussian_thresholds`. With a smaller scale neurons resolve more and take longer to reach large values. A channel that
    is almost never active gets the median of its layer. Raises ArgumentError unless levels is a whole number from 1 to 8
    and scale is above 0. Source: Huang et al. 2025 (ICML, DCGS).
    """

    levels: int = 4
    scale: float = 1.0
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __post_init__(self) -> None:
        if self.levels not in range(1, 9):
            raise ArgumentError(f"levels must be a whole number from 1 to 8, not {self.levels}.")
        if not 0 < self.scale < math.inf:
            raise ArgumentError(f"scale must be above 0 and finite, not {self.scale}.")

    def __call__(self, network: Network, samples: Samples) -> Network:
        read_out, ranks = decoded(network), {name: len(shape) for name, shape in shapes(network).items()}
        targets = [node for node in network.having(Relu) if node.name not in read_out]
        axes = {node.inputs[0]: channel_axis(network, node, ranks[node.name]) for node in targets}
        found, seen = gather(network.analogue(), {name: Rows(name, axis) for name, axis in axes.items()}, Moments, samples)
        findings = list(few_samples(seen))
        neurons: dict[str, Op] = {}
        for node in targets:
            axis = axes[node.inputs[0]]
            seen_here = found[node.inputs[0]]
            thresholds = self.thresholds(seen_here)
            findings += silence(node, seen_here.silent, "channels", "are 0 on every calibration sample", WAKE)
            spread = thresholds.reshape([-1 if at == axis else 1 for at in range(1, ranks[node.name] + 1)])
            like = number(network, 0.0).to(network.device)
            neurons[node.name] = DifferenceNeuron(spread.to(like), like, node.op, levels=self.levels)
        network = dataclasses.replace(network, findings=(*network.findings, *findings))
        return network.map_ops(lambda node: neurons.get(node.name, node.op))

    def thresholds(self, seen: Moments) -> Tensor:
        """Return the threshold of each channel."""
        fitted = self.scale * gaussian_thresholds(seen.mean, seen.variance.sqrt(), FITTED_LEVELS)
        constant = (seen.variance == 0) & (seen.mean > 0)
        fitted = torch.where(constant, seen.mean, fitted)
        alive = fitted[fitted > 0]
        stand_in = alive.median() if len(alive) else torch.tensor(1.0, dtype=torch.float64)
        return torch.where(fitted > 0, fitted, stand_in)


@dataclass(frozen=True)
class CodeDifferentially:
    """Let a network of multi-threshold neurons speak in changes of the decoded value r[t] = r[t-1] + x[t] / t.

    What does not change over time is computed as before and sent once, at the first step (`DifferenceInput`); biases are
    sent once too (`BiasOnce`: all that a neuron, a max-pool or a decoder would receive if no spike came); max-pools
    and decoders act on decoded values. Linear ops stay as they are, without bias. Comes last in a recipe, and raises
    ConversionError for neurons and decoders of other codes. Source: Huang et al. 2025 (ICML, DCGS).
    """

    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:
        for node in network.having(Stateful):
            check_differential(node)
        network = network.map_ops(lambda node: DifferenceDecoder() if isinstance(node.op, Integrator) else node.op)
        network = replaced(network, lambda pool, of_spikes: DifferenceMaxPool(pool.op, of_spikes))
        network = ComputeOnce()(network, samples)  # after pools are what changes, which they do from the first step on
        return biases_sent_once(static_sent_once(network))


def check_differential(node: Node) -> None:
    """Raise ConversionError for a stateful op that has no differential form."""
    if not isinstance(node.op, DifferenceNeuron | DifferenceFunction) and type(node.op) is not Integrator:
        raise ConversionError(
            f"{type(node.op).__name__} {place(node)} has no differential form: differential coding takes constant or "
            "spiking input, max-pools of its own, and the accumulated potential as answer."
        )


def static_sent_once(network: Network) -> Network:
    """Put a DifferenceInput behind every static node that a temporal one reads."""
    temporal = temporal_nodes(network)
    after = decoded(network) - {node.name for node in network.having(DifferenceDecoder)}
    read = {source for name in temporal - after for source in signals(network.nodes[name], temporal)}
    renamed = {name: f"{name}.once" for name in network.nodes if name in read and name not in temporal}
    result: list[Node] = []
    for node in network.nodes.values():
        as_signals = {source: renamed[source] for source in signals(node, temporal) if source in renamed}
        result.append(rewired(node, as_signals) if node.name in temporal - after else node)
        if node.name in renamed:
            result.append(Node(renamed[node.name], DifferenceInput(), (node.name,), node.origin))
    return rebuilt(network, result)


def signals(node: Node, temporal: Collection[str]) -> list[str]:
    """Return the inputs of a node that come as signals in time; the others it takes as they are, since they never change."""
    if linear_here(node, temporal):
        return [source for source in node.inputs if source in temporal]
    held = node.op.held if isinstance(node.op, FunctionOfSignals) else (SELECTORS.get(type(node.op)),)
    return [source for i, source in enumerate(node.inputs) if i not in held]


def biases_sent_once(network: Network) -> Network:
    """Move the biases of temporal linear ops to where they arrive: before all that keeps state, and products."""
    resting = values_at_rest(network)
    temporal = temporal_nodes(network)
    sinks = {node.name for node in network.nodes.values() if gathers(node, temporal)}
    arriving = {source for name in sinks for source in network.nodes[name].inputs if source in resting}
    biases = {source: narrowed(resting[source]) for source in arriving if bool(resting[source].any())}
    result: list[Node] = []
    for node in network.nodes.values():
        op = without_bias(node.op) if node.name in resting else node.op
        renamed = {source: f"{source}.bias" for source in biases} if node.name in sinks else {}
        result.append(rewired(dataclasses.replace(node, op=op), renamed))
        if node.name in biases:
            result.append(Node(f"{node.name}.bias", BiasOnce(biases[node.name]), (node.name,), node.origin))
    return rebuilt(network, result)


@torch.inference_mode()
def values_at_rest(network: Network) -> dict[str, Tensor]:
    """Return what temporal nodes before the read-out would carry [1, ...] if nothing that keeps state sent anything."""
    temporal, after, sizes = temporal_nodes(network), decoded(network), shapes(network)
    dtype = network.dtype
    values: dict[str, Tensor] = {}
    for name, node in network.nodes.items():
        if name not in temporal or name in after:
            continue
        if gathers(node, temporal):
            values[name] = torch.zeros(1, *sizes[name], dtype=dtype, device=network.device)
        else:
            values[name] = node.op(*[values[source] for source in node.inputs])
    return {name: value.clone() for name, value in values.items()}


def gathers(node: Node, temporal: Collection[str]) -> bool:
    """Whether biases on the way to a node have to be sent before it: it keeps state, or what it does differs by sample."""
    return isinstance(node.op, (Stateful, *SELECTORS)) or linear_here(node, temporal)


def narrowed(value: Tensor) -> Tensor:
    """Return one sample of `value` [1, channels, ...], with one number per channel where that is all it says."""
    sample = value[0]
    narrow = sample[(slice(None), *[slice(0, 1)] * (sample.ndim - 1))] if sample.ndim else sample
    return narrow.clone() if torch.equal(narrow.expand_as(sample), sample) else sample


def without_bias(op: Op) -> Op:
    """Return a linear op without what it adds of its own."""
    if isinstance(op, Linear | Convolution | TransposedConvolution):
        return dataclasses.replace(op, bias=None)
    if isinstance(op, Affine):
        return dataclasses.replace(op, shift=None)
    return dataclasses.replace(op, value=0.0) if isinstance(op, Pad) else op
