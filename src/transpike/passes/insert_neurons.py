"""Replace activations by integrate-and-fire neurons with calibrated thresholds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.calibration import Histogram, Samples, histograms
from transpike.network import Network, Node, shapes
from transpike.network.grammar import decoded, place
from transpike.neurons import IntegrateAndFire, Neuron
from transpike.ops import RECTIFIERS, Convolution, Linear, Permute, Reshape, TransposedConvolution, ceiling
from transpike.parts import Finding, Op
from transpike.passes.thresholds import Threshold

FEW_SAMPLES = 32


@dataclass(frozen=True)
class InsertNeurons:
    """Replace each ReLU-like activation by neurons whose thresholds the rule takes from calibration samples.

    The threshold of a neuron is the largest mean activation that it can send. `initial` is the potential before the
    first step as a fraction of the threshold; `neuron` makes a neuron of (threshold, initial, activation). Thresholds
    are always positive and finite: a channel that no sample activates gets the median threshold of its layer, and a finding.
    A clip, QCFS or SlipReLU is taken for a clipped ReLU, whose bound no threshold exceeds.
    """

    threshold: Threshold
    initial: float
    neuron: Callable[[Tensor, Tensor, Op], Neuron] = IntegrateAndFire
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:
        read_out, ranks = decoded(network), shapes(network)
        targets = [node for node in network.having(*RECTIFIERS) if node.name not in read_out]
        axes = {node.name: channel_axis(network, node, len(ranks[node.name])) for node in targets}
        found, seen = histograms(network.analogue(), axes, samples)
        findings = list(few_samples(seen))
        neurons: dict[str, Op] = {}
        for node in targets:
            thresholds, dead = self.thresholds(node, found[node.name])
            findings += dead_channels(node, dead)
            spread = thresholds.reshape([-1 if axis == axes[node.name] else 1 for axis in range(1, len(ranks[node.name]) + 1)])
            dtype = getattr(torch, next(iter(network.inputs.values())).dtype)
            like = {"dtype": dtype, "device": network.device}
            neuron = self.neuron(spread.to(**like), torch.tensor(self.initial, **like), node.op)
            neurons[node.name] = dataclasses.replace(neuron, threshold=neuron.threshold / neuron.most)
        network = dataclasses.replace(network, findings=(*network.findings, *findings))
        return network.map_ops(lambda node: neurons.get(node.name, node.op))

    def thresholds(self, node: Node, histogram: Histogram) -> tuple[Tensor, Tensor]:
        """Return the threshold of each channel (or one of the layer), and which channels no sample activates."""
        dead = histogram.maximum <= 0
        highest = ceiling(node.op)
        thresholds = torch.minimum(self.threshold(histogram), highest)
        alive = thresholds[(thresholds > 0) & torch.isfinite(thresholds)]
        default = highest.median() if torch.isfinite(highest).all() else torch.ones((), dtype=torch.float64)
        stand_in = alive.median() if len(alive) else default
        return torch.where(thresholds > 0, thresholds, stand_in), dead


def few_samples(seen: int) -> Iterable[Finding]:
    """Yield a finding if thresholds rest on few samples."""
    if seen < FEW_SAMPLES:
        yield Finding(
            "few-samples",
            f"Thresholds rest on {seen} calibration sample{'s' * (seen != 1)}.",
            "Give a few hundred samples of the training data: rare large activations are clipped otherwise.",
            severity="warning",
        )


def dead_channels(node: Node, dead: Tensor) -> Iterable[Finding]:
    """Yield a finding if some channels never were active."""
    if dead.any():
        yield Finding(
            "dead-channels",
            f"{int(dead.sum())} of {len(dead)} channels of {place(node)} are 0 on every calibration sample.",
            "They cost nothing as spikes. If other data may wake them, calibrate on more samples; else prune them.",
            node=node.name,
        )


def channel_axis(network: Network, node: Node, rank: int) -> int:
    """Return the axis of the channels, counted with the batch: the last after a linear layer, else axis 1."""
    current = node
    while current.inputs:
        current = network.nodes[current.inputs[0]]
        if isinstance(current.op, Linear):
            return rank
        if isinstance(current.op, Convolution | TransposedConvolution | Reshape | Permute):
            break
    return 1
