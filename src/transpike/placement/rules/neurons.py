"""Placement by the number of neurons alone, on cores that run software."""

from __future__ import annotations

from transpike.chips import Chip
from transpike.placement.layers import Demand
from transpike.placement.result import Place, Placed
from transpike.placement.rules.base import Rule, too_many_cores, total, upwards


def place(demand: Demand, chip: Chip) -> Placed:
    """Cut each layer into cores of so many neurons: cores = sum over layers of ceil(neurons / neurons per core)."""
    room = chip.whole("neurons_per_core")
    assert room is not None
    places = tuple(
        Place(
            layer.name,
            layer.node.origin,
            layer.neurons,
            layer.fan_in,
            upwards(layer.neurons, room),
            takes={"neurons per core": min(layer.neurons, room)},
            decides="neurons",
        )
        for layer in demand.layers
    )
    return Placed(places, too_many_cores(total(places), chip))


NEURONS_PER_CORE = Rule(place, ("neurons_per_core",), "limits of sPyNNaker; documents of the chips")
