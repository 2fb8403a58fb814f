"""Thresholds that balance what they clip, found in the clipped network itself."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.calibration import Samples
from transpike.data import Batch
from transpike.errors import ArgumentError, DataError, positive_whole
from transpike.network import Network, forward
from transpike.ops import Clip
from transpike.parts import Finding, Op
from transpike.passes.thresholds.base import Found, Layer
from transpike.simulation.run import recut

GROWING = 0.02  # a median threshold that still grows by more in one mini-batch is far from its balance


@dataclass(frozen=True, eq=False)
class Balancing(Op):
    """Clip z at the threshold of each channel, after moving that along its gradient: a layer while it is balanced.

    theta <- theta + rate * mean 2 (z - theta)_+ over batch and space; y = min(max(z, 0), theta, ceiling). `threshold` [C]
    is changed in place, along `axis`; `grown` receives the last change.
    """

    threshold: Tensor
    grown: Tensor
    rate: float
    axis: int
    ceiling: float

    def __call__(self, z: Tensor) -> Tensor:
        shape = [-1 if axis == self.axis else 1 for axis in range(z.ndim)]
        above = (z - self.threshold.reshape(shape)).clamp_(min=0).double()
        others = [axis for axis in range(z.ndim) if axis != self.axis or z.ndim == 1]
        self.grown.copy_(2 * self.rate * above.mean(others))
        self.threshold.add_(self.grown)
        return torch.minimum(z.clamp(0, self.ceiling), self.threshold.reshape(shape).to(z.dtype))


@dataclass(frozen=True)
class LocalBalance:
    """Local threshold balancing: descend E[(relu(z) - clip(z, 0, theta))^2] by mini-batches, all layers at once, from 0.

    theta_c <- theta_c + rate * mean 2 (z - theta_c)_+ over each mini-batch of `batch` samples, where z comes from the network
    clipped at the thresholds so far. The number of `iterations` is the parameter: thresholds grow towards the maximum; few
    favour few time steps, and far too few clip everything, which a finding says. The samples are read as often as needed.
    Source: Bu et al. 2025 (CVPR, inference-scale conversion).
    """

    iterations: int = 100
    rate: float = 1.0
    batch: int = 100

    def __post_init__(self) -> None:
        positive_whole("iterations", self.iterations)
        positive_whole("batch", self.batch)
        if not 0 < self.rate < math.inf:
            raise ArgumentError(f"rate must be positive and finite, not {self.rate}.")

    def find(self, network: Network, layers: Sequence[Layer], samples: Samples) -> Found:
        """Return the threshold of each channel."""
        ops = {layer.name: self.started(layer) for layer in layers}
        clipping = network.map_ops(lambda node: ops.get(node.name, node.op))
        for batch in itertools.islice(repeated(samples, self.batch), self.iterations):
            forward(clipping, [tensor.to(network.device) for tensor in batch.inputs])
        found = {layer.name: layer.spread(ops[layer.name].threshold.cpu()) for layer in layers}
        return Found(found, tuple(unbalanced(ops, self.iterations)))

    def started(self, layer: Layer) -> Balancing:
        """Return a layer before the first mini-batch."""
        op, channels = layer.node.op, layer.shape[layer.axis - 1] if layer.shape else 1
        zeros = torch.zeros(channels, dtype=torch.float64)
        axis = layer.axis if layer.shape else 0
        return Balancing(zeros, zeros.clone(), self.rate, axis, op.high if isinstance(op, Clip) else math.inf)


def repeated(samples: Samples, size: int) -> Iterator[Batch]:
    """Yield mini-batches of `size` samples, over and over; the last of a round may be smaller."""
    if not any(len(batch) for batch in samples):
        raise DataError("Local threshold balancing reads calibration samples, and there are none.")
    while True:
        yield from recut(iter(samples), size)


def unbalanced(ops: Mapping[str, Balancing], iterations: int) -> Iterator[Finding]:
    """Yield a finding if thresholds were still far from their balance at the end."""
    growth = {name: float((op.grown / op.threshold.clamp(min=1e-300)).median()) for name, op in ops.items()}
    worst = max(growth, key=lambda name: growth[name], default="")
    if worst and growth[worst] > GROWING:
        yield Finding(
            "unbalanced-thresholds",
            f"After {iterations} mini-batches the thresholds of {worst!r} still grow by {100 * growth[worst]:.0f} % in each: "
            "they clip most of what is larger than the mean.",
            "Raise the iterations of local threshold balancing, or use a percentile or MMSE threshold.",
            node=worst,
            severity="warning",
        )
