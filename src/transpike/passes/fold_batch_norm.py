"""Fold batch norm, and any other affine map per channel, into a neighbouring op with weights."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.calibration import Samples
from transpike.network import Network, Node, shapes
from transpike.network.edit import bypass, with_op
from transpike.ops import Affine, BatchNorm, Convolution, Linear, TransposedConvolution
from transpike.parts import Op

Weighted = Linear | Convolution | TransposedConvolution


@dataclass(frozen=True)
class FoldBatchNorm:
    """Absorb y = a x + c per channel into the op before it, or after it where no border is padded.

    Before: W' = a W, b' = a b + c. After: W' = W a, b' = b + W c. What has no such neighbour of its own stays, as an
    affine op. Exact; computed in float64.
    """

    removes: ClassVar[tuple[type[Op], ...]] = (BatchNorm,)

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        found = shapes(network)
        ranks = {name: len(shape) for name, shape in found.items()}
        affine = [node.name for node in network.having(BatchNorm, Affine) if found[node.name] == found[node.inputs[0]]]
        for name in [*affine, *reversed(affine)]:  # backwards too: one that moves on makes room for the one before it
            if name in network.nodes:
                network = self.fold(network, network.nodes[name], ranks)
        return network

    def fold(self, network: Network, node: Node, ranks: dict[str, int]) -> Network:
        """Fold one node, or leave it as an affine op."""
        affine = per_channel(node.op, ranks[node.name])
        if affine is None:
            return network
        before = network.nodes[node.inputs[0]]
        after = network.nodes.get(network.only_user(node.name) or "")
        if holds_channels(before, ranks) and network.only_user(before.name) == node.name:
            return bypass(with_op(network, before.name, scaled_outputs(before.op, *affine)), node.name)
        if after is not None and can_absorb(after, ranks, affine[1]):
            return bypass(with_op(network, after.name, scaled_inputs(after.op, *affine)), node.name)
        if not isinstance(node.op, BatchNorm):
            return network
        scale, shift = (value.to(node.op.mean.dtype).reshape(-1, *[1] * (ranks[node.name] - 1)) for value in affine)
        return with_op(network, node.name, Affine(scale, shift))


def per_channel(op: Op, rank: int) -> tuple[Tensor, Tensor] | None:
    """Return (a, c) in float64 if `op` is y = a x + c per channel (the first axis of a sample), else None."""
    if isinstance(op, BatchNorm):
        return op.affine()
    assert isinstance(op, Affine)
    values = []
    for tensor, neutral in ((op.scale, 1.0), (op.shift, 0.0)):
        value = torch.tensor(neutral, dtype=torch.float64) if tensor is None else tensor.double()
        while value.ndim < rank:
            value = value[None]
        if value.ndim != rank or any(size != 1 for size in value.shape[1:]):
            return None
        values.append(value.flatten())
    a, c = torch.broadcast_tensors(*values)
    return a, c


def holds_channels(node: Node, ranks: dict[str, int]) -> bool:
    """Whether an op with weights has its output channels on the first axis of a sample."""
    if isinstance(node.op, Linear):
        return ranks[node.name] == 1
    return isinstance(node.op, Convolution | TransposedConvolution)


def can_absorb(node: Node, ranks: dict[str, int], shift: Tensor) -> bool:
    """Whether an affine map before this op can move into it: padding would have to be shifted too."""
    if isinstance(node.op, Convolution):
        return not any(node.op.padding) or not shift.any()
    return isinstance(node.op, Linear) and ranks[node.name] == 1


def grouped(weight: Tensor, groups: int) -> Tensor:
    """View a weight as [groups, first/groups, ...]."""
    return weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])


def scaled_outputs(op: Op, a: Tensor, c: Tensor) -> Op:
    """Return `op` followed by y = a x + c, as one op of the same kind."""
    assert isinstance(op, Weighted)
    weight = op.weight.double()
    if isinstance(op, TransposedConvolution):  # weight [in, out/groups, ...]: output channel g * out/groups + j
        per_group = a.expand(weight.shape[1] * op.groups).reshape(op.groups, 1, -1, *[1] * (weight.ndim - 2))
        new = (grouped(weight, op.groups) * per_group).reshape(weight.shape)
        outputs = weight.shape[1] * op.groups
    else:
        outputs = weight.shape[0]
        new = weight * a.expand(outputs).reshape(-1, *[1] * (weight.ndim - 1))
    bias = c.expand(outputs) + (0 if op.bias is None else op.bias.double() * a)
    return dataclasses.replace(op, weight=new.to(op.weight.dtype), bias=bias.to(op.weight.dtype))


def scaled_inputs(op: Op, a: Tensor, c: Tensor) -> Op:
    """Return y = a x + c followed by `op`, as one op of the same kind."""
    assert isinstance(op, Linear | Convolution)
    weight = op.weight.double()
    groups = op.groups if isinstance(op, Convolution) else 1
    tail = [1] * (weight.ndim - 2)
    inputs = weight.shape[1] * groups
    scale, shift = (value.expand(inputs).reshape(groups, 1, -1, *tail) for value in (a, c))
    per_group = grouped(weight, groups)
    added = (per_group * shift).flatten(2).sum(2).flatten()
    bias = added + (0 if op.bias is None else op.bias.double())
    new = (per_group * scale).reshape(weight.shape)
    return dataclasses.replace(op, weight=new.to(op.weight.dtype), bias=bias.to(op.weight.dtype))
