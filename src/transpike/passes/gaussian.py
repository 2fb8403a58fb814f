"""The threshold at which a quantised ReLU of Gaussian values has the least mean squared error."""

from __future__ import annotations

import math

import torch
from torch import Tensor

HALVINGS = 60
FARTHEST = 8.0  # deviations from the mean: hardly any value lies beyond
RARE = -6.0  # a mean so many deviations below 0 leaves nothing to suit


def gaussian_threshold(mean: Tensor, deviation: Tensor, levels: int) -> Tensor:
    """Return, per channel in float64, the range theta of a quantised ReLU that suits Gaussian pre-activations.

    f(x) = theta/N clip(floor(N x / theta + 1/2), 0, N) has the least mean squared error to ReLU(x), x normal with `mean`
    and standard `deviation`, N = `levels`, where k(theta) = 1: with
    z_i = ((2i - 1) theta / (2N) - mean) / (sqrt(2) deviation), i = 1 ... N, and erfc = 1 - erf,
      k = [ mean/theta * 1/N sum erfc z_i + deviation/theta sqrt(2/pi) 1/N sum exp(-z_i^2) ] / [ 1/N^2 sum (2i-1) erfc z_i ].
    The root is found by halving an interval: iterating theta <- k theta, as the source does 100 times from 1, moves so
    slowly that the result depends on where it started. 0 where a channel is almost never active (mean below -6
    deviations) or constant: there is nothing to suit.
    Source: Huang et al. 2025 (ICML, DCGS), threshold iteration.

    >>> gaussian_threshold(torch.zeros(1), torch.ones(1), 64).round(decimals=1).tolist()
    [3.6]
    """
    mean, deviation = mean.double()[:, None], deviation.double()[:, None]
    usable = (deviation > 0) & (mean > RARE * deviation)
    deviation = deviation.where(deviation > 0, 1.0)
    high = mean.abs() + FARTHEST * deviation
    low = torch.zeros_like(high)
    for _ in range(HALVINGS):
        theta = (low + high) / 2
        too_small = growth(theta, mean, deviation, levels) > 1
        low, high = torch.where(too_small, theta, low), torch.where(too_small, high, theta)
    return torch.where(usable, high, 0.0)[:, 0]


def growth(theta: Tensor, mean: Tensor, deviation: Tensor, levels: int) -> Tensor:
    """Return k(theta): above 1 where a larger range is better."""
    odd = 2 * torch.arange(1, levels + 1, dtype=torch.float64) - 1
    z = (odd * theta / (2 * levels) - mean) / (math.sqrt(2) * deviation)
    above, bell = torch.erfc(z), torch.exp(-z.square())
    top = mean * above.mean(1, keepdim=True) + deviation * math.sqrt(2 / math.pi) * bell.mean(1, keepdim=True)
    return top / (theta * (odd * above).sum(1, keepdim=True) / levels**2)
