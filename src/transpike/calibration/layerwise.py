"""Walk a spiking network layer by layer on calibration samples, correcting each layer for what really reaches it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.errors import ArgumentError
from transpike.network import Network, Node
from transpike.network.edit import with_op
from transpike.network.grammar import sequential
from transpike.neurons import EvenFiring, Neuron, TemporalMaxPool
from transpike.ops import Add, Convolution, Identity, Linear
from transpike.parts import Decoder, Op, Stateful

CHUNK = 2**17  # values that a neuron layer is stepped on at once, so that its buffers stay in cache


@dataclass(frozen=True)
class Site:
    """The weighted op before a layer, if its weights serve this layer alone.

    `rates` [n, ...] is its mean input, `residual` [n, ...] what its output lacks for the layer to receive what its ANN
    counterpart receives. `currents(op)` are the currents of the layer with another op in its place.
    """

    name: str
    op: Linear | Convolution
    rates: Tensor
    residual: Callable[[Op], Tensor]
    currents: Callable[[Op], Tensor]


@dataclass(frozen=True)
class Layer:
    """A layer of neurons on calibration samples: what it receives in each step, and what its ANN counterpart does.

    `currents` [time, n, ...]: each of the `time_steps`, or in the sequential schedule their mean alone. `pre_activation`
    and `activation` [n, ...] are the ANN's; `axis` is the axis of the channels in a sample, counted with the batch.
    """

    node: Node
    neuron: Neuron
    currents: Tensor
    pre_activation: Tensor
    activation: Tensor
    axis: int
    time_steps: int
    site: Site | None = None

    def each_step(self, what: str) -> None:
        """Raise ArgumentError if steps are not simulated one by one, which `what` needs."""
        if len(self.currents) != self.time_steps:
            raise ArgumentError(f"{what} needs the concurrent schedule, in which each step is simulated by itself.")

    def with_neuron(self, **changes: Tensor | int | None) -> Layer:
        """Return the layer with other fields of its neuron."""
        return dataclasses.replace(self, neuron=dataclasses.replace(self.neuron, **changes))  # type: ignore[arg-type]

    def with_weights(self, op: Linear | Convolution) -> Layer:
        """Return the layer with another weighted op before it."""
        assert self.site is not None
        site = dataclasses.replace(self.site, op=op)
        return dataclasses.replace(self, site=site, currents=site.currents(op))

    def mean_current(self) -> Tensor:
        """Return the mean input of each neuron over time [n, ...], its bias included."""
        mean = self.currents.mean(0)
        return mean if self.neuron.bias is None else mean + self.neuron.bias.mean(0)

    def first(self, count: int) -> Layer:
        """Return the layer on the first `count` samples."""
        return dataclasses.replace(
            self,
            currents=self.currents[:, :count],
            pre_activation=self.pre_activation[:count],
            activation=self.activation[:count],
        )

    def response(self, neuron: Neuron) -> Tensor:
        """Return what `neuron` sends on average over time [n, ...] in this layer's place."""
        sent = torch.empty_like(self.activation)
        for rows in chunks(self.activation):
            sent[rows] = neuron.mean_sent(self.currents[:, rows], self.time_steps)
        return sent

    @property
    def channels(self) -> int:
        """How many channels the layer has."""
        return self.activation.shape[self.axis] if self.activation.ndim > 1 else 1

    def per_channel(self, value: Tensor) -> Tensor:
        """Return `value` [n, ...] as [channels, everything else]."""
        return value.movedim(self.axis, 0).flatten(1) if value.ndim > 1 else value[None]

    def channel_mean(self, value: Tensor) -> Tensor:
        """Return the mean of `value` [n, ...] or [...] over all but the channels, in float64."""
        axis = self.axis - (self.activation.ndim - value.ndim)
        others = [i for i in range(value.ndim) if i != axis]
        return value.mean(others).double().cpu() if others else value.double().cpu()

    def spread(self, values: Tensor) -> Tensor:
        """Return values [channels] so that they broadcast against one sample, in the layer's dtype."""
        shape = [1] * (self.activation.ndim - 1)
        shape[self.axis - 1] = -1
        return values.to(self.activation.device, self.activation.dtype).reshape(shape)


def chunks(samples: Tensor) -> Iterator[slice]:
    """Yield slices of samples [n, ...] of about CHUNK values each."""
    size = max(1, CHUNK // max(1, samples[0].numel()))
    for start in range(0, len(samples), size):
        yield slice(start, start + size)


def run(op: Stateful, currents: Tensor) -> Tensor:
    """Return what `op` sends in each step [time, n, ...] for `currents` [time, n, ...]."""
    parts = []
    for rows in chunks(currents[0]):
        state = op.start(currents[0, rows], rows.start)
        parts.append(torch.stack([op.step(state, current).clone() for current in currents[:, rows]]))
    return torch.cat(parts, 1)


class Walk:
    """A spiking network on calibration samples, simulated layer by layer beside its ANN."""

    def __init__(self, network: Network, inputs: Sequence[Tensor], time_steps: int, axes: Callable[[Node], int]) -> None:
        self.network = self.original = network
        self.time_steps = time_steps
        self.steps = 1 if sequential(network) else time_steps  # how many steps are simulated one by one
        self.axes = axes
        placed = [tensor.to(network.device) for tensor in inputs]
        self.count = len(placed[0])
        self.static: dict[str, Tensor] = dict(zip(network.inputs, placed, strict=True))
        self.trains: dict[str, Tensor] = {}
        self.means: dict[str, Tensor] = {}
        self.targets: dict[str, Tensor] = {}
        self.leaves = leaves(network)
        self.order = [name for name, found in self.leaves.items() if found == {name}]

    @torch.inference_mode()
    def correct(self, change: Callable[[Layer], Layer]) -> Network:
        """Return the network after `change` has corrected each layer in order, given the corrected ones before it."""
        for position, name in enumerate(self.order):
            node = self.network.nodes[name]
            if isinstance(node.op, Neuron):
                layer = change(self.layer(node, node.op))
                self.network = with_op(self.network, name, layer.neuron)
                if layer.site is not None:
                    self.network = with_op(self.network, layer.site.name, layer.site.op)
                self.trains[name] = self.sent(layer)
                self.targets[name] = layer.activation
                self.means[name] = self.trains[name].mean(0)
            else:
                self.pass_through(node)
            self.forget(self.order[position + 1 :])
        return self.network

    def sent(self, layer: Layer) -> Tensor:
        """Return what a layer sends in each step [time, n, ...], or on average in the sequential schedule."""
        if isinstance(layer.neuron, EvenFiring):
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
        pre_activation = self.value(source, self.original, self.targets, 1)
        return Layer(
            node,
            neuron,
            self.over_time(source, self.network),
            pre_activation,
            neuron.activation(pre_activation),
            self.axes(node),
            self.time_steps,
            self.site(node),
        )

    def pass_through(self, node: Node) -> None:
        """Simulate a source of spikes that is not to be corrected, such as a coded input."""
        assert isinstance(node.op, Stateful)
        source = node.inputs[0]
        self.targets[node.name] = node.op.analogue()(self.value(source, self.original, self.targets, 1))
        self.trains[node.name] = run(node.op, self.over_time(source, self.network))
        self.means[node.name] = self.trains[node.name].mean(0)

    def over_time(self, name: str, network: Network) -> Tensor:
        """Return the value of a node in each step [time, n, ...]."""
        flat = {leaf: train.flatten(0, 1) for leaf, train in self.trains.items()}
        value = self.value(name, network, flat, self.steps)
        return value.unflatten(0, (self.steps, self.count)) if self.temporal(name) else value.expand(self.steps, *value.shape)

    def temporal(self, name: str) -> bool:
        """Whether a node's value changes from step to step."""
        return bool(self.leaves[name])

    def value(self, name: str, network: Network, leaves: Mapping[str, Tensor], times: int) -> Tensor:
        """Return the value of a node [times * n, ...] given those of the stateful nodes before it; static ones are [n, ...]."""
        known = dict(leaves)

        def find(name: str) -> Tensor:
            values = known if self.temporal(name) else self.static
            if name not in values:
                node = network.nodes[name]
                sources = [find(source) for source in node.inputs]
                if self.temporal(name) and times > 1:
                    sources = [
                        x if self.temporal(source) else self.repeated(x, times)
                        for x, source in zip(sources, node.inputs, strict=True)
                    ]
                result = self.applied(node.op, sources, times)
                values[name] = result if self.temporal(name) else result.expand(self.count, *result.shape[1:])
            return values[name]

        return find(name)

    def applied(self, op: Op, sources: list[Tensor], times: int) -> Tensor:
        """Return the value of an op; one that keeps state, such as a max-pool, is stepped, or does what it approaches."""
        if isinstance(op, Stateful) and times > 1:
            return run(op, sources[0].unflatten(0, (times, self.count))).flatten(0, 1)
        result: Tensor = op.analogue()(*sources) if isinstance(op, Stateful) else op(*sources)
        return result

    def repeated(self, x: Tensor, times: int) -> Tensor:
        """Return a static value [n, ...] for each step [times * n, ...]."""
        return x.expand(times, *x.shape).reshape(times * self.count, *x.shape[1:])

    def site(self, node: Node) -> Site | None:
        """Return the weighted op whose weights serve this layer alone, if there is one that reads spikes."""
        found = weighted_before(self.network, node.inputs[0])
        if found is None or not self.temporal(self.network.nodes[found[0]].inputs[0]):
            return None
        name, target = found
        wanted = self.value(target, self.original, self.targets, 1)
        op = self.network.nodes[name].op
        assert isinstance(op, Linear | Convolution)
        rates = self.value(self.network.nodes[name].inputs[0], self.network, self.means, 1)
        return Site(
            name,
            op,
            rates,
            lambda changed: wanted - self.value(target, with_op(self.network, name, changed), self.means, 1),
            lambda changed: self.over_time(node.inputs[0], with_op(self.network, name, changed)),
        )


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
