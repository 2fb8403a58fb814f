"""What a code by first spikes needs beside its neurons: pulses, and announcements of missing inputs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

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
    ConversionError for joins of announced and constant signals.
    Source: Rueckauer and Liu 2018 (TTFS with dynamic thresholds).
    """

    share: float = 1.0
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __post_init__(self) -> None:
        if not self.share > 0:
            raise ArgumentError(f"share must be a positive number, not {self.share!r}.")

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        copying = Copies(network, self.share)
        for node in network.nodes.values():
            copying.take(node)
        return rebuilt(network, copying.nodes)


class Copies:
    """A network on the way to its announcements: the nodes so far, and the node that carries what is missing of each."""

    def __init__(self, network: Network, share: float) -> None:
        self.network = network
        self.share = share
        self.nodes: list[Node] = []
        self.missing: dict[str, str] = {}

    def take(self, node: Node) -> None:
        """Take over a node, with its copy for announcements if it has one."""
        if isinstance(node.op, PatientFirstSpike):
            (current,) = node.inputs
            told = (self.missing[current],) if current in self.missing else ()
            self.nodes.append(dataclasses.replace(node, inputs=(current, *told)))
            height = node.op.threshold if node.op.height is None else node.op.height[0]
            self.add(node, Announcement(self.share * height), (current, node.name), "announced")
            return
        self.nodes.append(node)
        sources = [self.missing[source] for source in node.inputs if source in self.missing]
        if not sources:
            return
        if isinstance(node.op, Pulse):
            self.missing[node.name] = sources[0]
        elif isinstance(node.op, TemporalMaxPool):
            self.add(node, StepMaxPool(node.op.pool), (sources[0],), "missing")
        elif not isinstance(node.op, Stateful):
            self.copy(node, sources)

    def copy(self, node: Node, sources: list[str]) -> None:
        """Add the copy of a linear op."""
        if len(sources) == len(node.inputs):
            self.add(node, magnitude(node.op), tuple(sources), "missing")
        elif isinstance(node.op, Add):
            self.missing[node.name] = sources[0]
        else:
            raise ConversionError(
                f"{type(node.op).__name__} {place(node)} joins spikes with a constant signal: announcements cannot pass "
                f"it. Take "
                "the recipe ttfs-base, or a sequential one such as phase."
            )

    def add(self, node: Node, op: Op, inputs: tuple[str, ...], what: str) -> None:
        """Add a node behind `node` that carries what is missing of it."""
        self.nodes.append(Node(f"{node.name}.{what}", op, inputs, node.origin))
        self.missing[node.name] = self.nodes[-1].name


def magnitude(op: Op) -> Op:
    """Return a linear op with the magnitudes of its coefficients, without what it adds."""
    if isinstance(op, Linear | Convolution):
        return dataclasses.replace(op, weight=op.weight.abs(), bias=None, original=None)
    if isinstance(op, TransposedConvolution):
        return dataclasses.replace(op, weight=op.weight.abs(), bias=None)
    if isinstance(op, Affine):
        return dataclasses.replace(op, scale=None if op.scale is None else op.scale.abs(), shift=None, original=None)
    return op
