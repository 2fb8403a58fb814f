"""Thresholds in closed form, for pre-activations that are normally distributed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.calibration import Moments, Samples
from transpike.passes.thresholds.base import Layer, Streamed, first_of

HALVINGS = 60
FARTHEST = 8.0  # deviations from the mean: hardly any value lies beyond
RARE = -6.0  # a mean so many deviations below 0 leaves a ReLU nothing to suit


@dataclass(frozen=True)
class Gaussian(Streamed):
    """The threshold of least mean squared error for a Gaussian pre-activation, from its mean and variance per channel.

    See `gaussian_thresholds`, for N = most T levels and rounding to the nearest level (a start at half a threshold). A
    channel that does not vary gets its mean. Needs the time steps.
    Source: closed-form threshold iteration (DCGS, ICML 2025); the general form: H-MT (AAAI 2026), equation 29.
    """

    fits_time: ClassVar[str] = "A Gaussian threshold"

    def observed(self, layer: Layer) -> str:
        return layer.node.inputs[0]

    def empty(self, rows: int, *, each_neuron: bool) -> Moments:  # noqa: ARG002 - four numbers a row are few
        return Moments(rows)

    def thresholds(self, statistic: Moments, layer: Layer, samples: Samples) -> Tensor:
        levels = layer.levels(samples.steps_for(self.fits_time))
        found = gaussian_thresholds(statistic.mean, statistic.variance.sqrt(), levels)
        return torch.where(statistic.silent, 0.0, first_of(found, statistic.mean))


def fixed_point_factor(theta: Tensor, mean: Tensor, deviation: Tensor, levels: int, lowest: int, highest: int) -> Tensor:
    """Return k, with which theta <- k theta lowers the error of q(z) = theta/N clip(floor(N z / theta + 1/2), a, b).

    k = [(mean N / theta) (2a + sum erfc z_i) + (deviation N / theta) sqrt(2/pi) sum exp(-z_i^2)]
        / [2 a^2 + sum (2i - 1) erfc z_i],  z_i = ((2i - 1) theta / (2N) - mean) / (sqrt(2) deviation),  i = a+1 ... b,
    for z normal with these moments [rows], N = `levels`, a = `lowest`, b = `highest`: k = (N / theta) E[n z] / E[n^2] with the
    level n of z. With erfc in place of 1 - erf it keeps its precision where z is far from the levels. a = 0, b = N is a
    ReLU; a = -N, b = N a signed signal.
    """
    i = torch.arange(lowest + 1, highest + 1, dtype=torch.float64)
    z = ((2 * i - 1) * (theta / (2 * levels))[:, None] - mean[:, None]) / (math.sqrt(2) * deviation[:, None])
    beyond = torch.erfc(z)
    slope = mean * (2 * lowest + beyond.sum(1)) + deviation * math.sqrt(2 / math.pi) * torch.exp(-z.square()).sum(1)
    return slope * (levels / theta) / (2 * lowest**2 + ((2 * i - 1) * beyond).sum(1))


def gaussian_thresholds(mean: Tensor, deviation: Tensor, levels: int, lowest: int = 0, highest: int | None = None) -> Tensor:
    """Return the range theta of least squared error per row in float64, where `fixed_point_factor` is 1; 0 if there is none.

    There the squared error's derivative by the range vanishes: at a border between levels both are equally far. The root
    is found by halving an interval: iterating theta <- k theta, as the sources do 100 times from 1, moves so slowly that the
    result depends on where it started. There is none for rows that do not vary, nor for a ReLU of values that are almost
    never above 0 (mean below -6 deviations).
    Source: Huang et al. 2025 (ICML, DCGS), threshold iteration; the general form: H-MT (AAAI 2026), equation 29.

    >>> one = torch.ones(1)
    >>> [round(float(gaussian_thresholds(0 * one, one, levels)), 3) for levels in (1, 4, 16)]
    [1.224, 2.135, 2.933]
    """
    highest = levels if highest is None else highest
    mean, deviation = mean.double(), deviation.double()
    usable = (deviation > 0) & ((mean > RARE * deviation) | (lowest < 0))
    deviation = deviation.where(deviation > 0, 1.0)
    high = mean.abs() + FARTHEST * deviation
    low = torch.zeros_like(high)
    for _ in range(HALVINGS):
        theta = (low + high) / 2
        too_small = fixed_point_factor(theta, mean, deviation, levels, lowest, highest) > 1
        low, high = torch.where(too_small, theta, low), torch.where(too_small, high, theta)
    return torch.where(usable, high, 0.0)
