"""Placement on crossbars: cores of so many inputs and neurons in which any input may reach any neuron."""

from __future__ import annotations

import math
from dataclasses import dataclass

from transpike.chips import Chip
from transpike.parts import Finding
from transpike.placement.layers import Demand, Layer
from transpike.placement.result import Place, Placed
from transpike.placement.rules.base import Rule, obstacle, too_many_cores, total, upwards
from transpike.placement.windows import Patch, seen, strides


@dataclass(frozen=True)
class Tiling:
    """A layer cut into patches, each a core: how many along channels, height and width, and the inputs of one."""

    patch: Patch
    tiles: tuple[int, int, int]
    axons: int

    @property
    def cores(self) -> int:
        """The number of patches."""
        return math.prod(self.tiles)


def place(demand: Demand, chip: Chip) -> Placed:
    """Cut each layer into patches whose neurons and inputs fit a core, with the fewest cores.

    A patch of n rows sees (n - 1) s + k rows of its input, so that neighbours share inputs; a fully connected layer takes
    ceil(N / neurons) cores if its fan-in fits. A neuron with more inputs than a core has cannot be cut without changing
    what it computes. Where a sender reaches one core only, copies of it (relays, one step later) reach the others: one
    for each core. The single core of a chip is shared by all layers. Source: Akopyan et al. 2015 (TrueNorth).
    """
    axons, neurons = chip.whole("axons_per_core"), chip.whole("neurons_per_core")
    assert axons is not None
    assert neurons is not None
    found = {layer.name: tiling(demand, layer, axons, neurons) for layer in demand.layers}
    obstacles = tuple(too_wide(layer, axons) for layer in demand.layers if found[layer.name] is None)
    if chip.whole("cores") == 1:
        return shared(demand, axons, neurons, chip, obstacles)
    places = tuple(placed(layer, found[layer.name], axons) for layer in demand.layers)
    relays, cores = (0, 0) if chip.whole("destinations") != 1 or obstacles else copies(demand, found, neurons)
    return Placed(places, (*obstacles, *too_many_cores(total(places) + cores, chip)), relays=relays, relay_cores=cores)


def tiling(demand: Demand, layer: Layer, axons: int, neurons: int) -> Tiling | None:
    """Return the tiling of a layer with the fewest cores, None if not even a single neuron fits."""
    channels, height, width = layer.image
    best: Tiling | None = None
    for rows in range(1, min(height, neurons) + 1):
        for columns in range(1, min(width, neurons // rows) + 1):
            patch = Patch(min(channels, neurons // (rows * columns)), (rows, columns))
            inputs = sum(seen(demand, path, patch).units for path in layer.paths)
            tiles = (upwards(channels, patch.channels), upwards(height, rows), upwards(width, columns))
            if inputs <= axons and (best is None or math.prod(tiles) < best.cores):
                best = Tiling(patch, tiles, inputs)
    return best


def placed(layer: Layer, found: Tiling | None, axons: int) -> Place:
    """Return the place of a layer; one that does not fit counts the cores that partial sums would take."""
    if found is None:
        parts = upwards(layer.fan_in, axons)
        return Place(
            layer.name, layer.node.origin, layer.neurons, layer.fan_in, parts * upwards(layer.units, axons), decides="fan-in"
        )
    takes = {"axons": found.axons, "neurons of a core": found.patch.units}
    decides = "axons" if found.patch.units < min(axons, layer.units) else "neurons"
    return Place(layer.name, layer.node.origin, layer.neurons, layer.fan_in, found.cores, takes=takes, decides=decides)


def too_wide(layer: Layer, axons: int) -> Finding:
    """Return that a neuron has more inputs than a core."""
    return obstacle(
        "fan-in",
        layer,
        f"has neurons with {layer.fan_in:,} connections, a core has {axons:,} inputs.",
        f"Cut the layer into {upwards(layer.fan_in, axons)} groups with neurons of their own (groups= of a convolution), take "
        "smaller kernels or fewer channels, and train again: sums of parts are not what the neuron computed.",
    )


def copies(demand: Demand, found: dict[str, Tiling | None], neurons: int) -> tuple[int, int]:
    """Return how many relays copy spikes to further cores, and on how many cores they stand; inputs are sent to all.

    A window of w units that moves on by p covers each unit at most ceil(w / p) times along an axis.
    """
    relays = cores = 0
    for sender in demand.layers:
        reached = sum(
            covering(demand, sender, reader, tiles) for reader in demand.readers(sender.name) if (tiles := found[reader.name])
        )
        if reached > 1:
            relays += sender.units * reached
            cores += upwards(sender.units, max(1, neurons // reached)) * upwards(reached, neurons)
    return relays, cores


def covering(demand: Demand, sender: Layer, reader: Layer, tiles: Tiling) -> int:
    """Return how many patches of a reader a unit of the sender is an input of, at most."""
    most = 0
    for path in reader.paths:
        if path.sender != sender.name:
            continue
        sides, pitch = seen(demand, path, tiles.patch).sides, strides(path)
        along = [
            min(count, upwards(side, step * size))
            for count, side, step, size in zip(tiles.tiles[1:], sides, pitch, tiles.patch.sides, strict=True)
        ]
        most = max(most, tiles.tiles[0] * math.prod(along))
    return most


def shared(demand: Demand, axons: int, neurons: int, chip: Chip, obstacles: tuple[Finding, ...]) -> Placed:
    """Put all layers into the one core of a chip."""
    places = tuple(Place(one.name, one.node.origin, one.neurons, one.fan_in, None, decides="neurons") for one in demand.layers)
    needed = sum(layer.units for layer in demand.layers)
    if needed <= neurons:
        return Placed(places, obstacles)
    said = f"The network has {needed:,} neurons, the core of {chip.title} has {neurons:,} (and {axons:,} inputs)."
    return Placed(
        places, (*obstacles, Finding("neurons", said, "Take a smaller network, or another chip.", severity="warning"))
    )


CROSSBAR = Rule(
    place,
    ("axons_per_core", "neurons_per_core"),
    "Akopyan et al. 2015, IEEE TCAD 34(10)",
    frozenset({"fan_in", "fan_out", "neurons"}),
)
