"""Run calibration samples through an analogue network and gather what its nodes carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from transpike.calibration.histogram import Histogram
from transpike.data import Batch
from transpike.errors import DataError
from transpike.network import Network, forward


def by_channel(value: Tensor, axis: int) -> Tensor:
    """Return `value` [batch, ...] as [channels, everything else]; `axis` counts the batch. [batch] is one channel."""
    if value.ndim == 1:
        return value[None]
    return value.movedim(axis, 0).flatten(1)


def histograms(network: Network, axes: Mapping[str, int], samples: Iterable[Batch]) -> tuple[dict[str, Histogram], int]:
    """Return a histogram per channel of each node in `axes` (node: channel axis), and the number of samples seen."""
    found: dict[str, Histogram] = {}

    def observe(name: str, value: Tensor) -> None:
        if name in axes:
            rows = by_channel(value, axes[name])
            if not torch.isfinite(rows).all():
                raise DataError(f"Node {name!r} overflows on the calibration samples: check how they are scaled.")
            found.setdefault(name, Histogram(len(rows))).add(rows)

    seen = 0
    for batch in samples:
        forward(network, [tensor.to(network.device) for tensor in batch.inputs], observe)
        seen += len(batch)
    return found, seen
