"""Mean and variance per channel of any number of values, in one pass and constant memory."""

from __future__ import annotations

import torch
from torch import Tensor


class Moments:
    """Count, mean, summed squared deviation and maximum per row, merged batch by batch.

    With n values of mean m and squared deviation s so far, and n', m', s' of a batch: d = m' - m, mean = m + d n' / (n + n'),
    s = s + s' + d^2 n n' / (n + n'). Source: Welford 1962; Chan et al. 1979, the form for batches.
    """

    def __init__(self, rows: int) -> None:
        self.count = 0
        self.mean = torch.zeros(rows, dtype=torch.float64)
        self.squares = torch.zeros(rows, dtype=torch.float64)
        self.maximum = torch.full((rows,), -torch.inf, dtype=torch.float64)

    def add(self, values: Tensor) -> None:
        """Take in `values` [rows, n]."""
        values = values.detach().to("cpu", torch.float64)
        count, mean = values.shape[1], values.mean(1)
        total, shift = self.count + count, mean - self.mean
        self.squares += (values - mean[:, None]).square().sum(1) + shift.square() * (self.count * count / total)
        self.mean += shift * (count / total)
        self.maximum = torch.maximum(self.maximum, values.amax(1))
        self.count = total

    @property
    def variance(self) -> Tensor:
        """The variance of each row, in float64."""
        return self.squares / max(self.count, 1)

    @property
    def silent(self) -> Tensor:
        """Which rows never were above 0."""
        return self.maximum <= 0
