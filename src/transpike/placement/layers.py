"""What has to be placed on a chip: layers of neurons, and over which ops spikes reach them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.analysis.connections import WITH_WEIGHTS, axis_pattern, fan_outs, pattern, spatial_axes
from transpike.codings import InputCode
from transpike.network import Network, Node, shapes
from transpike.neurons import Neuron
from transpike.ops import AdaptiveAveragePool, AdaptiveMaxPool, AveragePool, Input, MaxPool, Mean, Upsample
from transpike.parts import Decoder, Op, Stateful

POOLS = (AveragePool, AdaptiveAveragePool, MaxPool, AdaptiveMaxPool)
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Path:
    """A way from a sender (a layer, or an input) to a layer, over `nodes` in the order in which spikes pass them."""

    sender: str
    nodes: tuple[Node, ...] = ()

    @property
    def weighted(self) -> tuple[Node, ...]:
        """The nodes with weights on the way."""
        return tuple(node for node in self.nodes if isinstance(node.op, WITH_WEIGHTS))


@dataclass(frozen=True)
class Layer:
    """Neurons, or the read-out of an output, which a chip needs neurons for too.

    `units` are values that are sent, `neurons` counts those that stand for one value together. `fan_in` is the most
    connections that reach one of them, over all paths; `weights` the weights that are stored, each once.
    """

    node: Node
    shape: Shape
    paths: tuple[Path, ...]
    fan_in: int
    fan_out: int
    synapses: int
    weights: int
    readout: bool

    @property
    def name(self) -> str:
        """The name of the node."""
        return self.node.name

    @property
    def units(self) -> int:
        """The number of values."""
        return math.prod(self.shape)

    @property
    def neurons(self) -> int:
        """The number of neurons."""
        return self.units * (self.node.op.members if isinstance(self.node.op, Neuron) else 1)

    @property
    def image(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        return image(self.shape)


@dataclass(frozen=True)
class Demand:
    """All layers of a network in order, the shapes of its values, and the inputs: as numbers, or already as spikes."""

    network: Network
    layers: tuple[Layer, ...]
    sizes: dict[str, Shape]
    inputs: tuple[str, ...]
    analogue_inputs: tuple[str, ...]

    @property
    def hidden(self) -> tuple[Layer, ...]:
        """The layers that are no read-out."""
        return tuple(layer for layer in self.layers if not layer.readout)

    def units(self, sender: str) -> int:
        """Return how many values a sender has."""
        return math.prod(self.sizes[sender])

    def readers(self, sender: str) -> tuple[Layer, ...]:
        """Return the layers that the spikes of a sender reach."""
        return tuple(layer for layer in self.layers if any(path.sender == sender for path in layer.paths))


def image(shape: Shape) -> tuple[int, int, int]:
    """Return channels, height and width of a shape; a signal has height 1, a vector one place.

    >>> image((16, 8, 8)), image((16, 8)), image((10,))
    ((16, 8, 8), (16, 1, 8), (10, 1, 1))
    """
    channels, *sides = shape or (1,)
    if len(sides) > 2:  # noqa: PLR2004 - of volumes two axes count as one
        sides = [math.prod(sides[:-1]), sides[-1]]
    height, width = [1] * (2 - len(sides)) + sides
    return channels, height, width


def demand(network: Network) -> Demand:
    """Return what a spiking network without loops needs of a chip."""
    sizes, counts = shapes(network), arriving(network)
    reach = fan_outs(network)
    ways: dict[str, tuple[Path, ...]] = {}
    layers: list[Layer] = []
    for name, node in network.nodes.items():
        before = tuple(dict.fromkeys(path for source in node.inputs for path in ways[source]))
        if isinstance(node.op, Input | InputCode):
            ways[name] = (Path(name),)
        elif isinstance(node.op, Neuron) or (isinstance(node.op, Decoder) and any(path.weighted for path in before)):
            layers.append(layer_of(node, sizes[name], before, counts[node.inputs[0]], reach))
            ways[name] = (Path(name),)
        else:
            ways[name] = tuple(Path(path.sender, (*path.nodes, node)) for path in before)
    inputs = tuple(dict.fromkeys(p.sender for one in layers for p in one.paths if p.sender not in {x.name for x in layers}))
    analogue = tuple(name for name in inputs if isinstance(network.nodes[name].op, Input))
    return Demand(network, tuple(layers), sizes, inputs, analogue)


def layer_of(node: Node, shape: Shape, paths: tuple[Path, ...], counts: Tensor, reach: dict[str, Tensor]) -> Layer:
    """Return one layer."""
    weighted = {one.name: one.op for path in paths for one in path.weighted}
    out = reach.get(node.name)
    return Layer(
        node,
        shape,
        paths,
        int(counts.max()),
        0 if out is None else int(out.max()),
        int(counts.sum()),
        sum(int((op.weight != 0).sum()) for op in weighted.values() if isinstance(op, WITH_WEIGHTS)),
        isinstance(node.op, Decoder),
    )


def arriving(network: Network) -> dict[str, Tensor]:
    """Return over how many connections each element of each value [*shape] is reached by its senders.

    A connection is a path of weights that are not zero from one value that is sent; windows that overlap count twice what
    both reach.
    """
    sizes = shapes(network)
    found: dict[str, Tensor] = {}
    for name, node in network.nodes.items():
        if not node.inputs:
            found[name] = torch.full(sizes[name], float(isinstance(node.op, Input)), dtype=torch.float64)
        elif isinstance(node.op, Neuron | InputCode | Decoder):
            found[name] = torch.ones(sizes[name], dtype=torch.float64)
        else:
            found[name] = gathered(node.op, [found[source] for source in node.inputs], sizes[name])
    return found


def gathered(op: Op, counts: list[Tensor], output: Shape) -> Tensor:
    """Return how many connections reach each output of an op, given how many reach each of its inputs."""
    if isinstance(op, Stateful):
        op = op.analogue()
    if isinstance(op, (*POOLS, Upsample)):
        result, source = counts[0], tuple(counts[0].shape)
        first = len(source) - spatial_axes(op, source)
        for axis in range(first, len(source)):
            matrix = axis_pattern(op, axis - first, source[axis], output[axis])
            result = torch.tensordot(result, matrix, dims=([axis], [1])).movedim(-1, axis)
        return result
    if isinstance(op, Mean):
        return counts[0][None].sum(op.axes, keepdim=op.keepdim)[0]
    ready = pattern(op).map_tensors(lambda tensor: tensor.double().cpu() if tensor.is_floating_point() else tensor.cpu())
    with torch.inference_mode():
        return ready(*[one[None] for one in counts])[0].expand(output)
