"""How a value becomes spikes at its rate: evenly, by diffusing what is left over, or by chance."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def diffuse(remainder: Tensor, rate: Tensor) -> Tensor:
    """Add `rate` to what is left over and take out the spikes of one step: error diffusion in time.

    e = r + rate;  s = sign(e) where |e| >= 1/2, else 0;  r = e - s. `remainder` is changed in place.

    >>> left = torch.zeros(1)
    >>> [diffuse(left, torch.tensor([0.4])).item() for _ in range(5)]
    [0.0, 1.0, 0.0, 1.0, 0.0]
    """
    remainder.add_(rate)
    spikes = torch.sign(remainder) * (remainder.abs() >= 1 / 2)
    remainder.sub_(spikes)
    return spikes


def sources(seed: int, line: int, first: int, count: int) -> list[np.random.Generator]:
    """Return generators for the samples `first` ... `first + count - 1`, each seeded with (seed, line, its number).

    One for each sample, so that neither batching nor chunking changes what a sample draws.
    """
    return [np.random.default_rng([seed, line, first + i]) for i in range(count)]


def draws(generators: list[np.random.Generator], shape: tuple[int, ...]) -> Tensor:
    """Return even random numbers in [0, 1), float32 [generators, *shape]."""
    return torch.from_numpy(np.stack([generator.random(shape, dtype=np.float32) for generator in generators]))
