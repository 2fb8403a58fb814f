"""Evaluate an analogue network, node by node, keeping only what is still needed."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from transpike.errors import ArgumentError
from transpike.network.graph import Network, counterpart
from transpike.network.loops import Loop, nodes_of, run_loop, schedule
from transpike.ops import Input


def last_uses(network: Network, names: Iterable[str]) -> dict[str, list[str]]:
    """Return, for each node in `names`, the values that no later one of them needs (outputs are always needed)."""
    kept = set(network.outputs.values())
    last: dict[str, str] = {}
    for name in names:
        last[name] = name
        for source in network.nodes[name].inputs:
            last[source] = name
    frees: dict[str, list[str]] = {}
    for value, user in last.items():
        if value not in kept:
            frees.setdefault(user, []).append(value)
    return frees


@torch.inference_mode()
def forward(
    network: Network, inputs: Sequence[Tensor], observe: Callable[[str, Tensor], None] | None = None
) -> Mapping[str, Tensor]:
    """Return the outputs of an analogue network for `inputs` [batch, ...], by output key.

    `observe(name, value)` sees the value of every node; those of a loop [batch * elements, ...], as if each element was
    a sample. Raises ArgumentError for a spiking network, which has no single
    value: take `network.analogue()` or simulate it.
    """
    if network.spiking:
        raise ArgumentError("A spiking network has no single value: simulate it, or take network.analogue().")
    values: dict[str, Tensor] = dict(zip(network.inputs, inputs, strict=True))

    def compute(name: str, known: Mapping[str, Tensor], element: int = 0) -> Tensor:  # noqa: ARG001 - all are alike here
        node = network.nodes[name]
        result: Tensor = known[name] if isinstance(node.op, Input) else node.op(*[known[source] for source in node.inputs])
        return result

    frees = last_uses(network, network.nodes)
    for item in schedule(network):
        if isinstance(item, Loop):
            watched = item.nodes if observe is not None else ()
            values |= run_loop(network, item, values, compute, watched)[0]
        else:
            values[item] = compute(item, values)
        for name in nodes_of(item):
            if observe is not None:
                observe(name, values[name].flatten(0, 1) if isinstance(item, Loop) else values[name])
        for name in nodes_of(item):
            for done in frees.get(name, ()):
                values.pop(done, None)
    batch = inputs[0].shape[0]
    return {key: values[name].expand(batch, *values[name].shape[1:]) for key, name in network.outputs.items()}


KNOWN: dict[int, dict[str, tuple[int, ...]]] = {}  # shapes by the identity of networks that are still there


def shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Return the shape of one sample of every node's value, found without computing any, once for each network."""
    if id(network) not in KNOWN:
        KNOWN[id(network)] = found_shapes(network)
        weakref.finalize(network, KNOWN.pop, id(network), None)
    return dict(KNOWN[id(network)])


def found_shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Return the shape of one sample of every node's value."""
    found: dict[str, tuple[int, ...]] = {}
    whole = dataclasses.replace(network, nodes={name: counterpart(node) for name, node in network.nodes.items()})
    blank = whole.map_ops(lambda node: node.op.map_tensors(lambda tensor: tensor.to("meta")))
    samples = [torch.empty((2, *op.shape), dtype=getattr(torch, op.dtype), device="meta") for op in blank.inputs.values()]
    forward(blank, samples, lambda name, value: found.__setitem__(name, tuple(value.shape[1:])))
    return found
