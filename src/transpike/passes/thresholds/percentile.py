"""Thresholds from quantiles of the activations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.calibration import Histogram, Samples
from transpike.errors import ArgumentError
from transpike.passes.thresholds.base import Layer, Streamed


@dataclass(frozen=True)
class Percentile(Streamed):
    """The value that `percent` of the activations do not exceed, per channel or over the layer.

    With `active` only activations above 0 count, so that a seldom active channel is not clipped to almost nothing;
    else a channel whose percentile is 0 gets its maximum. `percent` 100 is the maximum everywhere. Raises ArgumentError
    unless 0 < percent <= 100. Source: Diehl et al. 2015 (maximum); Rueckauer et al. 2017 (robust normalisation).

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
        """Return thresholds [channels], or [1] for a whole layer; 0 where a channel was never active."""
        whole = histogram.merged() if self.layerwise else histogram
        values = whole.quantile(self.percent / 100, active=self.active)
        return torch.where(values > 0, values, whole.maximum)

    def thresholds(self, statistic: Histogram, layer: Layer, samples: Samples) -> Tensor:  # noqa: ARG002 - quantiles alone
        return self(statistic)
