"""How many connections each spike arrives over, exactly: borders, strides, groups and zero weights count."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from transpike.network import Network, shapes
from transpike.network.grammar import Carried, carried
from transpike.network.loops import elements, loops
from transpike.neurons import FunctionOfSignals, SpikeProduct, WinnerTakeAll
from transpike.ops import (
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    Add,
    Affine,
    AveragePool,
    Collect,
    Convolution,
    Element,
    Gather,
    Linear,
    MatMul,
    MaxPool,
    Mean,
    Previous,
    TransposedConvolution,
    Upsample,
)
from transpike.parts import Op, Stateful

WITH_WEIGHTS = (Linear, Convolution, TransposedConvolution)


def fan_outs(network: Network) -> dict[str, Tensor]:
    """Return, for each node that sends spikes, over how many connections a spike of each unit arrives [*shape].

    Walks backwards from whatever spikes arrive at (weights, neurons, sums with currents) through the ops that only
    route them. A connection is a weight that is not zero; those within a winner-take-all circuit count too. Of a node in a
    loop [elements, *shape]: its spikes at each element arrive in the loop, at the next element, and where all are collected.
    """
    walk = Backwards(network)
    reach: dict[str, Tensor] = {}
    for _ in range(2 if network.previous else 1):  # what the next element receives is known after the first
        reach = walk.reach(reach)
    sources = [name for name, node in network.nodes.items() if isinstance(node.op, Stateful)]
    spiking = [name for name in sources if walk.kinds[name] is Carried.SPIKES]
    found = {name: reach.get(name, torch.zeros(())).expand(walk.sizes[name]) for name in spiking}
    for node in network.having(WinnerTakeAll):
        assert isinstance(node.op, WinnerTakeAll)
        found[node.name] = found[node.name] + node.op.inner_connections(walk.sizes[node.inputs[0]])
    return found


class Backwards:
    """Walks a network from its end to its beginning; values of nodes in a loop have an axis of elements before their own."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.kinds = carried(network)
        inner = shapes(network)
        self.elements = elements(network, inner)
        self.sizes = {name: (self.elements[name], *size) if name in self.elements else size for name, size in inner.items()}
        self.backwards = {name for loop in loops(network).values() if loop.backwards for name in loop.nodes}

    def reach(self, known: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return over how many connections what each node sends arrives; `known` is what an earlier walk found."""
        found = {source: self.delayed(name, known[name]) for name, source in self.network.previous.items() if name in known}
        for name in reversed(list(self.network.nodes)):
            node = self.network.nodes[name]
            for i, source in enumerate(node.inputs):
                if self.kinds[source] is Carried.SPIKES and not isinstance(node.op, SpikeProduct):  # pairs: `coincidences`
                    pulled = self.pulled(name, i, self.arrivals(name, found))
                    found[source] = found.get(source, torch.zeros(())) + pulled
        return found

    def delayed(self, name: str, reach: Tensor) -> Tensor:
        """Return what the values of the element before reach [elements, ...], given what they reach at each element."""
        reach = reach.expand(self.sizes[name])
        none = torch.zeros_like(reach[:1])
        return torch.cat([none, reach[:-1]] if name in self.backwards else [reach[1:], none])

    def arrivals(self, name: str, found: dict[str, Tensor]) -> Tensor:
        """Return how many connections follow from each element of a node's value: one where a spike ends there."""
        op = self.network.nodes[name].op
        counted = isinstance(op, Stateful) and (not op.routes or "count" in op.keeps)
        ends = counted or self.kinds[name] is not Carried.SPIKES
        return torch.ones(self.sizes[name]) if ends else found.get(name, torch.zeros(())).expand(self.sizes[name])

    def pulled(self, name: str, position: int, arrived: Tensor) -> Tensor:
        """Return, per element of one input of a node, the sum of `arrived` over the outputs that it reaches."""
        node = self.network.nodes[name]
        if isinstance(node.op, Collect | Element):
            return arrived
        if name not in self.elements:
            return pull_back(node.op, position, [self.sizes[source] for source in node.inputs], self.sizes[name], arrived)
        inputs = [self.sizes[source][source in self.elements :] for source in node.inputs]
        rows, places = torch.unique(arrived, dim=0, return_inverse=True)  # mostly the last element and all others
        pulled = torch.stack([pull_back(node.op, position, inputs, self.sizes[name][1:], row) for row in rows])[places]
        if node.inputs[position] in self.elements:
            return pulled
        return pulled[-1 if name in self.backwards else 0] if isinstance(node.op, Previous) else pulled.sum(0)


def connections(op: Op, inputs: list[tuple[int, ...]], output_shape: tuple[int, ...]) -> int:
    """Return the number of connections of an op with weights, or products of one of matrices: MACs without padding."""
    return int(pull_back(op, 0, inputs, output_shape, torch.ones(output_shape)).double().sum())


def pull_back(op: Op, position: int, inputs: list[tuple[int, ...]], output: tuple[int, ...], arrived: Tensor) -> Tensor:
    """Return, per element of one input, the sum of `arrived` over the outputs that the element reaches."""
    if isinstance(op, Stateful) and isinstance(op.analogue(), MaxPool | AdaptiveMaxPool):
        op = op.analogue()
    if isinstance(op, AveragePool | AdaptiveAveragePool | MaxPool | AdaptiveMaxPool | Upsample):
        return along_axes(op, inputs[0], output, arrived)
    if isinstance(op, Mean):
        axes = [axis - 1 for axis in op.axes]
        kept = arrived.reshape([1 if i in axes else size for i, size in enumerate(inputs[0])])
        return kept.expand(inputs[0])
    if isinstance(op, FunctionOfSignals) and not isinstance(op.op, MatMul):
        return torch.ones(inputs[position])  # a spike changes the decoded value, and ends there
    if isinstance(op, FunctionOfSignals):
        op = op.op
    if isinstance(op, Stateful):
        return arrived
    if isinstance(op, Gather):  # which values it picks differs from sample to sample: each as likely
        return (arrived.double().sum() / math.prod(inputs[0])).float().expand(inputs[0])
    return transposed(pattern(op), position, inputs, arrived)


def pattern(op: Op) -> Op:
    """Return `op` with 1 for each weight that is not zero, and no bias."""
    if isinstance(op, WITH_WEIGHTS):
        return dataclasses.replace(op, weight=(op.weight != 0).double().cpu(), bias=None)
    if isinstance(op, Affine):
        return dataclasses.replace(op, scale=None if op.scale is None else (op.scale != 0).double().cpu(), shift=None)
    return Add() if isinstance(op, Add) else op


def transposed(op: Callable[..., Tensor], position: int, inputs: list[tuple[int, ...]], arrived: Tensor) -> Tensor:
    """Apply the transpose of an op whose coefficients are 0 or 1, by automatic differentiation; of products at ones."""
    with torch.inference_mode(mode=False), torch.enable_grad():
        samples = [torch.ones((1, *shape), dtype=torch.float64, requires_grad=True) for shape in inputs]
        (gradient,) = torch.autograd.grad(op(*samples), samples[position], arrived.double().clone()[None])
    return gradient[0].float()


def along_axes(op: Any, source: tuple[int, ...], output: tuple[int, ...], arrived: Tensor) -> Tensor:
    """Pull back through pooling or interpolation, which act along each spatial axis by itself."""
    result = arrived.double()
    first = len(source) - spatial_axes(op, source)
    for axis in range(first, len(source)):
        matrix = axis_pattern(op, axis - first, source[axis], output[axis])
        result = torch.tensordot(result, matrix, dims=([axis], [0])).movedim(-1, axis)
    return result.float()


def spatial_axes(op: Any, source: tuple[int, ...]) -> int:
    """Return how many trailing axes the op acts on."""
    return len(source) - 1 if isinstance(op, Upsample) else len(op.size if hasattr(op, "size") else op.kernel)


def axis_pattern(op: Any, axis: int, size: int, out: int) -> Tensor:
    """Return the matrix [out, size] that is 1 where an output depends on an input, along one axis."""
    position = torch.arange(size)[None, :]
    index = torch.arange(out)[:, None]
    if isinstance(op, Upsample):
        mode = "nearest" if op.mode.startswith("nearest") else "linear"
        scale = None if op.scales is None else op.scales[axis]
        corners = op.align_corners if mode == "linear" else None
        wanted = None if scale is not None else out
        rows = F.interpolate(torch.eye(size)[None], size=wanted, scale_factor=scale, mode=mode, align_corners=corners)
        return (rows[0].T != 0).double()
    if isinstance(op, AdaptiveAveragePool | AdaptiveMaxPool):
        start, stop = (index * size) // out, ((index + 1) * size + out - 1) // out
        return ((position >= start) & (position < stop)).double()
    start = index * op.stride[axis] - op.padding[axis]
    dilation = op.dilation[axis] if isinstance(op, MaxPool) else 1
    offset = position - start
    inside = (offset >= 0) & (offset < op.kernel[axis] * dilation) & (offset % dilation == 0)
    return inside.double()
