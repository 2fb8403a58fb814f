"""Move thresholds into the weights: the form in which conversions were first published."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.calibration import Samples
from transpike.network import Network, Node, shapes
from transpike.network.edit import rebuilt
from transpike.network.grammar import decoded, need_no_loops
from transpike.neurons import Neuron, TemporalMaxPool
from transpike.ops import Add, Affine, Input, Relu, Rescaled
from transpike.parts import Op, Stateful
from transpike.passes.fold_batch_norm import Weighted
from transpike.passes.scales import (
    MIXES,
    by_row,
    channel_axis_of,
    compact,
    constant_over,
    ones,
    passed_on,
    rescaled,
    widened,
)


@dataclass(frozen=True)
class NormaliseWeights:
    """Give every neuron the threshold 1 and spikes of height 1, by moving the thresholds into the weights.

    W' = W lambda_in / lambda_out, b' = b / lambda_out, where lambda are the thresholds of the layers before and behind;
    lambda_in of the first layer is the largest magnitude of its inputs in the samples, lambda_out of an output 1, so that the
    answer keeps its units. Where spikes have another height than the threshold, that height takes the place of lambda_in behind
    them; a table of heights stays, divided by the threshold, as do bias currents. Where a threshold meets no
    weights, as on the identity shortcut of a residual block, a scale lambda_in / lambda_out stays: the 1x1 shortcut of Hu et
    al. The network is the same: equal spike for spike, up to rounding.
    Source: Diehl et al. 2015; Rueckauer et al. 2017; Kim et al. 2020 (channels); Hu et al. 2018 (residual blocks).
    """

    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:
        need_no_loops(network, "moves thresholds into the weights")
        rewriting = Rewriting(network)
        read_out, largest = decoded(network), largest_inputs(network, samples)
        for node in network.nodes.values():
            if isinstance(node.op, Input):
                rewriting.enter(node, largest.get(node.name, 1.0))
            elif node.name in read_out and not isinstance(node.op, Stateful):
                rewriting.keep(node)
            else:
                rewriting.rewrite(node)
        return rebuilt(network, rewriting.nodes)


def largest_inputs(network: Network, samples: Samples) -> dict[str, float]:
    """Return the largest magnitude of each input over the samples, where there are any and it is positive."""
    peaks: dict[str, float] = {}
    for batch in samples:
        for name, x in zip(network.inputs, batch.inputs, strict=True):
            peaks[name] = max(peaks.get(name, 0.0), float(x.abs().max()) if x.numel() else 0.0)
    return {name: peak for name, peak in peaks.items() if peak > 0}


def wishes(network: Network, sizes: dict[str, tuple[int, ...]]) -> dict[str, Tensor | None]:
    """Return the scale in which all readers of a node want its value: the threshold that comes next, or None."""
    found: dict[str, Tensor | None] = {}
    users = network.users
    for name in reversed(list(network.nodes)):
        wanted = [wish(network.nodes[user], sizes, name, found[user]) for user in users[name]]
        first = wanted[0] if wanted else None
        agreed = first is not None and all(other is not None and torch.equal(first, other) for other in wanted)
        found[name] = first if agreed else None
    return found


def wish(reader: Node, sizes: dict[str, tuple[int, ...]], name: str, beyond: Tensor | None) -> Tensor | None:
    """Return the scale in which one reader wants the value of the node `name`, given what is wanted of the reader."""
    op, size = reader.op, sizes[name]
    if isinstance(op, Neuron):
        return op.threshold.double().expand(1, *size)
    if beyond is None:
        return None
    if isinstance(op, Add):
        return beyond if size == sizes[reader.name] else None
    if isinstance(op, (*MIXES, TemporalMaxPool)):
        return widened(beyond, size) if constant_over(beyond, range(2, beyond.ndim)) else None
    return None


class Rewriting:
    """The nodes written so far, and in which scale each gives the value of the node that it stands for."""

    def __init__(self, network: Network) -> None:
        self.sizes = shapes(network)
        self.wishes = wishes(network, self.sizes)
        self.dtype = network.dtype
        self.taken = set(network.nodes)
        self.nodes: list[Node] = []
        self.forms: dict[str, list[tuple[Tensor, str]]] = {}  # of each node: scales, and who gives it in that scale
        self.users = {name: [network.nodes[user] for user in users] for name, users in network.users.items()}

    def keep(self, node: Node) -> None:
        """Write a node as it is; what it reads is in its own units."""
        self.write(node, node.op, [self.read(source, ones(self.sizes[source])) for source in node.inputs])

    def write(self, node: Node, op: Op, inputs: list[str], scale: Tensor | None = None) -> None:
        """Write a node that gives its value in `scale` (default: its own units)."""
        self.nodes.append(Node(node.name, op, tuple(inputs), node.origin))
        self.forms[node.name] = [(ones(self.sizes[node.name]) if scale is None else scale, node.name)]

    def enter(self, node: Node, largest: float) -> None:
        """Write an input, divided by its largest magnitude."""
        self.write(node, node.op, [])
        coded = any(isinstance(user.op, Stateful) or user.name == f"{node.name}.normalised" for user in self.users[node.name])
        if largest != 1 and not coded:
            name = self.fresh(f"{node.name}.normalised")
            self.nodes.append(Node(name, Affine(torch.tensor(1 / largest, dtype=self.dtype)), (node.name,), node.origin))
            self.forms[node.name] = [(ones(self.sizes[node.name]) * largest, name)]

    def rewrite(self, node: Node) -> None:
        """Write a node in the scale that its readers want, if it can give it; else in the scale that comes out of it."""
        op, sources, wanted = node.op, list(node.inputs), self.wishes[node.name]
        scales = [self.forms[source][0][0] for source in sources]
        if isinstance(op, Neuron):
            threshold = op.threshold.double().expand(1, *self.sizes[node.name])
            height = one_height(op)
            sent = threshold if height is None else height.double().expand(1, *self.sizes[node.name])
            self.write(node, normalised(op), [self.read(sources[0], threshold)], sent)
        elif isinstance(op, Weighted):
            self.weighted(node, op, wanted)
        elif isinstance(op, Affine):
            into, out = scales[0], ones(self.sizes[node.name]) if wanted is None else wanted
            same = torch.equal(into.expand_as(out), out) and op.shift is None
            self.write(node, op if same else cast(rescaled(op, into, out), self.dtype), [self.forms[sources[0]][0][1]], out)
        elif isinstance(op, Add):
            self.added(node, scales, wanted)
        else:
            pool = op.pool if isinstance(op, TemporalMaxPool) else op
            scale = passed_on(pool, scales, self.sizes[node.name]) if sources else None
            if scale is None:
                self.keep(node)
            else:
                self.write(node, op, [self.forms[source][0][1] for source in sources], scale)

    def weighted(self, node: Node, op: Weighted, wanted: Tensor | None) -> None:
        """Fold the scales before and behind an op with weights into it, where they belong to its channels."""
        into, source = self.forms[node.inputs[0]][0]
        rows = by_row(into, channel_axis_of(op, into))
        if rows is None:
            into = ones(self.sizes[node.inputs[0]])
            source, rows = self.read(node.inputs[0], into), by_row(into, channel_axis_of(op, into))
        out = ones(self.sizes[node.name]) if wanted is None else wanted
        columns = by_row(out, channel_axis_of(op, out))
        if columns is None:
            out = ones(self.sizes[node.name])
            columns = by_row(out, channel_axis_of(op, out))
        assert rows is not None
        assert columns is not None
        self.write(node, rescaled(op, rows, columns), [source], out)

    def added(self, node: Node, scales: list[Tensor], wanted: Tensor | None) -> None:
        """Bring both terms of a sum to one scale: the wanted one, or the one that they share."""
        size = self.sizes[node.name]
        shared = scales[0] if torch.equal(*scales) else None
        scale = shared if wanted is None else wanted
        if scale is None or any(self.sizes[source] != size for source in node.inputs):
            self.keep(node)
        else:
            self.write(node, node.op, [self.read(source, scale) for source in node.inputs], scale)

    def read(self, source: str, scale: Tensor) -> str:
        """Return the node that gives the value of `source` in `scale`, written anew if there is none yet."""
        for known, name in self.forms[source]:
            if torch.equal(known, scale):
                return name
        (known, given), *_ = self.forms[source]
        name = self.fresh(f"{source}.rescaled")
        origin = next(node.origin for node in self.nodes if node.name == given)
        self.nodes.append(Node(name, Affine(compact(known / scale).to(self.dtype)), (given,), origin))
        self.forms[source].append((scale, name))
        return name

    def fresh(self, name: str) -> str:
        """Return a name that no node has yet."""
        number, free = 2, name
        while free in self.taken:
            free, number = f"{name}{number}", number + 1
        self.taken.add(free)
        return free


def cast(op: Op, dtype: torch.dtype) -> Op:
    """Return an op with its tensors in `dtype`."""
    return op.map_tensors(lambda tensor: tensor.to(dtype))


def one_height(neuron: Neuron) -> Tensor | None:
    """Return what a spike is worth if that is positive, the same at each step, and not the threshold; None otherwise."""
    table = neuron.height
    return table[0] if table is not None and len(table) == 1 and bool((table > 0).all()) else None


def normalised(neuron: Neuron) -> Neuron:
    """Return a neuron with threshold 1 for currents divided by its threshold; it sends what it sent, divided by a spike."""
    unit, height = neuron.threshold, one_height(neuron)
    if height is None and bool((unit == 1).all()):
        return neuron
    table = None if neuron.height is None or height is not None else neuron.height / unit
    plain = height is None and isinstance(neuron.activation, Relu)
    return dataclasses.replace(
        neuron,
        threshold=torch.ones_like(unit),
        height=table,
        bias=None if neuron.bias is None else neuron.bias / unit,
        activation=neuron.activation if plain else Rescaled(neuron.activation, unit, height),
    )
