"""Rules that give the threshold of each channel from the histogram of its activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from transpike.calibration import Histogram
from transpike.errors import ArgumentError


class Threshold(Protocol):
    """A rule: histogram of non-negative activations -> thresholds [channels], or [1] for a whole layer."""

    def __call__(self, histogram: Histogram) -> Tensor:
        """Return thresholds in float64; 0 where a channel was never active."""
        ...


@dataclass(frozen=True)
class Percentile:
    """The value that `percent` of the activations do not exceed, per channel or over the layer.

    With `active` only activations above 0 count, so that a seldom active channel is not clipped to almost nothing;
    else a channel whose percentile is 0 gets its maximum. `percent` 100 is the maximum everywhere. Raises ArgumentError
    unless 0 < percent <= 100. Source: Rueckauer et al. 2017, robust normalisation.

    >>> Percentile(0)
    Traceback (most recent call last):
    ...
    transpike.errors.ArgumentError: percent must be above 0 and at most 100, not 0.
    """

    percent: float = 99.9
    layerwise: bool = False
    active: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.percent <= 100:  # noqa: PLR2004 - percent
            raise ArgumentError(f"percent must be above 0 and at most 100, not {self.percent}.")

    def __call__(self, histogram: Histogram) -> Tensor:
        whole = histogram.merged() if self.layerwise else histogram
        values = whole.quantile(self.percent / 100, active=self.active)
        return torch.where(values > 0, values, whole.maximum)
