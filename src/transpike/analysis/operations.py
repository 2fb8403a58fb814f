"""What a network does: multiply-accumulates of the ANN and of the analogue part, synaptic operations of the spikes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from transpike.analysis.coincidences import Meetings, meetings
from transpike.analysis.connections import WITH_WEIGHTS, connections, fan_outs
from transpike.analysis.energy import Energy, energies
from transpike.network import Network, shapes
from transpike.network.grammar import READ_OUT_ONLY, Carried, carried, trait
from transpike.network.loops import elements
from transpike.neurons import CountProduct, FunctionOfSignals, Neuron, SpikeProduct, TemporalMaxPool
from transpike.ops import MatMul, Multiply, TransposedConvolution
from transpike.parts import Stateful


@dataclass(frozen=True)
class Work:
    """The fixed work of a network per sample, and where its spikes go.

    `ann_macs`: multiply-accumulates of the ANN as usually counted, padding included. `ann_connections`: the same without
    padding and zero weights, which is what spikes are counted by. `static_macs`: the ops on constant values (the
    analogue first layer), once per sample. `current_macs`: ops on currents that no neuron turned into spikes, per step.
    `fan_out`: connections over which a spike of each unit arrives, by spiking node; in a loop that of each element. `functions`
    are the nodes that compute a function of signals, which no spikes do, `function_values` how many values that gives per
    step, and `ann_functions` how many the ANN computes, those that never change included. `products` are those of them that
    multiply two numbers, with `multiplications` per step; in those of `count_products` each spike adds the other factor once
    instead. `graded` are the nodes whose spikes carry more than one bit. `meetings` counts the pairs of spikes that meet in
    products of spikes, each of which is an accumulate too.
    """

    ann_macs: int
    ann_connections: int
    static_macs: int
    current_macs: int
    current_nodes: tuple[str, ...]
    fan_out: Mapping[str, Tensor]
    products: tuple[str, ...] = ()
    count_products: tuple[str, ...] = ()
    multiplications: int = 0
    functions: tuple[str, ...] = ()
    function_values: int = 0
    ann_functions: int = 0
    graded: frozenset[str] = frozenset()
    meetings: Meetings | None = None

    @property
    def causes(self) -> tuple[str, ...]:
        """The nodes that cause synaptic operations: what spikes, and products in which spikes meet."""
        return (*self.fan_out, *(self.meetings.products if self.meetings else ()))

    def energy(self, accumulates: float, time_steps: float) -> tuple[Energy, ...]:
        """Return the energy per sample after some steps with so many accumulates: a value of a function costs as one MAC."""
        once = self.static_macs + self.ann_functions - self.function_values
        each_step = self.current_macs + self.function_values
        return energies(self.ann_connections + self.ann_functions, once, each_step, accumulates, time_steps)


def count_work(network: Network) -> Work:
    """Return the work of a spiking network; see Work."""
    kinds, sizes = carried(network), shapes(network)
    total = padded = static = current = 0
    ann, times = network.analogue().nodes, elements(network, sizes)
    dense: list[str] = []
    for node in network.nodes.values():
        op = node.op.op if isinstance(node.op, FunctionOfSignals) else node.op
        if not isinstance(op, (*WITH_WEIGHTS, MatMul)):
            continue
        repeats, sources = times.get(node.name, 1), [sizes[source] for source in node.inputs]
        count = connections(op, sources, sizes[node.name]) * repeats
        if node.name in ann:
            total += count
            padded += usual_macs(op, sources[0], sizes[node.name]) * repeats
        read = {kinds[source] for source in node.inputs}
        if read == {Carried.STATIC}:
            static += count
        elif Carried.CURRENT in read:
            current += count
            dense.append(node.name)
    functions, values, ann_values = count_functions(network, kinds, sizes, times)
    counts = tuple(node.name for node in network.having(CountProduct))
    products = tuple(n for n in functions if isinstance(network.nodes[n].op.analogue(), Multiply))
    return Work(
        padded,
        total,
        static,
        current,
        tuple(dense),
        fan_outs(network),
        functions=functions,
        function_values=values,
        ann_functions=ann_values,
        products=products,
        multiplications=sum(math.prod(sizes[name]) * times.get(name, 1) for name in products),
        count_products=counts,
        graded=graded_nodes(network),
        meetings=meetings(network),
    )


def count_functions(
    network: Network, kinds: Mapping[str, Carried], sizes: Mapping[str, tuple[int, ...]], times: Mapping[str, int]
) -> tuple[tuple[str, ...], int, int]:
    """Return the nodes that compute functions of signals, how many values they give per step, and the ANN's alike.

    Products of matrices are counted by their multiply-accumulates instead, and what follows the decoded answer not at all.
    """
    every = {name: math.prod(sizes[name]) * times.get(name, 1) for name in network.nodes}
    found = [node for node in network.having(FunctionOfSignals) if not isinstance(node.op, CountProduct | SpikeProduct)]
    met = [node for node in network.having(SpikeProduct) if not isinstance(node.op.analogue(), MatMul)]
    moving = [node for node in found if not isinstance(node.op.analogue(), MatMul)]
    still = [
        name
        for name, node in network.nodes.items()
        if kinds[name] is Carried.STATIC and trait(node.op) in READ_OUT_ONLY and not isinstance(node.op, Stateful | MatMul)
    ]
    each_step = sum(every[node.name] for node in moving)
    in_ann = each_step + sum(every[name] for name in still) + sum(every[node.name] for node in met)
    return tuple(node.name for node in found), each_step, in_ann


def graded_nodes(network: Network) -> frozenset[str]:
    """Return the nodes that send spikes of more than one bit: such neurons, and pools in a network of such neurons."""
    bits = {node.name: node.op.bits_per_spike for node in network.having(Neuron) if isinstance(node.op, Neuron)}
    pools = (node.name for node in network.having(TemporalMaxPool))
    found = {name for name, count in bits.items() if count > 1}
    return frozenset(found.union(pools) if found else found)


def usual_macs(op: object, source: tuple[int, ...], output: tuple[int, ...]) -> int:
    """Return multiply-accumulates as usually counted: every tap of every window, padding included."""
    if isinstance(op, MatMul):
        return math.prod(output) * source[-1]
    assert isinstance(op, WITH_WEIGHTS)
    per_unit = math.prod(op.weight.shape[1:])
    return math.prod(source if isinstance(op, TransposedConvolution) else output) * per_unit


def synaptic_operations(spikes: Mapping[str, Tensor], work: Work) -> dict[str, float]:
    """Return the synaptic operations caused by each node: the sum of the spikes of its units, in float64, times fan-out."""
    return {name: float((spikes[name] * work.fan_out[name].double()).sum()) for name in spikes if name in work.fan_out}
