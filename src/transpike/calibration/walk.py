"""Walk a spiking network layer by layer on calibration samples, correcting each layer for what really reaches it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

import torch
from torch import Tensor

from transpike.calibration.layer import Layer, Site, prefix_means, run
from transpike.network import Network, Node
from transpike.network.edit import with_op
from transpike.network.turns import sequential
from transpike.neurons import Neuron, TemporalMaxPool, Windowed
from transpike.ops import Add, Convolution, Identity, Linear
from transpike.parts import Decoder, Op, Stateful
from transpike.simulation.memory import keep_freed_memory
from transpike.simulation.playing import room
from transpike.simulation.stepper import channels_last

CHUNK = 2**20  # values of a layer that are computed at once over all steps, so that they stay in cache


class Walk:
    """A spiking network on calibration samples, simulated layer by layer beside its ANN."""

    def __init__(
        self,
        network: Network,
        inputs: Sequence[Tensor],
        time_steps: int,
        axes: Mapping[str, int],
        ends: tuple[int, ...] = (),
        emphasis: float = 0.0,
    ) -> None:
        self.network = network
        self.original = network.map_ops(lambda node: node.op if isinstance(node.op, Stateful) else node.op.analogue())
        self.time_steps = time_steps
        self.steps = 1 if sequential(network) else time_steps  # how many steps are simulated one by one
        self.ends = () if sequential(network) else ends
        self.emphasis = emphasis
        self.axes = axes
        placed = [channels_last(tensor.to(network.device)) for tensor in inputs]
        self.count = len(placed[0])
        self.static: dict[str, Tensor] = dict(zip(network.inputs, placed, strict=True))
        self.exact = dict(self.static)  # the ANN's, whose weights may be others
        self.trains: dict[str, Tensor] = {}
        self.means: dict[str, Tensor] = {}
        self.targets: dict[str, Tensor] = {}
        self.leaves = leaves(network)
        self.order = [name for name, found in self.leaves.items() if found == {name}]

    @torch.inference_mode()
    def correct(self, change: Callable[[Layer], Layer], advance: Callable[[int], None]) -> Network:
        """Return the network after `change` has corrected each layer in order, given the corrected ones before it.

        `advance` is called with 1 for each layer of neurons.
        """
        keep_freed_memory()
        for position, name in enumerate(self.order):
            node = self.network.nodes[name]
            if isinstance(node.op, Neuron):
                layer = change(self.layer(node, node.op))
                self.network = with_op(self.network, name, layer.neuron)
                if layer.site is not None:
                    self.network = with_op(self.network, layer.site.name, layer.site.op)
                self.trains[name] = self.sent(layer)
                self.targets[name] = layer.activation[: self.count]
                counted = layer.neuron.counted(self.steps) / self.steps
                self.means[name] = prefix_means(self.trains[name], self.ends) / counted
                advance(1)
            else:
                self.pass_through(node)
            self.forget(self.order[position + 1 :])
        return self.network

    def sent(self, layer: Layer) -> Tensor:
        """Return what a layer sends in each step [time, n, ...], or on average in the sequential schedule."""
        if isinstance(layer.neuron, Windowed):
            return layer.response(layer.neuron)[None]
        return run(layer.neuron, layer.currents)

    def forget(self, later: Sequence[str]) -> None:
        """Drop what none of the `later` nodes reads."""
        needed = {leaf for name in later for leaf in self.leaves[self.network.nodes[name].inputs[0]]}
        for values in (self.trains, self.means, self.targets):
            for done in [leaf for leaf in values if leaf not in needed]:
                del values[done]

    def layer(self, node: Node, neuron: Neuron) -> Layer:
        """Return what a layer of neurons receives."""
        source = node.inputs[0]
        pre_activation = self.each_end(self.value(source, self.original, self.targets, 1))
        return Layer(
            node,
            neuron,
            cache(partial(self.over_time, source, self.network)),
            pre_activation,
            neuron.activation(pre_activation),
            self.axes[node.name],
            self.time_steps,
            self.site(node, pre_activation),
            self.ends,
            self.emphasis,
        )

    def each_end(self, value: Tensor) -> Tensor:
        """Return a value of the ANN [samples, ...] once for each end."""
        return value.repeat(len(self.ends), *[1] * (value.ndim - 1)) if self.ends else value

    def pass_through(self, node: Node) -> None:
        """Simulate a source of spikes that is not to be corrected, such as a coded input."""
        assert isinstance(node.op, Stateful)
        source = node.inputs[0]
        self.targets[node.name] = node.op.analogue()(self.value(source, self.original, self.targets, 1))
        self.trains[node.name] = run(node.op, self.over_time(source, self.network))
        self.means[node.name] = prefix_means(self.trains[node.name], self.ends)

    def over_time(self, name: str, network: Network) -> Tensor:
        """Return the value of a node in each step [time, n, ...]."""
        if not self.temporal(name):
            value = self.value(name, network, {}, 1)
            return value.expand(self.steps, *value.shape)
        widest = max(train[0, 0].numel() for train in self.trains.values())
        size = max(1, CHUNK // (widest * self.steps))
        whole: Tensor | None = None
        for start in range(0, self.count, size):
            rows = slice(start, min(start + size, self.count))
            flat = {leaf: train[:, rows].flatten(0, 1) for leaf, train in self.trains.items()}
            value = self.value(name, network, flat, self.steps, rows=rows, stepped=self.steps > 1)
            if whole is None:
                whole = room(value[:1].expand(self.count, *value.shape[1:]), self.steps)
            whole[:, rows] = value.unflatten(0, (self.steps, -1))
        assert whole is not None
        return whole

    def temporal(self, name: str) -> bool:
        """Whether a node's value changes from step to step."""
        return bool(self.leaves[name])

    def mean(self, name: str, network: Network) -> Tensor:
        """Return the value of a node that is linear in the means of the spikes before it [n, ...], at each of the ends."""
        return self.value(name, network, self.means, max(1, len(self.ends)))

    def value(
        self,
        name: str,
        network: Network,
        leaves: Mapping[str, Tensor],
        times: int,
        *,
        rows: slice = slice(None),
        stepped: bool = False,
    ) -> Tensor:
        """Return the value of a node [times * n, ...] given those of the stateful nodes before it; static ones are [n, ...].

        `rows` are the samples that the given values belong to. Ops that keep state, such as a max-pool, are stepped over
        `times`, or do what they approach.
        """
        known = dict(leaves)

        def find(name: str) -> Tensor:
            if not self.temporal(name):
                return self.constant(name, network)[rows]
            if name not in known:
                node = network.nodes[name]
                sources = [find(source) if self.temporal(source) else repeated(find(source), times) for source in node.inputs]
                known[name] = applied(node.op, sources, times if stepped else 0)
            return known[name]

        return find(name)

    def constant(self, name: str, network: Network) -> Tensor:
        """Return the value [samples, ...] of a node that no spikes reach, in the spiking network or in the ANN."""
        known = self.exact if network is self.original else self.static
        if name not in known:
            node = network.nodes[name]
            result = applied(node.op, [self.constant(source, network) for source in node.inputs], 0)
            known[name] = result.expand(self.count, *result.shape[1:])
        return known[name]

    def site(self, node: Node, pre_activation: Tensor) -> Site | None:
        """Return the weighted op whose weights serve this layer alone, if there is one that reads spikes."""
        found = weighted_before(self.network, node.inputs[0])
        if found is None or not self.temporal(self.network.nodes[found[0]].inputs[0]):
            return None
        name, target = found
        same = target == node.inputs[0]
        wanted = pre_activation if same else self.each_end(self.value(target, self.original, self.targets, 1))
        op = self.network.nodes[name].op
        assert isinstance(op, Linear | Convolution)
        rates = self.mean(self.network.nodes[name].inputs[0], self.network)
        return Site(
            name,
            op,
            rates,
            wanted,
            lambda changed: wanted - self.mean(target, with_op(self.network, name, changed)),
            lambda changed: self.over_time(node.inputs[0], with_op(self.network, name, changed)),
        )


def applied(op: Op, sources: list[Tensor], steps: int) -> Tensor:
    """Return the value of an op; one that keeps state is stepped if `steps` are given."""
    if isinstance(op, Stateful) and steps:
        return run(op, sources[0].unflatten(0, (steps, -1))).flatten(0, 1)
    result: Tensor = op.analogue()(*sources) if isinstance(op, Stateful) else op(*sources)
    return result


def repeated(x: Tensor, times: int) -> Tensor:
    """Return a static value [n, ...] for each step [times * n, ...]."""
    return x.expand(times, *x.shape).flatten(0, 1) if times > 1 else x


def leaves(network: Network) -> dict[str, frozenset[str]]:
    """Return, for each node, the sources of spikes that its value follows from: itself, or the nearest before it.

    Sources are neurons and coded inputs; max-pools pass on the spikes of others.
    """
    found: dict[str, frozenset[str]] = {}
    for name, node in network.nodes.items():
        before: frozenset[str] = frozenset().union(*(found[source] for source in node.inputs))
        coded = isinstance(node.op, Stateful) and not before and not isinstance(node.op, Decoder)
        found[name] = frozenset({name}) if coded or isinstance(node.op, Neuron) else before
    return found


def weighted_before(network: Network, name: str) -> tuple[str, str] | None:
    """Return (weighted op, node at which its output is compared), walking back from `name` through sums and max-pools.

    The op must feed nothing else: a change of its weights then changes this layer alone.
    """
    compared = name

    def search(current: str) -> str | None:
        nonlocal compared
        node = network.nodes[current]
        if network.only_user(current) is None:
            return None
        if isinstance(node.op, Linear | Convolution):
            return current
        if isinstance(node.op, TemporalMaxPool):
            compared = node.inputs[0]
            return search(node.inputs[0])
        if isinstance(node.op, Add | Identity):
            return next((found for source in node.inputs if (found := search(source)) is not None), None)
        return None

    found = search(name)
    return None if found is None else (found, compared)
