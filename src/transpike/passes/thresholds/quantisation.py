"""Thresholds that quantise the activations best within a given number of time steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.calibration import Histogram, Samples
from transpike.passes.thresholds.base import Layer, Streamed

RATIO = 1.05  # between neighbours of the first search
CANDIDATES = 100  # from 1.25 times the maximum down to a hundredth of it
FINER = 8  # steps between neighbours in the second search: thresholds to within 0.6 %


@dataclass(frozen=True)
class MMSE(Streamed):
    """The threshold of least mean squared error after T steps of an even input, per channel or over the layer.

    theta = argmin E[(theta/N clip(floor(a N / theta + initial), 0, N) - a)^2] over the activations a, with N = most T levels
    (most: thresholds that a neuron sends per step). Exact for the histogram of the samples, by a search over thresholds from
    0.01 to 1.25 times the maximum, to within 0.6 %. Needs the time steps. Source: Li et al. 2021 (SNN calibration).
    """

    fits_time: ClassVar[str] = "An MMSE threshold"

    layerwise: bool = False

    def thresholds(self, statistic: Histogram, layer: Layer, samples: Samples) -> Tensor:
        levels = layer.levels(samples.steps_for(self.fits_time))
        whole = statistic.merged() if self.layerwise else statistic
        return least_error(whole.centres, whole.counts, whole.maximum, levels, layer.initial)


def quantisation_error(values: Tensor, counts: Tensor, thresholds: Tensor, levels: int, initial: float) -> Tensor:
    """Return the sum of counts (quantised - value)^2 per row, for `values`, `counts` [rows, n] and `thresholds` [rows]."""
    height = (thresholds / levels)[:, None]
    quantised = (values / height).add_(initial).floor_().clamp_(0, levels).mul_(height)
    return quantised.sub_(values).square_().mul_(counts).sum(1)


def least_error(values: Tensor, counts: Tensor, maximum: Tensor, levels: int, initial: float) -> Tensor:
    """Return the threshold [rows] of least quantisation error of weighted values [rows, n]; 0 where the maximum is 0."""
    coarse = 1.25 * RATIO ** -torch.arange(CANDIDATES, dtype=torch.float64)
    near = RATIO ** (torch.arange(1 - FINER, FINER, dtype=torch.float64) / FINER)
    used = int((counts.sum(0) > 0).nonzero().max()) + 1 if counts.any() else 1
    values, counts = values[:, :used], counts[:, :used].to(values.dtype)
    best = maximum
    for factors in (coarse, near):
        start, error = best, torch.full_like(maximum, torch.inf)
        for factor in factors:
            tried = start * factor
            found = quantisation_error(values, counts, tried, levels, initial)
            best = torch.where(found < error, tried, best)
            error = torch.minimum(found, error)
    return best
