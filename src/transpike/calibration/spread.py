"""Streaming mean, variance and maximum per channel: any number of samples, any batching."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from transpike.calibration.observe import by_channel
from transpike.data import Batch
from transpike.errors import DataError
from transpike.network import Network, forward


class Moments:
    """Mean, variance and maximum per channel in float64, merged batch by batch (Chan, Golub and LeVeque 1979).

    >>> moments = Moments(1)
    >>> moments.add(torch.tensor([[1.0, 3.0]]))
    >>> moments.add(torch.tensor([[5.0]]))
    >>> moments.mean.item(), round(moments.variance.item(), 6)
    (3.0, 2.666667)
    """

    def __init__(self, channels: int) -> None:
        self.count = 0
        self.mean = torch.zeros(channels, dtype=torch.float64)
        self.squares = torch.zeros(channels, dtype=torch.float64)
        self.maximum = torch.full((channels,), -torch.inf, dtype=torch.float64)

    def add(self, values: Tensor) -> None:
        """Count `values` [channels, n]."""
        values = values.detach().to("cpu", torch.float64)
        new = values.shape[1]
        mean = values.mean(1)
        change, whole = mean - self.mean, self.count + new
        self.squares += (values - mean[:, None]).square().sum(1) + change.square() * (self.count * new / whole)
        self.mean += change * (new / whole)
        self.count = whole
        self.maximum = torch.maximum(self.maximum, values.amax(1))

    @property
    def variance(self) -> Tensor:
        """The mean squared deviation of each channel."""
        return self.squares / max(1, self.count)


def moments(network: Network, axes: Mapping[str, int], samples: Iterable[Batch]) -> tuple[dict[str, Moments], int]:
    """Return the moments per channel of each node in `axes` (node: channel axis), and the number of samples seen."""
    found: dict[str, Moments] = {}

    def observe(name: str, value: Tensor) -> None:
        if name in axes:
            rows = by_channel(value, axes[name])
            if not torch.isfinite(rows).all():
                raise DataError(f"Node {name!r} overflows on the calibration samples: check how they are scaled.")
            found.setdefault(name, Moments(len(rows))).add(rows)

    seen = 0
    for batch in samples:
        forward(network, [tensor.to(network.device) for tensor in batch.inputs], observe)
        seen += len(batch)
    return found, seen
