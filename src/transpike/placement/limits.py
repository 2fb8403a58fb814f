"""Limits that hold whatever the placement: of the whole chip, of a neuron, and of what neurons can do at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from transpike.chips import Chip
from transpike.network.grammar import Carried, carried
from transpike.network.grammar import place as where
from transpike.neurons import (
    FunctionOfSignals,
    IntegrateAndFire,
    Neuron,
    Refractory,
    ResetToZero,
    SignedGraded,
    TemporalMaxPool,
    Ternary,
    WinnerTakeAll,
)
from transpike.ops import Convolution, Linear, TransposedConvolution
from transpike.parts import Finding
from transpike.placement.layers import Demand, Layer
from transpike.placement.rules.base import obstacle

SUBTRACTS, ZERO, GRADED, SIGNED, ANY = "reset by subtraction", "reset to zero", "graded spikes", "signed spikes", "programs"
NAMED = 3
NEEDED: dict[type, frozenset[str]] = {
    IntegrateAndFire: frozenset({SUBTRACTS}),
    ResetToZero: frozenset({ZERO}),
    Refractory: frozenset({SUBTRACTS}),
    Ternary: frozenset({SUBTRACTS, SIGNED}),
    SignedGraded: frozenset({SUBTRACTS, SIGNED, GRADED}),
}
WEIGHTED = (Linear, Convolution, TransposedConvolution)


@dataclass(frozen=True)
class Limit:
    """A limit of the whole chip on what a network has in all."""

    quantity: str
    what: str
    count: Callable[[Demand], int]
    advice: str


WHOLE: tuple[Limit, ...] = (
    Limit("neurons", "neurons", lambda d: sum(one.neurons for one in d.layers), "Take a smaller network, or more chips."),
    Limit("synapses", "synapses", lambda d: sum(one.synapses for one in d.layers), "Take smaller kernels or fewer channels."),
    Limit("inputs", "inputs", lambda d: sum(map(d.units, d.inputs)), "Pool or project the input before the chip."),
    Limit("hidden", "neurons that are no outputs", lambda d: sum(one.neurons for one in d.hidden), "Take fewer neurons."),
    Limit("outputs", "outputs", lambda d: sum(one.units for one in d.layers if last(d, one)), "Ask for fewer classes."),
    Limit(
        "weights", "weights", lambda d: sum(one.synapses for one in d.layers), "Take fewer connections: prune, or fewer units."
    ),
)


def last(demand: Demand, layer: Layer) -> bool:
    """Whether no other layer reads a layer."""
    return not demand.readers(layer.name)


def whole_chip(demand: Demand, chip: Chip, handled: frozenset[str]) -> Iterator[Finding]:
    """Yield which limits of the whole chip are exceeded, but for those that the rule of placement handles."""
    for limit in WHOLE:
        most = None if limit.quantity in handled else chip.whole(limit.quantity)
        if most is not None and (needed := limit.count(demand)) > most:
            said = f"The network has {needed:,} {limit.what}, {chip.title} {most:,}."
            yield Finding(limit.quantity, said, limit.advice, severity="warning")


def each_neuron(demand: Demand, chip: Chip, handled: frozenset[str]) -> Iterator[Finding]:
    """Yield which neurons have more connections, or send more bits, than the chip allows."""
    for layer in demand.layers:
        for name, count, way in (
            ("fan_in", layer.fan_in, "reach one of them"),
            ("fan_out", layer.fan_out, "leave one of them"),
        ):
            most = None if name in handled else chip.whole(name)
            if most is not None and count > most:
                said = f"has neurons of which up to {count:,} connections {way}, {chip.title} allows {most:,}."
                yield obstacle(name.replace("_", "-"), layer, said, "Take smaller kernels, fewer channels, or prune.")
        carries, most = bits_of(layer), chip.whole("spike_bits")
        if most is not None and carries > most:
            said = f"sends spikes of {carries} bits, {chip.title} carries {most}."
            yield obstacle("spike-bits", layer, said, "Convert with a recipe of binary spikes: rate, mmse, sbg or ls.")


def bits_of(layer: Layer) -> int:
    """Return the bits that a spike of a layer carries."""
    return layer.node.op.bits_per_spike if isinstance(layer.node.op, Neuron) else 1


def abilities(demand: Demand, chip: Chip) -> Iterator[Finding]:
    """Yield which neurons and other ops the chip cannot have."""
    can = chip.abilities
    if can is not None and ANY not in can:
        yield from other_neurons(demand, chip, can)
    if can is None or ANY not in can:
        yield from other_ops(demand)
    kinds = carried(demand.network)
    for node in demand.network.having(*WEIGHTED):
        if kinds[node.inputs[0]] is Carried.CURRENT:
            said = f"{where(node)} multiplies currents: no neurons stand between it and the weights before."
            advice = "Merge the two layers, or put a ReLU between and train again."
            yield Finding("dense-currents", said, advice, node.name, "warning")


def other_neurons(demand: Demand, chip: Chip, can: frozenset[str]) -> Iterator[Finding]:
    """Yield which kinds of neurons the chip has not, each with the layers that have them."""
    kinds: dict[type, list[Layer]] = {}
    for layer in demand.hidden:
        kinds.setdefault(type(layer.node.op), []).append(layer)
    has = ", ".join(sorted(can)) or "no spiking neurons"
    for kind, layers in kinds.items():
        missing = NEEDED.get(kind, frozenset({ANY})) - can
        if missing:
            named = ", ".join(where(layer.node) for layer in layers[:NAMED]) + " ..." * (len(layers) > NAMED)
            said = f"{kind.__name__} neurons ({named}) need {', '.join(sorted(missing))}: {chip.title} has {has}."
            yield Finding("neurons", said, another(can), node=layers[0].name, severity="warning")


def other_ops(demand: Demand) -> Iterator[Finding]:
    """Yield which ops that keep state are no neurons: max-pools and functions of signals."""
    for node in demand.network.having(TemporalMaxPool, WinnerTakeAll, FunctionOfSignals):
        what, advice = "a maximum", "Train with average pools or strides in place of max-pools."
        if isinstance(node.op, FunctionOfSignals):
            what = f"{type(node.op.op).__name__} of signals"
            advice = "Take a network without gates, norms and attention, with ReLUs."
        yield Finding(
            "operator", f"{where(node)} computes {what}, for which the chip has no neurons.", advice, node.name, "warning"
        )


def another(can: frozenset[str]) -> str:
    """Return which recipe has neurons with these abilities."""
    if SUBTRACTS in can:
        return "Convert with a recipe of integrate-and-fire neurons: rate, mmse, sbg or ls."
    return "Convert with recipe reset-to-zero." if ZERO in can else "Take another chip."


def caveats(demand: Demand, chip: Chip) -> Iterator[Finding]:
    """Yield what the verdict leaves to the user: precision, analogue inputs, and the read-out."""
    rounding = [(chip.whole("weight_values"), "{} values for each neuron"), (chip.whole("weight_bits"), "{} bits")]
    said = " and ".join(words.format(number) for number, words in rounding if number is not None)
    if said:
        yield Finding("precision", f"Weights are rounded to {said} on this chip.", "Measure the accuracy again after rounding.")
    if demand.analogue_inputs:
        names = ", ".join(map(repr, demand.analogue_inputs))
        said = (
            f"The input {names} enters as numbers, not as spikes: the first weights are computed before the chip, or its input"
        )
        yield Finding("input", f"{said} has to become spikes.", "Convert with --input regular or poisson for spikes.")
    if any(layer.readout for layer in demand.layers):
        said = "The answer is read from accumulated potentials, which are placed like neurons here."
        yield Finding("readout", said, "Convert with --output spikes where the chip reads out spikes only.")
