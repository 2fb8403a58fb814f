"""Ops without a spiking rule, between layers that spike: they act on what the spikes stand for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import ClassVar

import torch

from transpike.calibration import Samples
from transpike.network import Network, Node
from transpike.network.edit import substitute
from transpike.network.grammar import before, before_weights, decoded, linear_here, trait
from transpike.neurons import FunctionOfSignals, MeanFunction
from transpike.ops import DENSE, RECTIFIERS, AdaptiveMaxPool, LeakyRelu, MaxPool, Multiply, Relu
from transpike.parts import Op, Stateful, Trait
from transpike.passes.split_signed import number, two_sided

RULED = (*RECTIFIERS, LeakyRelu, MaxPool, AdaptiveMaxPool)  # what other passes have a spiking rule for
LAYERS = (*DENSE, *RULED)


@dataclass(frozen=True)
class MultiplyMeans:
    """Let products of two signals that weights follow multiply what both stand for; see `MeanFunction`."""

    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        followed = before_weights(network)
        return network.map_ops(lambda n: MeanFunction(n.op) if isinstance(n.op, Multiply) and n.name in followed else n.op)

    def worded(self) -> str:
        """Say in words what products are of."""
        return "products of values"


@dataclass(frozen=True)
class ActOnValues:
    """Let every op without a spiking rule that layers follow act on the values that its inputs stand for.

    Such are norms, attention, gates and smooth activations; `form` says how: on means up to now (`MeanFunction`), on each
    step by itself (`StepFunction`), or on differentially decoded values (`DifferenceFunction`). What no layer follows is the
    read-out, and acts on the decoded answer.
    """

    form: Callable[[Op], FunctionOfSignals] = MeanFunction
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        followed = before(network, *LAYERS)
        return network.map_ops(lambda n: self.form(n.op) if n.name in followed and without_rule(n.op) else n.op)


@dataclass(frozen=True)
class SendActivations:
    """Let each smooth activation that weights read go on as ReLU(y) - ReLU(-y), which neurons can be; one of them is never 0.

    The activation itself stays a function of values. Without a second part where y never is negative, as of a sigmoid.
    """

    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        for node in list(network.nodes.values()):
            if without_rule(node.op) and trait(node.op) is Trait.ACTIVATION and weights_read(network, node.name):
                network = substitute(network, node.name, as_parts(network, node))
        return network


def as_parts(network: Network, node: Node) -> list[Node]:
    """Return the nodes that compute an activation, and from it both of its parts."""
    value = dataclasses.replace(node, name=f"{node.name}.value")
    sent = dataclasses.replace(node, op=Relu(), inputs=(value.name,))
    return [value, sent] if positive(node.op) else [value, *two_sided(network, sent, Relu(), Relu(), number(network, -1.0))]


def positive(op: Op) -> bool:
    """Whether an activation has no negative values between -50 and 50; False if it has parameters, which may differ."""
    return not any(True for _ in op.tensors()) and bool((op(torch.linspace(-50, 50, 10001)) >= 0).all())


def weights_read(network: Network, name: str) -> bool:
    """Whether weights read a node, perhaps through linear ops without weights."""
    readers = [network.nodes[reader] for reader in network.users[name]]
    return any(
        isinstance(reader.op, DENSE) or (trait(reader.op) is Trait.LINEAR and weights_read(network, reader.name))
        for reader in readers
    )


def without_rule(op: Op) -> bool:
    """Whether an op is neither linear nor something that neurons or max-pools in time can take over."""
    return not isinstance(op, (Stateful, *RULED)) and trait(op) in (Trait.ACTIVATION, Trait.COUPLED)


@dataclass(frozen=True)
class ComputeOnce:
    """Compute what never changes once: functions of constant values become the plain ops that they were.

    Of a function of several signals those that never change are given as they are. A product with one of them is linear in
    the other, and acts on its spikes.
    """

    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        if network.previous:
            return network  # all of a loop changes if a part of it does
        moving: set[str] = set()
        for name, node in network.nodes.items():
            own = isinstance(node.op, Stateful) and not isinstance(node.op, FunctionOfSignals)
            if own or not moving.isdisjoint(node.inputs):
                moving.add(name)
        after = decoded(network)
        return network.map_ops(lambda n: n.op if n.name in after else settled(n, moving))


def settled(node: Node, moving: Collection[str]) -> Op:
    """Return the op of a node, given the nodes whose values change over time."""
    if not isinstance(node.op, FunctionOfSignals):
        return node.op
    still = tuple(i for i, source in enumerate(node.inputs) if source not in moving)
    plain = dataclasses.replace(node, op=node.op.op)
    if len(still) == len(node.inputs) or linear_here(plain, moving):
        return node.op.op
    return dataclasses.replace(node.op, held=still)
