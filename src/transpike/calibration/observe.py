"""Run calibration samples through an analogue network and gather what its nodes carry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from transpike.calibration.histogram import Histogram
from transpike.data import Batch
from transpike.errors import DataError
from transpike.network import Network, forward


class Statistic(Protocol):
    """What values tell, row by row: a row is a channel or a neuron."""

    def add(self, values: Tensor) -> None:
        """Take in `values` [rows, n]."""
        ...

    @property
    def silent(self) -> Tensor:
        """Which rows never were above 0."""
        ...


S = TypeVar("S", bound=Statistic)


@dataclass(frozen=True)
class Rows:
    """What to observe: a node, and the axis (counted with the batch) whose entries are rows; None makes each neuron a row."""

    node: str
    axis: int | None

    def of(self, value: Tensor) -> Tensor:
        """Return `value` [batch, ...] as [rows, everything else]; [batch] alone is one row."""
        if self.axis is None:
            return value.flatten(1).T if value.ndim > 1 else value[None]
        return by_channel(value, self.axis)


def by_channel(value: Tensor, axis: int) -> Tensor:
    """Return `value` [batch, ...] as [channels, everything else]; `axis` counts the batch. [batch] is one channel."""
    if value.ndim == 1:
        return value[None]
    return value.movedim(axis, 0).flatten(1)


def gather(
    network: Network, observed: Mapping[str, Rows], make: Callable[[int], S], samples: Iterable[Batch]
) -> tuple[dict[str, S], int]:
    """Return the statistic of each entry of `observed`, and the number of samples seen; `make(rows)` makes an empty one.

    Raises DataError where a value is not finite.
    """
    found: dict[str, S] = {}

    def observe(name: str, value: Tensor) -> None:
        for key, rows in observed.items():
            if rows.node != name:
                continue
            values = rows.of(value)
            if not torch.isfinite(values).all():
                raise DataError(f"Node {name!r} overflows on the calibration samples: check how they are scaled.")
            if key not in found:
                found[key] = make(len(values))
            found[key].add(values)

    seen = 0
    for batch in samples:
        forward(network, [tensor.to(network.device) for tensor in batch.inputs], observe)
        seen += len(batch)
    return found, seen


def histograms(network: Network, axes: Mapping[str, int], samples: Iterable[Batch]) -> tuple[dict[str, Histogram], int]:
    """Return a histogram per channel of each node in `axes` (node: channel axis), and the number of samples seen."""
    return gather(network, {name: Rows(name, axis) for name, axis in axes.items()}, Histogram, samples)
