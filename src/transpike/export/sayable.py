"""What an exchange format for spiking networks can say, and why not the rest."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch

from transpike.calibration import Samples
from transpike.codings import BiasOnce, DifferenceInput, RateCode, Recorded
from transpike.errors import ArgumentError, ExportError
from transpike.network import Network, Node, shapes
from transpike.network.edit import bypass, pruned
from transpike.network.grammar import check_spiking, decoded, place
from transpike.neurons import (
    Burst,
    DifferenceNeuron,
    FirstSpike,
    FunctionOfSignals,
    Graded,
    IntegerIntegrateAndFire,
    IntegrateAndFire,
    Integrator,
    LeakyIntegrateAndFire,
    LookAhead,
    MultiThreshold,
    Neuron,
    Refractory,
    ResetToZero,
    SignedGraded,
    TemporalMaxPool,
    Ternary,
    Windowed,
)
from transpike.ops import Input, OnGrid, Previous
from transpike.parts import Decoder, Op, Stateful
from transpike.passes import NormaliseWeights

SAYABLE: tuple[type[Neuron], ...] = (IntegrateAndFire, ResetToZero)

REASONS: tuple[tuple[type[Op] | tuple[type[Op], ...], str], ...] = (
    (Windowed, "gives a spike a meaning by its time step in a window, and NIR has neither windows nor weights that change"),
    (Previous, "is part of a recurrent layer whose elements have a window each, and NIR has no windows"),
    ((Ternary, MultiThreshold, DifferenceNeuron), "sends negative or graded spikes, and a spike in NIR is 1"),
    (Recorded, "plays a recording, which is the stimulus of NIR: export the network from before transpike.play"),
    ((DifferenceInput, BiasOnce), "sends changes of a value, negative or graded, and a spike in NIR is 1"),
    ((Burst, Graded, SignedGraded), "sends spikes of several sizes, and a spike in NIR is 1"),
    (FirstSpike, "fires once and its threshold changes in time, which no neuron of NIR does"),
    (Refractory, "has a refractory period, and no neuron of NIR has one"),
    (LeakyIntegrateAndFire, "rests after a spike and has a drive of its own, and no neuron of NIR has either"),
    (LookAhead, "looks at later steps, which no neuron of NIR does"),
    (TemporalMaxPool, "is a max-pool, and NIR has none: take average pools"),
    (FunctionOfSignals, "computes a function of signals (attention, gates, norms), and NIR adds signals only"),
    (IntegerIntegrateAndFire, "limits its potential to some bits, which no neuron of NIR does"),
)
ROUNDING = "the rounding of the current"
ADVICE = "Convert with a recipe of integrate-and-fire neurons such as rate."


@dataclass(frozen=True)
class Prepared:
    """A network that can be said: thresholds 1, no encoder, no rounding; `dropped` says in words what was left out of it.

    What enters is the value of the node `entrance` of the network `whole`: the input, or the spikes that encode it, or what
    exact arithmetic rounds it to.
    """

    network: Network
    whole: Network
    entrance: str
    dropped: tuple[str, ...]


def check_sayable(network: Network) -> None:
    """Raise ExportError naming the first node that NIR cannot say, where it is, and the reason."""
    if not isinstance(network, Network):
        raise ArgumentError(f"A converted Network is needed here, not {type(network).__name__}: call transpike.convert first.")
    check_spiking(network)
    for node in network.nodes.values():
        op = node.op
        for kinds, reason in REASONS:
            if isinstance(op, kinds):
                raise ExportError(f"{type(op).__name__} {place(node)} {reason}. {ADVICE}")
        if isinstance(op, Neuron):
            check_neuron(node, op)
        elif isinstance(op, Stateful) and not isinstance(op, Decoder | RateCode):
            raise ExportError(f"{type(op).__name__} {place(node)} keeps a state that no node of NIR has. {ADVICE}")
    if len(network.inputs) != 1 or len([n for n in network.nodes.values() if isinstance(n.op, Decoder)]) != 1:
        raise ExportError(
            f"The network has {len(network.inputs)} inputs and {len(network.having(Decoder))} decoded outputs, but loaders of "
            "NIR take one of each: export a network with one input and one output."
        )


def check_neuron(node: Node, op: Neuron) -> None:
    """Raise ExportError for neurons that NIR has no node for, or whose parameters change in time."""
    if type(op) not in SAYABLE:
        raise ExportError(f"{type(op).__name__} {place(node)} has no node in NIR. {ADVICE}")
    changing = (op.height is not None and len(op.height) > 1) or (op.bias is not None and len(op.bias) > 1)
    if changing or op.delay:
        what = f"waits {op.delay} steps before it integrates" if op.delay else "has weights that change from step to step"
        raise ExportError(f"{type(op).__name__} {place(node)} {what}, and parameters in NIR are constant. {ADVICE}")


def prepared(network: Network, *, currents: bool) -> Prepared:
    """Return the network as NIR can say it; raise ExportError if it cannot.

    Thresholds go into the weights (`NormaliseWeights`). What encodes or rounds the input is left to the stimulus. The
    rounding of the first current, and what follows the decoder, are left out and named; with `currents` the rounded
    current itself is what enters.
    """
    check_sayable(network)
    whole = NormaliseWeights()(network.to("cpu", torch.float32), Samples())
    dropped: list[str] = []
    said = undecorated(whole, dropped)
    first = next(iter(said.inputs))
    candidates = [node.name for node in said.having(RateCode, OnGrid)][:: -1 if currents else 1]
    entrance = next((name for name in candidates if isinstance(cut(said, name, first), Network)), first)
    said = cut(said, entrance, first) or said
    for node in said.having(OnGrid, RateCode):
        dropped.append(f"{ROUNDING} {place(node)} to multiples of 2^-{getattr(node.op, 'bits', 0)}")
        said = bypass(said, node.name)
    return Prepared(pruned(said), whole, entrance, tuple(dropped))


def cut(network: Network, name: str, first: str) -> Network | None:
    """Return the network whose input is the value of the node `name`; None if others read the input `first` past it."""
    if name == first:
        return network
    shape = shapes(network)[name]
    nodes = {n.name: n for n in network.nodes.values() if n.name != first}
    nodes[name] = Node(name, Input(shape))
    waiting, needed = [*network.outputs.values()], set()
    while waiting:
        one = waiting.pop()
        if one == first:
            return None
        if one not in needed:
            needed.add(one)
            waiting += nodes[one].inputs
    return dataclasses.replace(network, nodes={one: node for one, node in nodes.items() if one in needed})


def undecorated(network: Network, dropped: list[str]) -> Network:
    """Return the network whose output is the decoder itself, noting what acted on the decoded answer."""
    decoder = network.having(Decoder)[0]
    after = [name for name in decoded(network) if name != decoder.name]
    dropped += [f"{type(network.nodes[name].op).__name__} {place(network.nodes[name])}, behind the answer" for name in after]
    if type(decoder.op) is not Integrator or decoder.op.delay:
        dropped.append(f"when {type(decoder.op).__name__} {place(decoder)} begins and ends to listen")
    key = next(iter(network.outputs))
    return dataclasses.replace(network, outputs={key: decoder.name})
