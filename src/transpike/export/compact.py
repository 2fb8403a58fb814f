"""One node for each path: smaller files, for loaders that add what arrives over several edges."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from transpike.export.kernels import Block, convolution, linear
from transpike.export.stages import Form, Layers, Place, neuron, staged
from transpike.network import Network, Node
from transpike.neurons import Integrator, Neuron
from transpike.ops import Add, AveragePool, Input, Reshape
from transpike.parts import Op
from transpike.simulation.engines.event.linear import Kernel, identity
from transpike.simulation.engines.event.lowering import Lowering, Stage

IMAGE = 2  # axes of a pool


@dataclass(frozen=True)
class Compact:
    """Write each layer once, skips as further edges into the same neurons, and pools of spikes as sums.

    The quotient of a mean goes into the weights behind it. First potentials stand in the metadata of the neurons (`v_init`),
    which NIR does not ask loaders to read. Of the loaders known, only those on nirtorch from 2.6 on add edges correctly.
    `currents` as in `Portable`.
    """

    currents: bool = False
    name: str = field(default="compact", init=False)

    def form(self, network: Network) -> Form:
        """Return the network with one node for each path. Raises ExportError, naming the place, where NIR cannot say it."""
        layers, found = staged(network, Pooling, currents=self.currents)
        assert isinstance(found, Pooling)
        return Writing(layers, found.pools).form()


@dataclass
class Pooling(Lowering):
    """Forms of values in which a pool of spikes is a source of its own."""

    pools: dict[str, str] = field(default_factory=dict)

    def linear(self, name: str) -> None:
        """Find the form of a node; of a pool, right behind what is sent, that of its sum."""
        node = self.network.nodes[name]
        terms = self.terms.get(node.inputs[0], ()) if node.inputs else ()
        if isinstance(node.op, AveragePool) and plain(node.op) and len(terms) == 1 and passes_on(terms[0][1]):
            whole = identity(self.sizes[name])
            count = node.op.divisor or math.prod(node.op.kernel)
            self.pools[name] = terms[0][0]
            self.terms[name] = ((name, Kernel(whole.weight / count, whole.before, whole.after)),)
        else:
            super().linear(name)


def plain(pool: AveragePool) -> bool:
    """Whether a pool has windows of one size on an image."""
    return len(pool.kernel) == IMAGE and not pool.ceil_mode and not any(pool.padding)


def passes_on(kernel: Kernel) -> bool:
    """Whether a kernel hands on what it reads, unchanged."""
    same = kernel.before == kernel.after and kernel.stride == (1, 1) and kernel.offset == (0, 0) and kernel.diagonal
    return same and kernel.weight.shape[1:] == (1, 1) and bool((kernel.weight == 1).all())


class Writing:
    """The nodes written so far, and which of them stands for which of the given network."""

    def __init__(self, layers: Layers, pools: dict[str, str]) -> None:
        self.layers, self.pools = layers, pools
        self.nodes: list[Node] = []
        self.flats: dict[str, str] = {}
        shape = layers.sizes[layers.source]
        self.names = {layers.source: self.write("input", Input(shape), ())}
        self.vectors = {self.names[layers.source]} if len(shape) == 1 else set()  # nodes whose values are no images
        self.places: dict[str, Place] = {}

    def write(self, kind: str, op: Op, inputs: tuple[str, ...]) -> str:
        """Write a node and return its name."""
        name = f"n{len(self.nodes):03d}_{kind}"
        self.nodes.append(Node(name, op, inputs))
        return name

    def form(self) -> Form:
        """Write all stages."""
        for stage in self.layers.stages:
            current = self.current(stage)
            if not isinstance(stage.op, Neuron):
                last = self.write("output", Integrator(), (current,))
                continue
            shape = stage.shape[:1] if vector(stage) else stage.shape
            op = neuron(stage.op, self.layers.initial[stage.name], shape)
            self.names[stage.name] = self.write("if", op, (current,))
            self.vectors |= {self.names[stage.name]} if vector(stage) else set()
            self.places[stage.name] = Place(self.names[stage.name], 0, stage.shape[0])
        key = next(iter(self.layers.prepared.network.outputs))
        network = Network({n.name: n for n in self.nodes}, {key: last}, self.layers.prepared.network.method)
        return Form(network, self.places, self.layers.prepared)

    def current(self, stage: Stage) -> str:
        """Write what reaches a stage, and return the node that gives it."""
        bias, parts, direct = self.layers.bias[stage.name], [], set()
        weighted = [index for index, (_, kernel) in enumerate(stage.terms) if not passes_on(kernel)]
        holder = weighted[0] if weighted else (0 if bool(bias.any()) else None)  # which path has the bias
        for index, (source, kernel) in enumerate(stage.terms):
            given = self.given(source)
            alike = passes_on(kernel) and (given in self.vectors) == vector(stage)
            if alike and index != holder and given not in direct:
                direct.add(given)
                parts.append(given)
            else:
                parts.append(self.path(given, kernel, bias if index == holder else torch.zeros_like(bias), stage))
        total = parts[0]
        for part in parts[1:]:
            total = self.write("sum", Add(), (total, part))
        return total

    def given(self, source: str) -> str:
        """Return the node that gives the value of a source; a pool is written where it is first read."""
        if source not in self.names:
            pool = self.layers.prepared.network.nodes[source].op
            assert isinstance(pool, AveragePool)
            sums = AveragePool(tuple(pool.kernel), tuple(pool.stride), (0, 0), divisor=1)
            self.names[source] = self.write("sumpool", sums, (self.names[self.pools[source]],))
        return self.names[source]

    def path(self, given: str, kernel: Kernel, bias: Tensor, stage: Stage) -> str:
        """Write the weights of one path."""
        before = (kernel.before[1], kernel.before[2])
        after = stage.shape[1], stage.shape[2]
        block, channels = [Block(0, 0, kernel)], kernel.before[0]
        if not vector(stage):
            return self.write("conv", convolution(block, bias, channels, before, after, repr(stage.name)), (given,))
        if given not in self.vectors and given not in self.flats:
            self.flats[given] = self.write("flatten", Reshape((math.prod(kernel.before),)), (given,))
        return self.write("affine", linear(block, bias, channels, before), (self.flats.get(given, given),))


def vector(stage: Stage) -> bool:
    """Whether a stage is written as a fully connected layer."""
    return stage.shape[1:] == (1, 1)
