"""What a network does: multiply-accumulates of the ANN and of the analogue part, synaptic operations of the spikes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from transpike.analysis.connections import WITH_WEIGHTS, connections, fan_outs
from transpike.network import Network, shapes
from transpike.network.grammar import Carried, carried
from transpike.network.loops import elements
from transpike.neurons import FunctionOfSignals
from transpike.ops import TransposedConvolution


@dataclass(frozen=True)
class Work:
    """The fixed work of a network per sample, and where its spikes go.

    `ann_macs`: multiply-accumulates of the ANN as usually counted, padding included. `ann_connections`: the same without
    padding and zero weights, which is what spikes are counted by. `static_macs`: the ops on constant values (the
    analogue first layer), once per sample. `current_macs`: ops on currents that no neuron turned into spikes, per step.
    `fan_out`: connections over which a spike of each unit arrives, by spiking node; in a loop that of each element. `products`
    are the nodes that multiply two signals, which no spikes do.
    """

    ann_macs: int
    ann_connections: int
    static_macs: int
    current_macs: int
    current_nodes: tuple[str, ...]
    fan_out: Mapping[str, Tensor]
    products: tuple[str, ...] = ()


def count_work(network: Network) -> Work:
    """Return the work of a spiking network; see Work."""
    kinds, sizes = carried(network), shapes(network)
    total = padded = static = current = 0
    ann, times = network.analogue().nodes, elements(network, sizes)
    dense: list[str] = []
    products = tuple(node.name for node in network.having(FunctionOfSignals))
    for node in network.having(*WITH_WEIGHTS):
        source = node.inputs[0]
        count = connections(node.op, sizes[source], sizes[node.name]) * times.get(node.name, 1)
        if node.name in ann:
            total += count
            padded += usual_macs(node.op, sizes[source], sizes[node.name]) * times.get(node.name, 1)
        if kinds[source] is Carried.STATIC:
            static += count
        elif kinds[source] is Carried.CURRENT:
            current += count
            dense.append(node.name)
    return Work(padded, total, static, current, tuple(dense), fan_outs(network), products)


def usual_macs(op: object, source: tuple[int, ...], output: tuple[int, ...]) -> int:
    """Return multiply-accumulates as usually counted: every tap of every window, padding included."""
    assert isinstance(op, WITH_WEIGHTS)
    per_unit = math.prod(op.weight.shape[1:])
    return math.prod(source if isinstance(op, TransposedConvolution) else output) * per_unit


def synaptic_operations(spikes: Mapping[str, Tensor], work: Work) -> dict[str, float]:
    """Return the synaptic operations caused by each node: the sum of the spikes of its units, in float64, times fan-out."""
    return {name: float((spikes[name] * work.fan_out[name].double()).sum()) for name in spikes if name in work.fan_out}
