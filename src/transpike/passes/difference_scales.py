"""Let the sizes of differential spikes follow what is left to say, step by step."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.calibration import Samples
from transpike.errors import positive_whole
from transpike.network import Network, Node, shapes
from transpike.network.grammar import temporal_nodes
from transpike.neurons import DifferenceMaxPool, DifferenceNeuron
from transpike.ops import Input
from transpike.parts import Op
from transpike.simulation.decoded import Follower, Following, of_values, refusal

SAMPLES, VALUES = 64, 2**27  # at most so many samples, and values of them at once
FEWEST = 8  # samples
LAYER = 2**18  # values of a layer on which scales are compared
POWERS = range(3, -8, -1)  # of two


@dataclass(frozen=True)
class FitScales:
    """Give each layer of difference neurons a power of two for each of the first `steps` steps, by which its sizes change.

    The network runs step by step on calibration samples (at most 64). In each step each layer, from the input on, takes of
    2^3 ... 2^-7 the scale with the least squared error sum (m[t] - x[t])^2 between what its neurons owe and what they send.
    Layers near the input are soon nearly right, and go on with finer sizes; deep ones first follow large changes. After the
    last step the scale stays. Networks without a form on values keep one scale for all steps (see
    `simulation.decoded.refusal`). Comes after `CodeDifferentially`. Raises ArgumentError unless `steps` is a whole number
    from 1. Source: this project.
    """

    steps: int = 8
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __post_init__(self) -> None:
        positive_whole("steps", self.steps)

    def __call__(self, network: Network, samples: Samples) -> Network:
        plain = network.map_ops(lambda node: node.op.analogue() if isinstance(node.op, DifferenceMaxPool) else node.op)
        if refusal(plain) is not None:
            return network
        each = sum(math.prod(shape) for shape in shapes(plain).values())
        inputs = samples.first(max(FEWEST, min(SAMPLES, VALUES // each)))
        scales = fitted(of_values(plain), [tensor.to(network.device) for tensor in inputs], self.steps)
        return network.map_ops(lambda node: scaled(node, scales))


def scaled(node: Node, scales: Mapping[str, Tensor]) -> Op:
    """Return the op of a node, with its scales if there are some."""
    return dataclasses.replace(node.op, scales=scales[node.name]) if node.name in scales else node.op  # type: ignore[call-arg]


@torch.inference_mode()
def fitted(network: Network, inputs: Sequence[Tensor], steps: int) -> dict[str, Tensor]:
    """Return the scales [steps] of each layer of neurons in a network of decoded values."""
    values = dict(zip(network.inputs, inputs, strict=True))
    states: dict[str, Following] = {}
    found: dict[str, list[float]] = {}
    moving = temporal_nodes(network)
    for step in range(steps):
        for name, node in network.nodes.items():
            given = [values[source] for source in node.inputs]
            if isinstance(node.op, Follower):
                state = states.setdefault(name, node.op.start(given[0]))
                scales = found.setdefault(name, [])
                scales.append(best(node.op, state, given[0], scales[-1] if scales else 1.0))
                values[name] = state.total
            elif not isinstance(node.op, Input) and (step == 0 or name in moving):
                values[name] = node.op(*given)
    like = next(iter(inputs)).new_empty(0, dtype=network.dtype)
    return {name: like.new_tensor(scales) for name, scales in found.items()}


def best(op: Follower, state: Following, value: Tensor, before: float) -> float:
    """Make a step of a layer with the best scale, given what its input stands for, and return this; of equal ones `before`."""
    state.steps += 1
    state.potential.copy_(value).sub_(state.total).mul_(state.steps)
    total = state.total * state.steps
    owed, threshold, sent_before = thinned(state.potential, state.threshold.expand_as(value), total)
    some = Following(owed, threshold)
    some.steps = state.steps
    least, chosen = math.inf, before
    for scale in (before, *(2.0**power for power in POWERS)):
        spikes = with_scale(op.neuron, scale).spikes(some, sent_before)
        error = float((owed - spikes).square().sum(dtype=torch.float64))
        if error < least:
            least, chosen = error, scale
    sent = with_scale(op.neuron, chosen).spikes(state, total)
    state.total = state.total.add(sent, alpha=1 / state.steps)
    return chosen


def thinned(*parts: Tensor) -> list[Tensor]:
    """Return evenly spread elements [n] of tensors of one shape, the same of each, at most about LAYER of them."""
    every = -(-parts[0].numel() // LAYER) | 1  # odd, so that rows of pictures do not fall in step with it
    return [part.flatten()[::every] for part in parts]


def with_scale(neuron: DifferenceNeuron, scale: float) -> DifferenceNeuron:
    """Return neurons with one scale for all steps."""
    return dataclasses.replace(neuron, scales=torch.tensor([scale]))
