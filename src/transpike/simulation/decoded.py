"""A differentially coded network as one of the values that its streams stand for: the same spikes, without the streams."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.codings import BiasOnce, DifferenceInput
from transpike.network import Network, Node
from transpike.network.grammar import temporal_nodes
from transpike.neurons import DifferenceDecoder, DifferenceFunction, DifferenceNeuron
from transpike.neurons.differential import Estimate
from transpike.ops import Affine, Convolution, Identity, Linear
from transpike.parts import Op, Stateful, full_map

READ = (DifferenceNeuron, DifferenceFunction, DifferenceInput, DifferenceDecoder, BiasOnce)  # what has a form on values


class Following(Estimate):
    """What a neuron still owes, and in `total` what its spikes stand for so far, r."""

    def transmitted(self) -> Tensor:
        return self.total * self.steps


@dataclass(frozen=True, eq=False)
class Follower(Stateful):
    """A difference neuron that is given what its input stands for, z[t], and gives what its spikes stand for, r[t].

    m[t] = t (z[t] - r[t-1]);  s[t] as `DifferenceNeuron` says of m[t] and t r[t-1];  r[t] = r[t-1] + s[t] / t;
    v[t] = m[t] - s[t]. These are its equations with v[t] = t (z[t] - r[t]) and C[t] = t r[t], for a first potential of 0.
    """

    keeps: ClassVar[frozenset[str]] = DifferenceNeuron.keeps
    copies: ClassVar[int] = DifferenceNeuron.copies

    neuron: DifferenceNeuron

    def start(self, x: Tensor, first_sample: int = 0, *, blank: bool = False) -> Following:  # noqa: ARG002 - deterministic
        threshold = full_map(self.neuron.threshold, x)
        return Following(torch.empty_like(x), threshold, blank=blank)  # potentials follow from the first step

    def step(self, state: Following, x: Tensor) -> Tensor:
        state.steps += 1
        state.potential.copy_(x).sub_(state.total).mul_(state.steps)
        sent = self.neuron.spikes(state, state.total * state.steps)
        state.potential.sub_(sent)
        return state.total.add_(sent, alpha=1 / state.steps)

    def analogue(self) -> Op:
        return self.neuron.activation


def refusal(network: Network) -> str | None:
    """Return why a network has no such form, as the end of a sentence, or None if it has one."""
    if not network.having(DifferenceNeuron):
        return "no neurons in it are coded differentially"
    if other := [node for node in network.having(Stateful) if not isinstance(node.op, READ) or type(node.op) not in READ]:
        return f"{type(other[0].op).__name__} has no form on values"
    temporal = temporal_nodes(network)
    if any(source in temporal for node in network.having(DifferenceInput) for source in node.inputs):
        return "its input changes over time"
    if any(bool((node.op.initial != 0).any()) for node in network.having(DifferenceNeuron)):  # type: ignore[attr-defined]
        return "its neurons do not start from a potential of 0"
    moving = temporal_nodes(of_values(network))
    return None if moving.issuperset(network.outputs.values()) else "an output of it never changes"


def of_values(network: Network) -> Network:
    """Return the network in which each node gives, at each step, what it stands for by then."""
    biases = {node.inputs[0]: node.op.bias for node in network.having(BiasOnce) if with_bias(network, node)}  # type: ignore[attr-defined]

    def change(node: Node) -> Op:
        if node.name in biases:
            return dataclasses.replace(node.op, bias=biases[node.name].flatten())  # type: ignore[call-arg]
        return Identity() if node.inputs and node.inputs[0] in biases else form(node)

    return network.map_ops(change)


def with_bias(network: Network, node: Node) -> bool:
    """Whether the weights before a bias can take it, one number for each of their outputs."""
    op = network.nodes[node.inputs[0]].op
    if not isinstance(op, Linear | Convolution) or op.bias is not None or network.only_user(node.inputs[0]) is None:
        return False
    return isinstance(node.op, BiasOnce) and node.op.bias.numel() == len(op.weight)


def form(node: Node) -> Op:
    """Return what a node does to values."""
    op = node.op
    if isinstance(op, DifferenceNeuron):
        return Follower(op)
    if isinstance(op, DifferenceInput | DifferenceDecoder):
        return Identity()
    if isinstance(op, BiasOnce):
        return Affine(None, op.bias)
    return op.op if isinstance(op, DifferenceFunction) else op
