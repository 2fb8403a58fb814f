"""Max-pooling on spikes: where it stands, and what it becomes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.calibration import Samples, histograms
from transpike.errors import ConversionError
from transpike.network import Network, Node
from transpike.network.edit import rebuilt, with_op
from transpike.network.grammar import Carried, carried, decoded, place
from transpike.neurons import AccumulatedMaxPool, GatedMaxPool, Neuron, StepMaxPool, TemporalMaxPool, WinnerTakeAll
from transpike.ops import RECTIFIERS, AdaptiveMaxPool, MaxPool
from transpike.parts import Op


@dataclass(frozen=True)
class PoolBeforeActivation:
    """Let max-pool act before the activation that it follows: both are monotone, so they commute exactly.

    The neurons then stand behind the pool: a quarter of them for a window of 2 x 2.
    """

    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        for pool in network.having(MaxPool, AdaptiveMaxPool):
            activation = network.nodes[network.nodes[pool.name].inputs[0]]
            if isinstance(activation.op, RECTIFIERS) and network.only_user(activation.name) == pool.name:
                network = exchanged(network, activation.name, pool.name)
        return network


@dataclass(frozen=True)
class ActivateBeforePool:
    """Let an activation act before the max-pool that it follows: the max-pool then reads spikes. Exact, as the reverse is."""

    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        for activation in network.having(*RECTIFIERS):
            pool = network.nodes[network.nodes[activation.name].inputs[0]]
            if isinstance(pool.op, MaxPool | AdaptiveMaxPool) and network.only_user(pool.name) == activation.name:
                network = exchanged(network, pool.name, activation.name)
        return network


def exchanged(network: Network, first: str, second: str) -> Network:
    """Exchange two nodes of a chain: `second` reads what `first` read, and the readers of `second` read `first`."""
    front, back = network.nodes[first], network.nodes[second]
    nodes = []
    for node in network.nodes.values():
        if node.name == first:
            continue
        if node.name == second:
            nodes += [dataclasses.replace(back, inputs=front.inputs), dataclasses.replace(front, inputs=(second,))]
        else:
            inputs = tuple(first if source == second else source for source in node.inputs)
            nodes.append(dataclasses.replace(node, inputs=inputs))
    return rebuilt(network, nodes, {second: first})


@dataclass(frozen=True)
class MaxPoolForm:
    """A pass that gives max-pools the spiking form `pool`; `stands` is the pass that puts them before or behind the neurons."""

    removes: ClassVar[tuple[type[Op], ...]] = ()
    pool: ClassVar[type[TemporalMaxPool]]
    words: ClassVar[str]
    stands: ClassVar[PoolBeforeActivation | ActivateBeforePool] = PoolBeforeActivation()

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - most forms need no samples
        """Return the network with its max-pools replaced."""
        return replaced(network, lambda pool, of_spikes: self.pool(pool.op, of_spikes))

    def worded(self) -> str:
        """Say in a few words which form it is."""
        return self.words


def replaced(network: Network, form: Callable[[Node, bool], Op]) -> Network:
    """Give each max-pool before the read-out the op `form(node, of_spikes)`."""
    read_out = decoded(network)
    for pool in network.having(MaxPool, AdaptiveMaxPool):
        if pool.name not in read_out:  # in order, so that a pool of pooled spikes is known to pool spikes
            of_spikes = carried(network)[pool.inputs[0]] is Carried.SPIKES
            network = with_op(network, pool.name, form(pool, of_spikes))
    return network


@dataclass(frozen=True)
class AccumulateMaxPool(MaxPoolForm):
    """Make each max-pool send the increments of the maximum of its accumulated inputs: exact in the limit."""

    pool: ClassVar[type[TemporalMaxPool]] = AccumulatedMaxPool
    words: ClassVar[str] = "exact max-pool"


@dataclass(frozen=True)
class PoolEachStep(MaxPoolForm):
    """Let each max-pool act on the current of each step by itself, before the neurons: biased upwards; see `StepMaxPool`."""

    pool: ClassVar[type[TemporalMaxPool]] = StepMaxPool
    words: ClassVar[str] = "max-pool of each step"


@dataclass(frozen=True)
class GateMaxPool(MaxPoolForm):
    """Let each max-pool pass on the spikes of the neuron with the highest rate so far; see `GatedMaxPool`."""

    stands: ClassVar[PoolBeforeActivation | ActivateBeforePool] = ActivateBeforePool()
    pool: ClassVar[type[TemporalMaxPool]] = GatedMaxPool
    words: ClassVar[str] = "gated max-pool"


@dataclass(frozen=True)
class CompeteForMax(MaxPoolForm):
    """Make each max-pool a winner-take-all circuit per window, fed by spikes; see `WinnerTakeAll` for the parameters.

    The threshold of the excitatory neurons is the height of the spikes that they receive; where these come from several
    layers, the largest input of the samples. Raises ConversionError for a max-pool of currents, which has no spikes to
    receive.
    """

    inhibition: float = 1.0
    rest: float = math.inf
    stands: ClassVar[PoolBeforeActivation | ActivateBeforePool] = ActivateBeforePool()

    def __call__(self, network: Network, samples: Samples) -> Network:
        sources = {pool.inputs[0] for pool in network.having(MaxPool, AdaptiveMaxPool)}
        found, _ = histograms(network.analogue(), dict.fromkeys(sources, 1), samples)
        thresholds = {name: self.threshold(network, name, float(found[name].maximum.max())) for name in sources}

        def circuit(pool: Node, of_spikes: bool) -> Op:
            if not of_spikes:
                raise ConversionError(
                    f"{place(pool)} pools currents, but a winner-take-all circuit needs spikes: put a ReLU before the "
                    "pool, or take another form of max-pool."
                )
            return WinnerTakeAll(pool.op, thresholds[pool.inputs[0]], self.inhibition, self.rest)

        return replaced(network, circuit)

    def threshold(self, network: Network, source: str, peak: float) -> Tensor:
        """Return the threshold of the neurons that read `source`."""
        op = network.nodes[source].op
        if isinstance(op, Neuron):
            return op.threshold if op.height is None else op.height.mean(0)
        dtype = network.dtype
        return torch.tensor(peak or 1.0, dtype=dtype, device=network.device)

    def worded(self) -> str:
        rest = "" if self.rest == math.inf else f", rest {self.rest:g}"
        return f"winner-take-all max-pool, inhibition {self.inhibition:g}{rest}"
