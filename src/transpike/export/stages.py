"""A network in the form from which files are written: layers of neurons, each fed by convolutions of earlier spikes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.errors import ExportError
from transpike.export.sayable import SAYABLE, Prepared, prepared
from transpike.network import Network, Node, shapes
from transpike.network.grammar import place
from transpike.neurons import IntegrateAndFire, Neuron, ResetToZero
from transpike.ops import Relu
from transpike.simulation.engines.event.currents import drives
from transpike.simulation.engines.event.linear import Kernel, NotLinearError, identity
from transpike.simulation.engines.event.lowering import Lowering, Stage, UnsupportedError


@dataclass(frozen=True)
class Place:
    """Where the spikes of a node are in what was written: channels from `first` on of the node `name`."""

    name: str
    first: int
    channels: int

    def of(self, trains: Mapping[str, Tensor], shape: tuple[int, ...]) -> Tensor:
        """Return the spikes [time, batch, *shape] of the node, given those of what was written."""
        found = trains[self.name][:, :, self.first : self.first + self.channels]
        return found.reshape(*found.shape[:2], *shape)


@dataclass(frozen=True)
class Form:
    """A network as it is written: what a file says, node by node, and where each layer of the given one is in it.

    `start` says that the input has one channel more, which is 1 at the first step and 0 after it.
    """

    network: Network
    places: Mapping[str, Place]
    prepared: Prepared
    start: bool = False


@dataclass(frozen=True)
class Layers:
    """The stages of a prepared network in order; of each the current that it gets without spikes, and its first potential."""

    prepared: Prepared
    source: str
    stages: tuple[Stage, ...]
    bias: Mapping[str, Tensor]
    initial: Mapping[str, Tensor]
    sizes: Mapping[str, tuple[int, ...]]

    @property
    def neurons(self) -> tuple[Stage, ...]:
        """The stages that fire."""
        return tuple(stage for stage in self.stages if isinstance(stage.op, Neuron))


def staged(network: Network, lowering: type[Lowering] = Lowering, *, currents: bool = False) -> tuple[Layers, Lowering]:
    """Return the layers of a network that NIR can say, and how they were found.

    Raises ExportError naming the first place that cannot be said.
    """
    ready = prepared(network, currents=currents)
    source = next(iter(ready.network.inputs))
    sizes = shapes(ready.network)
    try:
        entrance: dict[str, tuple[tuple[str, Kernel], ...]] = {source: ((source, identity(sizes[source])),)}
        found = lowering(ready.network, terms=entrance, kinds=SAYABLE)
        stages = found.stages()
    except (UnsupportedError, NotLinearError) as error:
        raise ExportError(f"The network has no form in NIR: {error}.") from None
    silent = {stage.name: torch.zeros(1, *sizes[stage.name], dtype=torch.float64) for stage in stages}
    double = ready.network.to(dtype=torch.float64)
    constant = drives(double, [stage.drive for stage in stages], silent, {})
    nodes = ready.network.nodes
    bias = {stage.name: channels(constant[stage.drive][0], stage, nodes, "bias") for stage in stages}
    initial = {}
    for stage in stages:
        if isinstance(stage.op, Neuron):
            if stage.op.bias is not None:
                row = stage.op.bias[0].double().expand(sizes[stage.name])
                bias[stage.name] = bias[stage.name] + channels(row, stage, nodes, "bias")
            first = (stage.op.initial * stage.op.threshold).double()
            initial[stage.name] = channels(first.expand(1, *sizes[stage.name])[0], stage, nodes, "initial potential")
    return Layers(ready, source, tuple(stages), bias, initial, sizes), found


def channels(values: Tensor, stage: Stage, nodes: Mapping[str, Node], what: str) -> Tensor:
    """Return a map [channels, height, width] that is the same at each place of a channel as one value per channel."""
    flat = values.double().expand(stage.shape if values.ndim != 1 else values.shape).reshape(stage.shape[0], -1)
    if bool((flat != flat[:, :1]).any()):
        raise ExportError(
            f"The {what} of {place(nodes[stage.name])} differs from place to place within a channel, and a convolution in NIR "
            "has one for each channel (a mean over a padded border does that): take a model whose pools have no padding."
        )
    return flat[:, 0]


def neuron(like: Neuron, initial: Tensor, shape: tuple[int, ...]) -> Neuron:
    """Return neurons of the kind of `like` with threshold 1 and a first potential per channel."""
    kind = ResetToZero if isinstance(like, ResetToZero) else IntegrateAndFire
    spread = initial.float().reshape(-1, *[1] * (len(shape) - 1))
    return kind(torch.ones_like(spread), spread, Relu())
