"""Placement in one population with inputs and outputs of its own, in which any neuron may reach any other."""

from __future__ import annotations

from transpike.chips import Chip
from transpike.placement.layers import Demand
from transpike.placement.result import Place, Placed
from transpike.placement.rules.base import Rule


def place(demand: Demand, chip: Chip) -> Placed:  # noqa: ARG001 - the limits of the whole chip are checked for all chips
    """Put every layer into the one population: what counts are the limits of the chip as a whole."""
    places = tuple(
        Place(
            layer.name, layer.node.origin, layer.neurons, layer.fan_in, None, decides="readout" if layer.readout else "hidden"
        )
        for layer in demand.layers
    )
    return Placed(places)


ONE_POPULATION = Rule(place, ("hidden", "outputs"), "https://rockpool.ai/devices/xylo-overview.html")
