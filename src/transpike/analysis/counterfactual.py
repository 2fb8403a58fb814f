"""Networks between ANN and SNN: only clipped, clipped and quantised, the means of a run, a run without one layer's error."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.errors import ConversionError
from transpike.network import Network, Node
from transpike.network.edit import pruned, rebuilt
from transpike.network.grammar import decoded, differential, place, temporal_nodes
from transpike.network.loops import loops
from transpike.neurons import AccumulatedMaxPool, MeanFunction, Neuron
from transpike.ops import Add, Constant, Element
from transpike.parts import Op, Stateful


def heard(op: Op, time_steps: int) -> int:
    """Return in how many of `time_steps` steps a neuron integrates and may fire: what it sends is averaged over those."""
    return op.counted(time_steps) if isinstance(op, Neuron) else time_steps


def evenly(neuron: Neuron, current: Tensor, time_steps: int) -> Tensor:
    """Return what a neuron sends on average if its current [batch, ...] is the same at each of `time_steps` steps.

    Found by stepping the neuron itself, so it holds for every neuron with its initial potential, biases, heights and delay.
    For integrate-and-fire neurons it is threshold/T * clip(floor(z T / threshold + initial), 0, T).
    """
    return neuron.mean_sent(current.expand(time_steps, *current.shape), time_steps)


def encoded(encoder: Stateful, x: Tensor, time_steps: int, first_sample: int) -> Tensor:
    """Return what an encoder sends on average for `x` [batch, ...]; encoders are repeatable, so it is what it sent."""
    state = encoder.start(x, first_sample)
    total = torch.zeros_like(encoder.analogue()(x))
    for _ in range(time_steps):
        total += encoder.step(state, x)
    return total / time_steps


@dataclass(frozen=True, eq=False)
class Clipped(Op):
    """y = min(activation(x), ceiling): the most that a neuron can stand for."""

    activation: Op
    ceiling: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return torch.minimum(self.activation(x), self.ceiling)


@dataclass(frozen=True, eq=False)
class Quantised(Op):
    """What a neuron sends on average within `time_steps` steps of even input x."""

    neuron: Neuron
    time_steps: int

    def __call__(self, x: Tensor) -> Tensor:
        return evenly(self.neuron, x, self.time_steps)


@dataclass(frozen=True, eq=False)
class Measured(Op):
    """What was sent on average in a run, whatever x is."""

    mean: Tensor

    def __call__(self, x: Tensor) -> Tensor:  # noqa: ARG002 - it has been measured
        return self.mean


@dataclass(frozen=True, eq=False)
class Disturbed(Op):
    """y = ideal(x) + error."""

    ideal: Op
    error: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return self.ideal(x) + self.error


def clipped(network: Network) -> Network:
    """Return the ANN whose activations end where the neurons do."""
    return with_neurons(network, lambda neuron: Clipped(neuron.analogue(), neuron.ceiling()))


def quantised(network: Network, time_steps: int) -> Network:
    """Return the ANN whose activations are what the neurons send for even input."""
    return with_neurons(network, lambda neuron: Quantised(neuron, time_steps))


def with_neurons(network: Network, change: Callable[[Neuron], Op]) -> Network:
    """Return the network with an activation in the place of each neuron, and its weights as they are."""
    return network.map_ops(lambda node: change(node.op) if isinstance(node.op, Neuron) else settled(node.op))


def settled(op: Op) -> Op:
    """Return what an op does to means: a stateful one what it approaches, another what it does."""
    return op.analogue() if isinstance(op, Stateful) else op


def measured(network: Network, means: Mapping[str, Tensor]) -> Network:
    """Return the network of a run's means: what follows a node of `means` gets what that node sent on average.

    Means commute with linear ops, so every value is the mean over the run, exactly; that of AccumulatedMaxPool is the
    maximum of its mean inputs, that of MeanFunction their product. Where neurons have a delay it is the mean of the steps
    that they use.
    """
    inside = entries(network)
    result: list[Node] = []
    for node in network.nodes.values():
        if node.name not in means:
            result.append(dataclasses.replace(node, op=settled(node.op)))
        elif node.name in inside:
            result += given(node, means[node.name], inside)
        else:
            result.append(dataclasses.replace(node, op=Measured(means[node.name])))
    return rebuilt(network, result)


def entries(network: Network) -> dict[str, Element]:
    """Return, for each node in a loop, how a sequence enters there."""
    found = loops(network)
    return {name: Element(loop.name, loop.backwards) for loop in found.values() for name in loop.nodes}


def given(node: Node, value: Tensor, inside: Mapping[str, Element], part: str = "") -> list[Node]:
    """Return a node with a known value [batch, ...], of each element [batch, elements, ...] if it stands in a loop."""
    name = node.name + part
    if node.name not in inside:
        return [Node(name, Constant(value), (), node.origin)]
    whole = Node(f"{name}.known", Constant(value), (), node.origin)
    return [whole, Node(name, inside[node.name], (whole.name,), node.origin)]


def without(network: Network, layer: str, means: Mapping[str, Tensor], errors: Mapping[str, Tensor]) -> Network:
    """Return the network of a run's means in which `layer` alone adds no error of its own.

    The layers after it respond to that as the ANN would, and add the errors that they added in the run. Nothing before
    it is computed again.
    """
    later = followers(network, layer)
    inside = entries(network)

    def change(node: Node) -> list[Node]:
        name = node.name
        if name not in means or (name == layer and name in later):
            return [dataclasses.replace(node, op=settled(node.op))]
        if name not in later:
            return given(node, means[name] - errors[name] if name == layer else means[name], inside)
        if name not in inside:
            return [dataclasses.replace(node, op=Disturbed(settled(node.op), errors[name]))]
        ideal = dataclasses.replace(node, name=f"{name}.ideal", op=settled(node.op))
        own = given(node, errors[name], inside, ".own")
        return [ideal, *own, Node(name, Add(), (ideal.name, own[-1].name), node.origin)]

    return pruned(rebuilt(network, [new for node in network.nodes.values() for new in change(node)]))


def followers(network: Network, name: str) -> set[str]:
    """Return the nodes that depend on the node `name`; in a loop that may be itself, at the next element."""
    users = network.users
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = set(users[waiting.pop()]) - found
        found |= new
        waiting += new
    return found


def encoders(network: Network) -> list[str]:
    """Return the stateful nodes that read what never changes, such as Poisson inputs, and are neither neurons nor pools."""
    temporal, after, kinds = temporal_nodes(network), decoded(network), (Neuron, AccumulatedMaxPool, MeanFunction)
    stateful = [node for node in network.having(Stateful) if not isinstance(node.op, kinds) and node.name not in after]
    return [node.name for node in stateful if not temporal.intersection(node.inputs)]


def check_means(network: Network, known: Iterable[str]) -> None:
    """Raise ConversionError for a node whose mean follows neither from its input's nor from what a run counts (`known`).

    Also for a differentially coded network, whose means say nothing.
    """
    if differential(network):
        raise ConversionError(
            "A diagnosis splits the mean of what neurons send, but under differential coding a spike changes the decoded "
            "rate: evaluate without a diagnosis."
        )
    exact = decoded(network).union(known)
    for node in network.having(Stateful):
        if node.name not in exact and not isinstance(node.op, AccumulatedMaxPool | MeanFunction):
            raise ConversionError(
                f"{type(node.op).__name__} {place(node)} keeps no sum of what it sends, so the error that it adds cannot "
                "be told from that of the neurons: convert with another rule for it, or evaluate without a diagnosis."
            )
