"""Placement on cores with so many neurons, axons in and out, and bits of memory for synapses."""

from __future__ import annotations

from transpike.chips import Chip
from transpike.parts import Finding
from transpike.placement.layers import Demand, Layer
from transpike.placement.result import Place, Placed
from transpike.placement.rules.base import Rule, too_many_cores, total, upwards


def place(demand: Demand, chip: Chip) -> Placed:
    """Cut each layer into as few cores as any of its needs allows.

    cores = max(ceil(N / neurons), ceil(weights b / bits), ceil(senders / axons in), ceil(N readers / axons out)) for weights
    of b bits: a lower bound, since convolutions share their weights only as far as a core reaches. Without any sharing
    each synapse is stored; where that needs more cores than the chip has, a note says so.
    """
    places = tuple(placed(layer, demand, chip) for layer in demand.layers)
    needed = total(places)
    unshared = sum(max(one.cores or 0, upwards(one.takes["synapse bits"], room(chip))) for one in places)
    available = chip.whole("cores")
    notes: tuple[Finding, ...] = ()
    if available is not None and needed <= available < unshared:
        said = (
            f"With shared weights the network takes {needed:,} cores, without {unshared:,}, and {chip.title} has {available:,}."
        )
        advice = "Whether it fits depends on how the tool shares the weights of convolutions: try it there."
        notes = (Finding("shared-weights", said, advice),)
    return Placed(places, too_many_cores(needed, chip), notes)


def placed(layer: Layer, demand: Demand, chip: Chip) -> Place:
    """Return the place of one layer, with what decides its number of cores."""
    bits = chip.whole("weight_bits") or 0
    senders = sum(demand.units(sender) for sender in dict.fromkeys(path.sender for path in layer.paths))
    leaving = layer.units * len(demand.readers(layer.name))
    needs = {
        "neurons": (layer.neurons, chip.get("neurons_per_core")),
        "weight bits": (layer.weights * bits, chip.get("synapse_bits_per_core")),
        "axons in": (senders, chip.get("axons_per_core")),
        "axons out": (leaving, chip.get("out_axons_per_core")),
    }
    cores = {name: upwards(count, limit) for name, (count, limit) in needs.items() if limit}
    takes = {name: count for name, (count, _) in needs.items()} | {"synapse bits": layer.synapses * bits}
    decides = max(cores, key=lambda name: cores[name])
    return Place(
        layer.name, layer.node.origin, layer.neurons, layer.fan_in, max(1, cores[decides]), takes=takes, decides=decides
    )


def room(chip: Chip) -> float:
    """Return the bits of a core."""
    bits = chip.get("synapse_bits_per_core")
    assert bits is not None
    return bits


AXONS_AND_SYNAPSES = Rule(
    place,
    ("neurons_per_core", "axons_per_core", "out_axons_per_core", "synapse_bits_per_core", "weight_bits"),
    "https://github.com/nengo/nengo-loihi nengo_loihi/block.py",
)
