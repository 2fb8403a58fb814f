"""What reaches the stages of a network beside spikes: biases, constants and what the input brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from transpike.network import Network
from transpike.network.grammar import decoded
from transpike.ops import Add, Concatenate, Input, OnGrid
from transpike.parts import Stateful


def drives(
    network: Network,
    wanted: Sequence[str],
    spikes: Mapping[str, Tensor],
    inputs: Mapping[str, Tensor],
    only: set[str] | None = None,
) -> dict[str, Tensor]:
    """Return the values [n, ...] of the nodes in `wanted` for given spikes of the stages; inputs that are not given are zero.

    With `only`, values of other nodes are not computed.
    """
    values: dict[str, Tensor] = {}
    answers = decoded(network) if only is None else set()
    for name, node in network.nodes.items():
        if (only is not None and name not in only) or (name in answers and name not in spikes):
            continue
        if name in spikes:
            values[name] = spikes[name]
        elif isinstance(node.op, Input):
            blank = torch.zeros((1, *node.op.shape), dtype=getattr(torch, node.op.dtype), device=network.device)
            values[name] = inputs.get(name, blank)
        elif not isinstance(node.op, Stateful):
            values[name] = node.op(*[values[source] for source in node.inputs])
    return {name: values[name] for name in wanted if name in values}


def grid_of(network: Network, name: str, following: set[str]) -> int | None:
    """Return to how many bits the value of a node that follows the input is rounded on its way; None if it is not."""
    node = network.nodes[name]
    if isinstance(node.op, OnGrid):
        return node.op.bits
    if isinstance(node.op, Input) or (list(node.op.tensors()) and not isinstance(node.op, Add | Concatenate)):
        return None
    bits = [grid_of(network, source, following) for source in node.inputs if source in following]
    return None if None in bits else max(b for b in bits if b is not None)


def following_inputs(network: Network) -> set[str]:
    """Return the nodes whose value depends on the input otherwise than through spikes."""
    found: set[str] = set()
    for name, node in network.nodes.items():
        if isinstance(node.op, Input) or (not isinstance(node.op, Stateful) and any(s in found for s in node.inputs)):
            found.add(name)
    return found
