"""Wait until lower layers have settled: hold membranes at the start, and begin the read-out late."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from transpike.calibration import Samples
from transpike.errors import ArgumentError, positive_whole
from transpike.network import Network, forward
from transpike.neurons import Integrator, Neuron
from transpike.parts import Finding, Op

SHORTEST = 4  # steps over which a delayed answer is averaged at least


@dataclass(frozen=True)
class ClampVoltage:
    """Hold the membranes of each layer for the first `delay` times `depth` steps, so that its input settles first.

    N(l) = d l steps, where l counts the layers of neurons on the longest path before this one: 0 for the first. A held
    neuron neither integrates nor fires. The read-out of each output begins with the step in which the last layer before
    it is released: until then the output holds no spikes that passed through the whole network. The steps are part of T;
    a finding says so if T does not reach the read-out. Raises ArgumentError unless `delay` is a whole number from 1.
    Source: Rueckauer et al. 2017 (clamping); the thesis on rate-coded conversion of deep networks, equation 4.4.
    """

    delay: int = 1
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __post_init__(self) -> None:
        positive_whole("delay", self.delay)

    def __call__(self, network: Network, samples: Samples) -> Network:
        depth = depths(network)

        def clamped(node_name: str, op: Op) -> Op:
            if isinstance(op, Neuron):
                return dataclasses.replace(op, delay=self.delay * depth[node_name])
            if isinstance(op, Integrator):
                return dataclasses.replace(op, delay=self.delay * max(depth[node_name] - 1, 0))
            return op

        network = network.map_ops(lambda node: clamped(node.name, node.op))
        longest = max((node.op.delay for node in network.having(Integrator) if isinstance(node.op, Integrator)), default=0)
        if samples.time_steps is None or samples.time_steps > longest:
            return network
        finding = Finding(
            "clamped-too-long",
            f"Clamping holds the last layer for {longest} steps, but the network is converted for {samples.time_steps}.",
            f"Run it for more than {longest} time steps, or use a recipe without voltage clamping.",
            severity="warning",
        )
        return dataclasses.replace(network, findings=(*network.findings, finding))


def depths(network: Network) -> dict[str, int]:
    """Return how many layers of neurons lie on the longest path before each node."""
    depth: dict[str, int] = {}
    for name, node in network.nodes.items():
        depth[name] = max((depth[s] + isinstance(network.nodes[s].op, Neuron) for s in node.inputs), default=0)
    return depth


class ReadOutStart(Protocol):
    """A rule that says after how many steps the read-out of a network begins."""

    def __call__(self, network: Network, samples: Samples) -> int:
        """Return the number of steps that the read-out leaves out."""
        ...


@dataclass(frozen=True)
class AfterSteps:
    """Leave out the first `steps` steps. Raises ArgumentError unless that is a whole number from 1."""

    steps: int

    def __post_init__(self) -> None:
        positive_whole("steps", self.steps)

    def __call__(self, network: Network, samples: Samples) -> int:  # noqa: ARG002 - the number is given
        return self.steps


@dataclass(frozen=True)
class AfterShare:
    """Leave out floor(share T) of the T steps that the network is converted for.

    Raises ArgumentError unless 0 < share < 1, and where no T is known.

    >>> AfterShare(1.5)
    Traceback (most recent call last):
    ...
    transpike.errors.ArgumentError: share must lie between 0 and 1, not 1.5.
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ArgumentError(f"share must lie between 0 and 1, not {self.share}.")

    def __call__(self, network: Network, samples: Samples) -> int:  # noqa: ARG002 - needs T alone
        return math.floor(self.share * samples.steps_for("A read-out after a share of the time steps"))


@dataclass(frozen=True)
class AfterFirstSpikes:
    """Leave out the steps that a mean sample needs until its first spikes have passed through all layers.

    t0 = floor(sum over l of min_i (threshold_i - v_i[0]) / E[a_i]), with the mean activation E[a_i] of neuron i of layer l
    over the samples: its quickest neuron. With one threshold per layer this is (threshold - v[0]) / max_i E[a_i]. The sum
    goes along the path on which it is largest. Where T is known, at least the last 4 steps are read.
    Source: delayed evaluation (local threshold balancing, CVPR 2025).
    """

    def __call__(self, network: Network, samples: Samples) -> int:
        waits = first_spikes(network, mean_activations(network, samples))
        arrival: dict[str, float] = {}
        for name, node in network.nodes.items():
            arrival[name] = max((arrival[source] for source in node.inputs), default=0.0) + waits.get(name, 0.0)
        delay = math.floor(max((arrival[name] for name in network.outputs.values()), default=0.0))
        return delay if samples.time_steps is None else min(delay, max(samples.time_steps - SHORTEST, 0))


def mean_activations(network: Network, samples: Iterable) -> dict[str, Tensor]:
    """Return the mean over the samples of what each neuron stands for [1, ...], by node, in float64."""
    sums: dict[str, Tensor] = {}
    neurons = {node.name for node in network.having(Neuron)}

    def observe(name: str, value: Tensor) -> None:
        if name in neurons:
            total = value.double().sum(0, keepdim=True)
            sums[name] = sums[name] + total if name in sums else total

    count, analogue = 0, network.analogue()
    for batch in samples:
        forward(analogue, [tensor.to(network.device) for tensor in batch.inputs], observe)
        count += len(batch)
    return {name: total / count for name, total in sums.items()}


def first_spikes(network: Network, means: dict[str, Tensor]) -> dict[str, float]:
    """Return how many steps the quickest neuron of each layer needs for its first spike; 0 for a silent layer."""
    waits: dict[str, float] = {}
    for name, mean in means.items():
        op = network.nodes[name].op
        assert isinstance(op, Neuron)
        charge = (op.threshold * (1 - op.initial)).double().expand_as(mean)
        steps = torch.where(mean > 0, charge / mean, math.inf).min()
        waits[name] = float(steps) if torch.isfinite(steps) else 0.0
    return waits


@dataclass(frozen=True)
class DelayReadOut:
    """Decode the outputs from later steps only: y = mean of x[t] over t > delay, where `start` gives the delay.

    Early steps carry the transient of layers that have not yet received their spikes; leaving them out costs no spikes
    and no extra steps beyond those named, which are part of T. A longer delay that another pass has set stays.
    Source: delayed evaluation (CVPR 2025); see `AfterFirstSpikes`.
    """

    start: ReadOutStart | Callable[[Network, Samples], int]
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:
        delay = self.start(network, samples)

        def delayed(op: Op) -> Op:
            return dataclasses.replace(op, delay=max(op.delay, delay)) if isinstance(op, Integrator) else op

        return network.map_ops(lambda node: delayed(node.op))
