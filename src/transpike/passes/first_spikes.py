"""What a code by first spikes needs beside its neurons: pulses, and announcements of missing inputs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.calibration import Samples
from transpike.errors import ArgumentError, ConversionError
from transpike.network import Network, Node
from transpike.network.edit import follow, rebuilt
from transpike.network.grammar import place
from transpike.neurons import Announcement, FirstSpike, PatientFirstSpike, Pulse, StepMaxPool, TemporalMaxPool
from transpike.ops import Add, Affine, Convolution, Linear, TransposedConvolution
from transpike.parts import Op, Stateful


@dataclass(frozen=True)
class HoldPulses:
    """Let the spikes of first-spike neurons start currents that last, see `neurons.Pulse`."""

    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        for node in network.having(FirstSpike):
            network = follow(network, node.name, Node(f"{node.name}.pulse", Pulse(), (node.name,), node.origin))
        return network


@dataclass(frozen=True)
class AnnounceSpikes:
    """Tell the receivers of patient first-spike neurons which inputs are announced and missing: sum over |weights|.

    The announcements travel over copies of the linear ops with the magnitudes of their weights and without biases, `share` of
    each. With share 1, as published, thresholds rise by all that might come; less lets neurons in deep networks fire in time.
    With `inhibitory` they rise by sum over max(-weight, 0): one that adds to the charge makes no spike come too early. Of a
    chain of linear ops with weights V and W the negative part is that of max(W, 0) max(-V, 0) + max(-W, 0) max(V, 0). A
    neuron announces once it has collected the part `least` of the charge that it fires at. One that is missing at t then is on
    course for a value from `least` to 1 times height resolution / t, which changes the charge of its receivers by
    |weight| height resolution times as much by t: (1 + least) / 2 of it on average, which is the share to take. Raises
    ArgumentError, and ConversionError for joins of announced and constant signals.
    Source: Rueckauer and Liu 2018 (TTFS with dynamic thresholds); the negative part and the share: this project.
    """

    share: float = 1.0
    inhibitory: bool = False
    least: float = 0.0
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __post_init__(self) -> None:
        if not self.share > 0:
            raise ArgumentError(f"share must be a positive number, not {self.share!r}.")
        if not 0 <= self.least < 1:
            raise ArgumentError(f"least must be a part of the charge from 0 to below 1, not {self.least!r}.")

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        copying = Copies(network, self)
        for node in network.nodes.values():
            copying.take(node)
        return rebuilt(network, copying.nodes)


class Copies:
    """A network on the way to its announcements: the nodes so far, and the node that carries what is missing of each.

    What is missing is of a sign: 1 for what would add to a value, -1 for what would take from it, 0 for both together.
    """

    def __init__(self, network: Network, settings: AnnounceSpikes) -> None:
        self.network = network
        self.settings = settings
        self.nodes: list[Node] = []
        self.found: dict[tuple[str, int], str | None] = {}

    def take(self, node: Node) -> None:
        """Take over a node; patient neurons with copies of what lies before them, for announcements to travel."""
        if not isinstance(node.op, PatientFirstSpike):
            self.nodes.append(node)
            return
        (current,) = node.inputs
        missing = self.missing(current, -1 if self.settings.inhibitory else 0)
        self.nodes.append(dataclasses.replace(node, inputs=(current, missing) if missing else (current,)))
        height = node.op.threshold if node.op.height is None else node.op.height[0]
        least = self.settings.least
        level = least * node.op.resolution * node.op.threshold if least else None
        self.add(node, "announced", Announcement(self.settings.share * height, level), current, node.name)

    def missing(self, name: str, sign: int) -> str | None:
        """Return the node that carries what of a sign is missing at a node, made if need be; None if nothing can be."""
        if (name, sign) not in self.found:
            self.found[name, sign] = self.copied(self.network.nodes[name], sign)
        return self.found[name, sign]

    def copied(self, node: Node, sign: int) -> str | None:
        """Return the copy of a node for what of a sign is missing at it."""
        op, word = node.op, WORDS[sign]
        if isinstance(op, PatientFirstSpike):
            return None if sign < 0 else f"{node.name}.announced"
        if isinstance(op, Pulse | TemporalMaxPool):
            source = self.missing(node.inputs[0], sign)
            if source is None or isinstance(op, Pulse):
                return source
            return self.add(node, word, StepMaxPool(op.pool), source)
        if isinstance(op, Stateful):
            return None
        if isinstance(op, Add):
            return self.added(node, op, sign)
        return self.weighted(node, sign) if isinstance(op, WEIGHTED) else self.routed(node, sign)

    def weighted(self, node: Node, sign: int) -> str | None:
        """Return the sum of what comes over coefficients of one sign and what of the other comes over the others."""
        (read,) = node.inputs
        if sign == 0:
            source = self.missing(read, 0)
            return source and self.add(node, WORDS[0], of_sign(node.op, 0), source)
        known = [(before, source) for before in (1, -1) if (source := self.missing(read, before))]
        words = [f"{WORDS[sign]}-of-{WORDS[before]}" for before, _ in known]
        ops = [of_sign(node.op, sign * before) for before, _ in known]
        parts = [self.add(node, word, op, source) for word, op, (_, source) in zip(words, ops, known, strict=True)]
        return self.add(node, WORDS[sign], Add(), *parts) if len(parts) > 1 else next(iter(parts), None)

    def added(self, node: Node, op: Add, sign: int) -> str | None:
        """Return what is missing of a sum or of a difference."""
        first, second = node.inputs
        parts = [self.missing(first, sign), self.missing(second, sign if op.scale > 0 else -sign)]
        if parts[1] and op.scale not in {1, -1}:
            parts[1] = self.add(node, f"{WORDS[sign]}-scaled", Affine(scale=torch.tensor(abs(op.scale))), parts[1])
        known = [part for part in parts if part]
        return self.add(node, WORDS[sign], Add(), *known) if len(known) > 1 else next(iter(known), None)

    def routed(self, node: Node, sign: int) -> str | None:
        """Return the copy of an op whose coefficients are not negative."""
        sources = [self.missing(source, sign) for source in node.inputs]
        if not any(sources):
            return None
        sources = [found or self.nothing(source) for found, source in zip(sources, node.inputs, strict=True)]
        if all(sources):
            return self.add(node, WORDS[sign], node.op, *[source for source in sources if source])
        raise ConversionError(
            f"{type(node.op).__name__} {place(node)} joins spikes with a constant signal: announcements cannot pass it. Take "
            "the recipe ttfs-base, or a sequential one such as phase."
        )

    def nothing(self, name: str) -> str | None:
        """Return a copy of a node at which nothing of a sign can be missing, as large as what may be of the other; or None."""
        other = self.missing(name, 1)
        return other and self.add(self.network.nodes[name], "missing-none", Affine(scale=torch.zeros(())), other)

    def add(self, node: Node, word: str, op: Op, *inputs: str) -> str:
        """Add a node that stands beside `node` and return its name."""
        self.nodes.append(Node(f"{node.name}.{word}", op, inputs, node.origin))
        return self.nodes[-1].name


WORDS = {0: "missing", 1: "missing-more", -1: "missing-less"}
WEIGHTED = (Linear, Convolution, TransposedConvolution, Affine)


def of_sign(op: Op, sign: int) -> Op:
    """Return a linear op with the magnitudes of its coefficients of a sign, all if that is 0, without what it adds."""

    def part(values: Tensor) -> Tensor:
        return values.abs() if sign == 0 else (sign * values).clamp(min=0)

    if isinstance(op, Linear | Convolution):
        return dataclasses.replace(op, weight=part(op.weight), bias=None, original=None)
    if isinstance(op, TransposedConvolution):
        return dataclasses.replace(op, weight=part(op.weight), bias=None)
    assert isinstance(op, Affine)
    scale = torch.ones(()) if op.scale is None else op.scale
    return Affine(scale=part(scale))
