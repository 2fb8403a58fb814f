"""Replace activations by integrate-and-fire neurons with calibrated thresholds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from transpike.calibration import Samples
from transpike.network import Network, Node, shapes
from transpike.network.grammar import decoded
from transpike.neurons import IntegrateAndFire, Neuron
from transpike.ops import RECTIFIERS, Convolution, Linear, Permute, Reshape, TransposedConvolution, ceiling
from transpike.parts import Op
from transpike.passes.thresholds import Layer, Threshold


@dataclass(frozen=True)
class InsertNeurons:
    """Replace each ReLU-like activation by neurons whose thresholds the rule finds.

    The threshold of a neuron is the largest mean activation that it can send. `initial` is the potential before the
    first step as a fraction of the threshold; `neuron` makes a neuron of (threshold, initial, activation). Thresholds
    are always positive and finite: where the rule finds none, as for a channel that no sample activates, the median
    threshold of the layer stands in. A clip, QCFS or SlipReLU is taken for a clipped ReLU, whose bound none exceeds. `kinds`
    are the activations that become neurons.
    """

    threshold: Threshold
    initial: float
    neuron: Callable[[Tensor, Tensor, Op], Neuron] = IntegrateAndFire
    kinds: tuple[type[Op], ...] = RECTIFIERS
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:
        layers = self.layers(network)
        found = self.threshold.find(network.analogue(), layers, samples)
        like: dict[str, Any] = {"dtype": network.dtype, "device": network.device}
        neurons: dict[str, Op] = {}
        for layer in layers:
            threshold = completed(found.thresholds[layer.name], layer.node.op)
            neuron = self.neuron(threshold.to(**like), torch.tensor(self.initial, **like), layer.node.op)
            neurons[layer.name] = dataclasses.replace(neuron, threshold=neuron.threshold / neuron.most)
        network = dataclasses.replace(network, findings=(*network.findings, *found.findings))
        return network.map_ops(lambda node: neurons.get(node.name, node.op))

    def layers(self, network: Network) -> list[Layer]:
        """Return the places where neurons will stand."""
        read_out, sizes = decoded(network), shapes(network)
        layers = []
        for node in network.having(*self.kinds):
            if node.name not in read_out:
                probe = self.neuron(torch.ones(()), torch.tensor(self.initial), node.op)
                axis = channel_axis(network, node, len(sizes[node.name]))
                layers.append(Layer(node, sizes[node.name], axis, probe.most, self.initial, probe))
        return layers


def completed(thresholds: Tensor, op: Op) -> Tensor:
    """Return thresholds that are positive, finite, and no larger than the activation can be."""
    highest = ceiling(op)
    thresholds = torch.minimum(thresholds, highest)
    known = (thresholds > 0) & torch.isfinite(thresholds)
    default = highest.median() if torch.isfinite(highest).all() else thresholds.new_tensor(1.0)
    stand_in = thresholds[known].median() if known.any() else default
    return torch.where(known, thresholds, stand_in)


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
