"""Means as sums, whose values stay whole numbers of spikes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch

from transpike.network import Network, Node, shapes
from transpike.network.edit import with_op
from transpike.ops import AdaptiveAveragePool, AveragePool, Identity, Mean, Reshape, TransposedConvolution
from transpike.parts import Op
from transpike.passes.fold_batch_norm import Weighted
from transpike.passes.scales import rescaled


def sums_for_means(network: Network, keep: Callable[[int], bool]) -> Network:
    """Turn means into sums where weights behind can take the quotient over, but for numbers of values to `keep`."""
    for node in network.having(AveragePool, AdaptiveAveragePool, Mean):
        count, reader = values_averaged(network, node), weighted_reader(network, node.name)
        total = summing(node.op, shapes(network)[node.inputs[0]])
        if count is None or keep(count) or reader is None or total is None:
            continue
        op = network.nodes[reader].op
        assert isinstance(op, Weighted)
        inputs, outputs = op.weight.shape[1] * getattr(op, "groups", 1), op.weight.shape[0]
        if isinstance(op, TransposedConvolution):
            continue
        quotient = torch.full((inputs,), 1 / count, dtype=torch.float64)
        network = with_op(with_op(network, node.name, total), reader, rescaled(op, quotient, torch.ones(outputs).double()))
    return network


def power_of_two(count: int) -> bool:
    """Whether a mean over so many values only moves the binary point."""
    return count & (count - 1) == 0


def summing(op: Op, before: tuple[int, ...]) -> Op | None:
    """Return the sum over the windows of a mean of samples of shape `before`; None if there is no op for it."""
    if isinstance(op, AveragePool):
        return dataclasses.replace(op, divisor=1) if len(op.kernel) > 1 else None
    if isinstance(op, Mean):
        return dataclasses.replace(op, sum=True)
    assert isinstance(op, AdaptiveAveragePool)
    if tuple(op.size) == (1, 1):
        return Mean((2, 3), keepdim=True, sum=True)
    if len(op.size) != 2 or any(size % count for size, count in zip(before[1:], op.size, strict=True)):  # noqa: PLR2004
        return None
    kernel = tuple(size // count for size, count in zip(before[1:], op.size, strict=True))
    return AveragePool(kernel, kernel, (0, 0), divisor=1)


def weighted_reader(network: Network, name: str) -> str | None:
    """Return the op with weights that alone reads a node, perhaps through a reshaping."""
    reader = network.only_user(name)
    while reader is not None and isinstance(network.nodes[reader].op, Reshape | Identity):
        reader = network.only_user(reader)
    return reader if reader is not None and isinstance(network.nodes[reader].op, Weighted) else None


def values_averaged(network: Network, node: Node) -> int | None:
    """Return over how many values a mean goes; None if that differs from place to place."""
    op, sizes = node.op, shapes(network)
    if isinstance(op, AveragePool):
        uneven = any(op.padding) and not op.count_include_pad
        return None if uneven or op.ceil_mode else (op.divisor or math.prod(op.kernel))
    before, after = sizes[node.inputs[0]], sizes[node.name]
    if isinstance(op, Mean) and op.sum:
        return 1
    if isinstance(op, AdaptiveAveragePool) and any(b % a for b, a in zip(before[1:], after[1:], strict=True)):
        return None
    return math.prod(before) // max(math.prod(after), 1)
