"""What a threshold rule is given, what it returns, and the rules that need one pass over the samples."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from transpike.calibration import Histogram, Rows, Samples, Statistic, gather
from transpike.network import Network, Node
from transpike.network.grammar import place
from transpike.neurons import Neuron
from transpike.parts import Finding

FEW_SAMPLES = 32
WAKE = "If other data may wake them, calibrate on more samples; else prune them."


@dataclass(frozen=True)
class Layer:
    """A place where neurons will stand, as a rule sees it.

    `node` is the activation, `shape` that of one sample of it, `axis` its channels (counted with the batch). In T steps a
    neuron with threshold theta, the largest mean value that it can send, tells N = `most` T levels apart:
    theta/N clip(floor(z N / theta + initial), 0, N). `probe` is such a neuron, with threshold 1.
    """

    node: Node
    shape: tuple[int, ...]
    axis: int
    most: float = 1
    initial: float = 0.5
    probe: Neuron | None = None

    def levels(self, time_steps: int) -> int:
        """Return N, the number of values above 0 that a neuron tells apart in `time_steps`; codes may have their own."""
        return round(self.most * time_steps) if self.probe is None else self.probe.tells_apart(time_steps)

    @property
    def name(self) -> str:
        """The name of the node."""
        return self.node.name

    def spread(self, values: Tensor) -> Tensor:
        """Return `values` of the channels, of every neuron or of the whole layer, to broadcast against one sample."""
        if values.numel() == math.prod(self.shape):
            return values.reshape(self.shape)
        return values.reshape([-1 if axis == self.axis else 1 for axis in range(1, len(self.shape) + 1)])


@dataclass(frozen=True)
class Found:
    """Thresholds by node in float64, each broadcasting against one sample, and what is worth knowing about them.

    0 or NaN means that the rule knows none, as for a channel that was never active.
    """

    thresholds: Mapping[str, Tensor]
    findings: tuple[Finding, ...] = ()


class Threshold(Protocol):
    """A rule: an analogue network, the places where neurons will stand, calibration samples -> thresholds."""

    def find(self, network: Network, layers: Sequence[Layer], samples: Samples) -> Found:
        """Return the threshold of each layer: the largest mean value that its neurons shall be able to send."""
        ...


class Streamed:
    """A rule that looks at one statistic of each channel, gathered in one pass over the samples in constant memory.

    `fits_time` names the rule if it needs the number of time steps.
    """

    fits_time: ClassVar[str] = ""

    def observed(self, layer: Layer) -> str:
        """Return the node whose values are gathered: the activation."""
        return layer.name

    def empty(self, rows: int, *, each_neuron: bool) -> Statistic:
        """Return the statistic before the first value: a histogram, coarse if every neuron has its own."""
        return Histogram.of_neurons(rows) if each_neuron else Histogram(rows)

    def thresholds(self, statistic: Any, layer: Layer, samples: Samples) -> Tensor:
        """Return the threshold of each row of the statistic, or of all together [1]."""
        raise NotImplementedError

    def find(self, network: Network, layers: Sequence[Layer], samples: Samples) -> Found:
        """Return the threshold of each layer per channel."""
        return streamed(self, network, layers, samples, each_neuron=False)


@dataclass(frozen=True)
class PerNeuron:
    """Apply a rule to every neuron by itself instead of every channel, for data that stay in place.

    Statistics are coarser then: half a kilobyte a neuron for a histogram, whose quantiles are exact to 1/64 of the maximum.
    Weights that convolutions share cannot absorb such thresholds. Source: neuron-wise normalisation (Wang et al. 2022).
    """

    rule: Streamed

    def find(self, network: Network, layers: Sequence[Layer], samples: Samples) -> Found:
        """Return the threshold of each neuron."""
        return streamed(self.rule, network, layers, samples, each_neuron=True)


def streamed(rule: Streamed, network: Network, layers: Sequence[Layer], samples: Samples, *, each_neuron: bool) -> Found:
    """Gather a rule's statistic of all layers in one pass and return its thresholds."""
    if rule.fits_time:
        samples.steps_for(rule.fits_time)
    rows = {layer.name: Rows(rule.observed(layer), None if each_neuron else layer.axis) for layer in layers}
    statistics, seen = gather(network, rows, functools.partial(rule.empty, each_neuron=each_neuron), samples)
    found = {layer.name: layer.spread(rule.thresholds(statistics[layer.name], layer, samples)) for layer in layers}
    findings = list(few_samples(seen))
    for layer in layers:
        unit = "neurons" if each_neuron else "channels"
        findings += silence(layer.node, statistics[layer.name].silent, unit, "are 0 on every calibration sample", WAKE)
    return Found(found, tuple(findings))


def few_samples(seen: int) -> Iterable[Finding]:
    """Yield a finding if thresholds rest on few samples."""
    if seen < FEW_SAMPLES:
        yield Finding(
            "few-samples",
            f"Thresholds rest on {seen} calibration sample{'s' * (seen != 1)}.",
            "Give a few hundred samples of the training data: rare large activations are clipped otherwise.",
            severity="warning",
        )


def silence(node: Node, silent: Tensor, unit: str, why: str, advice: str) -> Iterable[Finding]:
    """Yield a finding if some channels (or neurons) never were active."""
    if silent.any():
        yield Finding(
            "dead-channels",
            f"{int(silent.sum())} of {silent.numel()} {unit} of {place(node)} {why}.",
            f"They cost nothing as spikes. {advice}",
            node=node.name,
        )


def first_of(values: Tensor, fallback: Tensor) -> Tensor:
    """Return `values` where they are positive and finite, else `fallback`."""
    return torch.where((values > 0) & torch.isfinite(values), values, fallback)
