"""Placement on analogue neurons of a fixed fan-in, of which several are joined to one with more inputs."""

from __future__ import annotations

from transpike.chips import Chip
from transpike.parts import Finding
from transpike.placement.layers import Demand
from transpike.placement.result import Place, Placed
from transpike.placement.rules.base import Rule, upwards


def place(demand: Demand, chip: Chip) -> Placed:
    """Join ceil(fan-in / inputs of a neuron) circuits to each neuron; all layers share those of the chip."""
    room, inputs = chip.whole("neurons"), chip.whole("fan_in")
    assert room is not None
    assert inputs is not None
    joined = {layer.name: upwards(layer.fan_in, inputs) for layer in demand.layers}
    places = tuple(
        Place(
            layer.name,
            layer.node.origin,
            layer.neurons,
            layer.fan_in,
            None,
            takes={"circuits": layer.neurons * joined[layer.name]},
            decides="fan-in" if joined[layer.name] > 1 else "neurons",
        )
        for layer in demand.layers
    )
    needed = sum(one.takes["circuits"] for one in places)
    if needed <= room:
        return Placed(places)
    most = max(joined.values(), default=1)
    said = (
        f"The network needs {needed:,} circuits of neurons, {chip.title} has {room:,}; up to {most} are joined to one neuron."
    )
    finding = Finding("neurons", said, "Take fewer neurons, or fewer inputs for each: smaller kernels.", severity="warning")
    return Placed(places, (finding,))


JOINED_NEURONS = Rule(
    place, ("neurons", "fan_in"), "Pehle et al. 2022, doi:10.3389/fnins.2022.795876", frozenset({"neurons", "fan_in"})
)
