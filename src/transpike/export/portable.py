"""One chain of layers: what loaders that know neither sums nor first potentials run correctly."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from transpike.errors import ExportError
from transpike.export.kernels import Block, Pair, convolution, in_phases, linear
from transpike.export.stages import Form, Layers, Place, neuron, staged
from transpike.network import Network, Node
from transpike.neurons import Integrator, Neuron
from transpike.ops import Input, Reshape
from transpike.simulation.engines.event.linear import Kernel
from transpike.simulation.engines.event.lowering import Stage


@dataclass(frozen=True)
class Portable:
    """Write one chain: a dense convolution or a fully connected layer, then neurons of threshold 1, and so on.

    Layers at the same depth become one. Spikes that skip layers are carried by relays: further channels of each layer on their
    way, whose neurons get each spike with the weight 1 and pass it on in the same step. Pools and groups become dense
    weights. First potentials, which NIR has not, enter as spikes: the input has one channel more, which is 1 at the
    first step alone, relays carry it through, and its weights are the first potentials. So a loader needs to know
    convolutions, fully connected layers and integrate-and-fire neurons, nothing else; how these are reset, NIR leaves to it.

    NIR has no rounding, so that of the first current in exact networks is left out, and a few spikes move. With `currents`
    the first layer is computed outside: its rounded current is the stimulus, and every spike is that of the network.
    """

    currents: bool = False
    name: str = field(default="portable", init=False)

    def form(self, network: Network) -> Form:
        """Return the network as one chain. Raises ExportError, naming the place, where it cannot be one."""
        return Chain(staged(network, currents=self.currents)[0]).form()


@dataclass(frozen=True)
class Bundle:
    """Channels in the signal between two layers: spikes of `source`, and the weights over which later stages read them."""

    source: str
    channels: int
    readers: dict[str, Kernel]


class Chain:
    """The layers written so far and what the signal behind the last of them holds."""

    def __init__(self, layers: Layers) -> None:
        self.layers = layers
        self.depth = {layers.source: 0}
        for stage in layers.stages:
            self.depth[stage.name] = 1 + max((self.depth[source] for source, _ in stage.terms), default=0)
        self.start = self.begins = any(bool(first.any()) for first in layers.initial.values())
        shape = layers.sizes[layers.source]
        self.size: Pair = (1, 1) if len(shape) == 1 else (shape[1], shape[2])
        self.flat = len(shape) == 1
        self.bundles = [Bundle(layers.source, shape[0], self.read(layers.source))]
        self.places: dict[str, Place] = {}
        self.nodes: list[Node] = []
        self.write("input", Input((shape[0] + self.start, *shape[1:])))

    def read(self, source: str) -> dict[str, Kernel]:
        """Return who reads the spikes of `source`, over which weights; several paths of one stage are one."""
        readers: dict[str, Kernel] = {}
        for stage in self.layers.stages:
            for index, (name, kernel) in enumerate(stage.terms):
                if name == source:
                    readers[f"{stage.name}\0{index}"] = dataclasses.replace(kernel, weight=kernel.dense())
        return readers

    def write(self, kind: str, op: object) -> str:
        """Write a node behind the last one."""
        name = f"n{len(self.nodes):03d}_{kind}"
        self.nodes.append(Node(name, op, (self.nodes[-1].name,) if self.nodes else ()))  # type: ignore[arg-type]
        return name

    def form(self) -> Form:
        """Write all layers."""
        for depth in range(1, max(self.depth.values()) + 1):
            self.layer([stage for stage in self.layers.stages if self.depth[stage.name] == depth], depth)
        nodes = {node.name: node for node in self.nodes}
        key = next(iter(self.layers.prepared.network.outputs))
        method = self.layers.prepared.network.method
        network = Network(nodes, {key: self.nodes[-1].name}, method)
        return Form(network, self.places, self.layers.prepared, self.begins)

    def layer(self, stages: Sequence[Stage], depth: int) -> None:
        """Write the stages of one depth, with relays for what later ones read."""
        names = " and ".join(repr(stage.name) for stage in stages)
        sizes, kinds = {stage.shape[1:] for stage in stages}, {type(stage.op) for stage in stages}
        if len(sizes) > 1 or len(kinds) > 1:
            raise ExportError(f"{names} stand side by side and differ in size or kind: take Compact().")
        after = sizes.pop()
        step = self.step(stages, after, names)
        relayed = [self.relayed(bundle, step, after, names, depth) for bundle in self.bundles]
        first = sum(stage.shape[0] for stage in stages)
        blocks, bundles, row, column = self.blocks_of(stages), [], first, 0
        for bundle, (kept, kernel) in zip(self.bundles, relayed, strict=True):
            if kept.channels:
                blocks.append(Block(row, column, kernel))
                bundles.append(kept)
                row += kept.channels
            column += bundle.channels
        bias = torch.cat([*(self.layers.bias[stage.name] for stage in stages), torch.zeros(row - first, dtype=torch.float64)])
        initial = [self.layers.initial.get(stage.name) for stage in stages]
        later = any(bool(self.layers.initial[s.name].any()) for s in self.layers.neurons if self.depth[s.name] > depth)
        if self.start:
            firsts = torch.cat([torch.zeros(s.shape[0]) if v is None else v for s, v in zip(stages, initial, strict=True)])
            blocks += self.starting(firsts, row, column, step, after, names, later=later)
            bias = torch.cat([bias, torch.zeros(int(later), dtype=torch.float64)])
        self.weights(blocks, bias, column + self.start, after, names)
        self.fire(stages, len(bias), after)
        self.start = self.start and later
        self.bundles = [Bundle(s.name, s.shape[0], self.read(s.name)) for s in stages if isinstance(s.op, Neuron)] + bundles

    def step(self, stages: Sequence[Stage], after: Pair, names: str) -> Pair:
        """Return how many places the layer moves on for one of its own; all, where it is fully connected."""
        if after == (1, 1):
            return self.size
        kernels = [kernel for stage in stages for bundle in self.bundles for kernel in wanted(bundle, stage.name)]
        strides = {kernel.stride for kernel in kernels}
        if len(strides) != 1:
            raise ExportError(f"The paths to {names} have strides {sorted(strides)}, and one layer has one: take Compact().")
        return strides.pop()

    def blocks_of(self, stages: Sequence[Stage]) -> list[Block]:
        """Return the weights of the stages themselves."""
        row, blocks = 0, []
        for stage in stages:
            column = 0
            for bundle in self.bundles:
                blocks += [Block(row, column, kernel) for kernel in wanted(bundle, stage.name)]
                column += bundle.channels
            row += stage.shape[0]
        return blocks

    def relayed(self, bundle: Bundle, step: Pair, after: Pair, names: str, depth: int) -> tuple[Bundle, Kernel]:
        """Return what is left of a bundle behind the layer, and the weights, 0 and 1, of its relays."""
        later = {key: kernel for key, kernel in bundle.readers.items() if self.depth[key.split("\0")[0]] > depth}
        if later and bundle.source == self.layers.source:
            raise ExportError(f"The input skips {names}, and relays carry spikes, no values: take Compact().")
        cut = {key: in_phases(kernel, step, after, key.split("\0")[0]) for key, kernel in later.items()}
        needed = torch.zeros(bundle.channels * step[0] * step[1], dtype=torch.bool)
        for kernel in cut.values():
            needed |= kernel.weight.ne(0).any(0).flatten(1).any(1)
        picks = needed.nonzero().flatten()
        weight = torch.eye(len(needed), dtype=torch.float64)[picks].reshape(len(picks), bundle.channels, *step)
        before = (bundle.channels, *self.size)
        kernel = Kernel(weight, before, (len(picks), *after), step, (0, 0))
        left = {key: dataclasses.replace(k, weight=k.weight[:, picks], before=(len(picks), *after)) for key, k in cut.items()}
        return Bundle(bundle.source, len(picks), left), kernel

    def starting(
        self, firsts: Tensor, row: int, column: int, step: Pair, after: Pair, names: str, *, later: bool
    ) -> list[Block]:
        """Return the weights of the start channel: the first potentials, and 1 for its relay."""
        if any((after[axis] - 1) * step[axis] >= self.size[axis] for axis in (0, 1)):
            raise ExportError(f"{names} is larger than what it reads, which the start channel does not cover: take Compact().")
        before = (1, *self.size)
        weights = Kernel(firsts.double().reshape(-1, 1, 1, 1), before, (len(firsts), *after), step)
        relay = Kernel(torch.ones(1, 1, 1, 1, dtype=torch.float64), before, (1, *after), step)
        return [Block(0, column, weights), *[Block(row, column, relay)] * later]

    def weights(self, blocks: list[Block], bias: Tensor, channels: int, after: Pair, names: str) -> None:
        """Write the weights of a layer."""
        if after != (1, 1):
            self.write("conv", convolution(blocks, bias, channels, self.size, after, names))
        else:
            if not self.flat:
                self.write("flatten", Reshape((channels * self.size[0] * self.size[1],)))
            self.write("affine", linear(blocks, bias, channels, self.size))
            self.flat = True
        self.size = after

    def fire(self, stages: Sequence[Stage], channels: int, after: Pair) -> None:
        """Write the neurons of a layer, or the read-out."""
        op = stages[0].op
        if not isinstance(op, Neuron):
            self.write("output", Integrator())
            return
        shape = (channels,) if self.flat else (channels, *after)
        name = self.write("if", neuron(op, torch.zeros(channels), shape))
        starts = itertools.accumulate((stage.shape[0] for stage in stages), initial=0)
        for stage, start in zip(stages, starts, strict=False):
            self.places[stage.name] = Place(name, start, stage.shape[0])


def wanted(bundle: Bundle, name: str) -> list[Kernel]:
    """Return the weights over which a stage reads a bundle."""
    return [kernel for key, kernel in bundle.readers.items() if key.split("\0")[0] == name]
