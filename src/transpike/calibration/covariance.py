"""How the inputs of ops with weights vary on the samples, and together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.calibration.patches import from_rows, patches
from transpike.data import Batch
from transpike.network import Network, forward
from transpike.ops import Convolution, Linear
from transpike.parts import Op

VALUES = 2**26  # of all matrices that are summed in one reading of the samples
POSITIONS = 64  # of an image that enter, drawn for each batch with a fixed seed


@dataclass(frozen=True)
class Covariance:
    """Of the inputs that a row of weights meets: `mean` [features] and `matrix` [features, features], in float64."""

    mean: Tensor
    matrix: Tensor


@dataclass
class Sums:
    """Sums over input patches [n, features] so far."""

    count: int
    first: Tensor
    second: Tensor

    def add(self, rows: Tensor) -> None:
        """Take in rows."""
        self.count += len(rows)
        self.first += rows.sum(0).double().cpu()
        self.second += (rows.T @ rows).double().cpu()

    def covariance(self) -> Covariance:
        """Return mean and covariance."""
        mean = self.first / self.count
        return Covariance(mean, self.second / self.count - torch.outer(mean, mean))


def covariances(network: Network, readers: Mapping[str, str], samples: Iterable[Batch]) -> dict[str, Covariance]:
    """Return for each op with weights that `patches` knows (by name: the node that it reads) how its inputs vary."""
    sizes = {name: features(network.nodes[name].op) for name in readers}
    left = [name for name, size in sizes.items() if size]
    found: dict[str, Covariance] = {}
    while left:
        taken = [left.pop(0)]
        while left and sum(sizes[name] ** 2 for name in [*taken, left[0]]) <= VALUES:
            taken.append(left.pop(0))
        found |= summed(network, {name: readers[name] for name in taken}, samples)
    return found


def features(op: Op) -> int:
    """Return how many inputs a row of weights meets; 0 for kinds that have no patches."""
    known = isinstance(op, Linear) or (isinstance(op, Convolution) and op.groups == 1 and len(op.stride) <= 2)  # noqa: PLR2004
    return op.weight[0].numel() if known and isinstance(op, Linear | Convolution) else 0


def summed(network: Network, readers: Mapping[str, str], samples: Iterable[Batch]) -> dict[str, Covariance]:
    """Return the covariances of some ops from one reading of the samples."""
    sums: dict[str, Sums] = {}
    draw = torch.Generator().manual_seed(0)

    def observe(name: str, value: Tensor) -> None:
        for reader, source in readers.items():
            if source == name:
                op = network.nodes[reader].op
                assert isinstance(op, Linear | Convolution)
                seen = patches(op, value, drawn(op, value, draw))
                assert seen is not None
                size = seen.shape[-1]
                none = torch.zeros(size, dtype=torch.float64), torch.zeros(size, size, dtype=torch.float64)
                sums.setdefault(reader, Sums(0, *none)).add(seen.flatten(0, 1))

    for batch in samples:
        forward(network, [tensor.to(network.device) for tensor in batch.inputs], observe)
    found = {name: one.covariance() for name, one in sums.items()}
    return {name: in_order(network.nodes[name].op, one) for name, one in found.items()}


def drawn(op: Linear | Convolution, value: Tensor, generator: torch.Generator) -> Tensor | None:
    """Return the positions of a convolution that are looked at, or None for all."""
    if isinstance(op, Linear):
        return None
    positions = op(value[:1])[0, 0].numel()
    return torch.randperm(positions, generator=generator)[:POSITIONS] if positions > POSITIONS else None


def in_order(op: Op, found: Covariance) -> Covariance:
    """Return the covariance of patches in the order of the weights of `op`."""
    assert isinstance(op, Linear | Convolution)
    order = from_rows(op, torch.arange(len(found.mean)).expand(len(op.weight), -1))[0].flatten()
    return Covariance(found.mean[order], found.matrix[order][:, order])
