"""Energy with memory: weights, potentials and addresses that are read and written, priced by the size of each memory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from transpike.analysis.connections import WITH_WEIGHTS, connections
from transpike.network import Network, shapes
from transpike.network.grammar import Carried, carried
from transpike.network.loops import elements
from transpike.neurons import Neuron
from transpike.ops import Convolution, TransposedConvolution
from transpike.parts import Stateful

SRAM = ((8e3, 10.0), (32e3, 20.0), (1e6, 100.0))  # bytes, pJ for a word of 64 bits: Horowitz, ISSCC 2014, 45 nm
WORD = 64
QUEUE, ADDRESS = 8e3, 16  # bytes of a queue of spikes, bits of the address that a spike is


@dataclass(frozen=True)
class Precision:
    """Bits of weights and of values, and the energy of a multiply-accumulate and of an accumulate in picojoule."""

    name: str
    weights: int
    values: int
    mac: float
    ac: float


FLOAT32 = Precision("float32", 32, 32, 4.6, 0.9)
INT8 = Precision("int8", 8, 8, 0.23, 0.03)
SPIKING = Precision("8-bit weights, 16-bit potentials", 8, 16, 0.23, 0.03)


def matched(levels: int) -> Precision:
    """Return the precision of a quantised ANN with so many values above 0: b = ceil(log2(levels + 1)) bits, T of T steps.

    A product of 8 and b bits costs b/8 of one of 8 bits. Source: Yan, Bai and Wong 2024 (equal resolution).

    >>> [matched(steps).values for steps in (1, 4, 15, 16)]
    [1, 3, 4, 5]
    """
    bits = math.ceil(math.log2(levels + 1))
    return Precision(f"{bits}-bit", 8, bits, 0.2 * bits / 8 + INT8.ac, INT8.ac)


def access(count: float, bits: int) -> float:
    """Return the energy in picojoule of one access to a memory of `count` words of `bits` bits.

    Linear between the sizes that are published, and on beyond them. Source: Lemaire et al. 2022 with Horowitz 2014.

    >>> access(8000, 8), access(1_000_000, 8)
    (1.25, 12.5)
    """
    size = count * bits / 8
    (low, cheap), (high, dear) = next((pair for pair in itertools.pairwise(SRAM) if size <= pair[1][0]), SRAM[-2:])
    return (cheap + (size - low) * (dear - cheap) / (high - low)) * bits / WORD


@dataclass(frozen=True)
class Estimate:
    """An energy per sample in microjoule, with the range that its assumptions span."""

    low: float
    value: float
    high: float

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(self.low + other.low, self.value + other.value, self.high + other.high)

    def __mul__(self, factor: float) -> Estimate:
        return Estimate(self.low * factor, self.value * factor, self.high * factor)


NOTHING = Estimate(0, 0, 0)


@dataclass(frozen=True)
class Synapses:
    """An op with weights: what it reads, how many weights, connections, inputs and outputs it has, per sample.

    `channels` is the number of outputs that share the address of an input, 1 where none do. `senders` are the nodes whose
    spikes reach it.
    """

    name: str
    reads: Carried
    in_ann: bool
    weights: int
    connections: int
    inputs: int
    outputs: int
    channels: int
    senders: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """All synapses of a network, and its neurons: units by node, whether a constant current drives them."""

    synapses: tuple[Synapses, ...]
    neurons: Mapping[str, int]
    driven: frozenset[str]


def plan(network: Network) -> Plan:
    """Return what a network keeps in memory and where it is used."""
    sizes, kinds = shapes(network), carried(network)
    times, ann = elements(network, sizes), network.analogue().nodes
    found = []
    for node in network.having(*WITH_WEIGHTS):
        op, source = node.op, sizes[node.inputs[0]]
        assert isinstance(op, WITH_WEIGHTS)
        many = times.get(node.name, 1)
        shared = op.weight.shape[0] if isinstance(op, Convolution) else 1
        shared = op.weight.shape[1] * op.groups if isinstance(op, TransposedConvolution) else shared
        counted = connections(op, [source], sizes[node.name]) * many
        inputs, outputs = math.prod(source) * many, math.prod(sizes[node.name]) * many
        senders = sending(network, node.inputs[0], kinds)
        stored = int((op.weight != 0).sum())
        found.append(
            Synapses(
                node.name, kinds[node.inputs[0]], node.name in ann, stored, counted, inputs, outputs, max(1, shared), senders
            )
        )
    neurons = {node.name: math.prod(sizes[node.name]) * times.get(node.name, 1) for node in network.having(Neuron)}
    driven = frozenset(name for name in neurons if kinds[network.nodes[name].inputs[0]] is Carried.STATIC)
    return Plan(tuple(found), neurons, driven)


def sending(network: Network, name: str, kinds: Mapping[str, Carried]) -> tuple[str, ...]:
    """Return the nodes that send the spikes which a node carries."""
    waiting, seen, found = [name], {name}, []
    while waiting:
        node = network.nodes[waiting.pop()]
        sends = isinstance(node.op, Stateful) and not node.op.routes
        if sends and kinds[node.name] is Carried.SPIKES:
            found.append(node.name)
        before = () if sends else (*node.inputs, *([network.previous[node.name]] if node.name in network.previous else []))
        waiting += [source for source in before if source not in seen]
        seen |= set(before)
    return tuple(found)


def dense(layers: Iterable[Synapses], precision: Precision) -> Estimate:
    """Return the energy of layers that are computed densely, once.

    E = MAC (e_mac + e_w + e_in) + outputs e_out: each operand is read anew for every product, as Lemaire et al. 2022 count
    (inputs of linear layers once); at best every weight and every input is read once.
    """
    total = NOTHING
    for one in layers:
        weight, value = access(one.weights, precision.weights), access(one.inputs, precision.values)
        fixed = one.connections * precision.mac + one.outputs * access(one.outputs, precision.values)
        once = fixed + one.weights * weight + one.inputs * value
        reads = one.connections if one.channels > 1 else one.inputs
        anew = fixed + one.connections * weight + reads * value
        total += Estimate(min(once, anew), anew, anew)
    return total * 1e-6


def spiking(
    found: Plan, operations: Mapping[str, float], accumulates: Mapping[str, float], spikes: Mapping[str, float], steps: float
) -> Estimate:
    """Return the energy of a spiking network per sample, from synaptic operations and spikes of each sender.

    Each synaptic operation reads a weight, reads and writes a potential, and adds; each spike is written to a queue, read
    from it, and its targets' addresses are computed (two products and an addition for each place of a kernel; one addition
    for each target of a linear layer). Each neuron adds its bias at each step; the potential is read and written once per
    sample where updates are driven by events, at each step where a clock or a constant current drives them (the upper end
    of the range). The first layer is computed once, layers that read currents at each step. Operations of a sender are
    shared among its readers by their connections. Source: Lemaire et al. 2022, equations 5 to 17.
    """
    p = SPIKING
    total = dense((one for one in found.synapses if one.reads is Carried.STATIC), INT8)
    total += dense((one for one in found.synapses if one.reads is Carried.CURRENT), INT8) * steps
    arrived = 0.0
    for sender, count in operations.items():
        readers = [one for one in found.synapses if sender in one.senders and one.reads is Carried.SPIKES]
        everything = sum(one.connections for one in readers)
        for one in readers:
            share = one.connections / everything
            weight, potential = access(one.weights, p.weights), access(one.outputs, p.values)
            places = share * count / one.channels
            arrived += share * (count * (weight + 2 * potential) + accumulates[sender] * p.ac) + places * p.ac
            arrived += spikes.get(sender, 0) * (access(QUEUE * 8 / ADDRESS, ADDRESS) + 2 * p.mac * (one.channels > 1))
        if not readers:  # straight into neurons: a potential, but no weight
            arrived += count * 2 * access(count, p.values) + accumulates[sender] * p.ac
        arrived += spikes.get(sender, 0) * access(QUEUE * 8 / ADDRESS, ADDRESS)
    return total + Estimate(arrived, arrived, arrived) * 1e-6 + updates(found, steps)


def updates(found: Plan, steps: float) -> Estimate:
    """Return the energy of neurons that are updated: see `spiking`."""
    once = more = 0.0
    for name, units in found.neurons.items():
        both = 2 * access(units, SPIKING.values)
        once += units * (steps * SPIKING.ac + both * (steps if name in found.driven else 1))
        more += 0 if name in found.driven else units * both * (steps - 1)
    return Estimate(once, once, once + more) * 1e-6
