"""Round weights to few levels so that what a layer computes changes least, not each weight for itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

DAMPING = 0.01  # of the mean of the diagonal
FACTORS = (1.0, 1.1, 1.25, 1.4, 1.6, 1.8, 2.0, 2.4, 2.8, 3.4, 4.0)  # how much finer than the largest weight asks for


def nearest(weight: Tensor, unit: Tensor, most: int) -> Tensor:
    """Return whole numbers n [outputs, inputs] of magnitude at most `most` with n / unit closest to `weight`."""
    return (weight * unit).round().clamp(-most, most)


def compensated(weight: Tensor, unit: Tensor, most: int, covariance: Tensor) -> Tensor:
    """Return whole numbers n [outputs, inputs], |n| <= most, for which (n / unit - W) covariance (n / unit - W)' is small.

    Inputs are rounded one after another, those that vary most first; what one leaves over, the later ones take on as far as
    they vary with it. `unit` is a number, or one per output [outputs, 1]; `covariance` [inputs, inputs] is of what the
    weights meet. In float64. Source: Frantar et al. 2023 (GPTQ), after the optimal brain surgeon of Hassibi and Stork 1993.

    >>> weight, same = torch.tensor([[0.4, 0.4]]), torch.ones(2, 2)  # two inputs that are always the same
    >>> nearest(weight, torch.tensor(1.0), 7).tolist(), compensated(weight, torch.tensor(1.0), 7, same).tolist()
    ([[0.0, 0.0]], [[0.0, 1.0]])
    """
    damping = DAMPING * float(covariance.diagonal().mean())
    if damping == 0:
        return nearest(weight, unit, most)
    order = covariance.diagonal().argsort(descending=True, stable=True)
    damped = covariance[order][:, order].double() + damping * torch.eye(len(order), dtype=torch.float64)
    inverse = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(damped)), upper=True)
    left = weight.double()[:, order]
    whole = torch.zeros_like(left)
    for i in range(left.shape[1]):
        column = left[:, i : i + 1]
        whole[:, i : i + 1] = nearest(column, unit, most)
        lost = (column - whole[:, i : i + 1] / unit) / inverse[i, i]
        left[:, i + 1 :] -= lost * inverse[i, i + 1 :]
    result = torch.empty_like(whole)
    result[:, order] = whole
    return result.to(weight.dtype)


def finest_unit(weights: Sequence[tuple[Tensor, Tensor]], peak: Tensor, most: int, limit: int) -> Tensor:
    """Return how many whole steps make 1, in the shape of `peak`: the number at which rounding to the nearest loses least.

    `weights` are those [outputs, inputs] that add up in the same neurons, each with the covariance of its inputs; `peak`
    [outputs, 1] holds the largest magnitudes in each row, or [1, 1] that of all, for one unit. A unit is whole, since a
    threshold of 1 must be, and from 1 to `limit`. Weights beyond the range are cut off.
    """
    best, least = torch.ones_like(peak), torch.full_like(peak, torch.inf)
    for factor in FACTORS:
        unit = (factor * most / peak.clamp(min=1e-12)).floor().clamp(1, limit)
        errors = [lost_square(weight, unit, most, covariance) for weight, covariance in weights]
        error = torch.stack(errors).sum(0).sum_to_size(peak.shape)
        best, least = torch.where(error < least, unit, best), torch.minimum(error, least)
    return best


def lost_square(weight: Tensor, unit: Tensor, most: int, covariance: Tensor) -> Tensor:
    """Return the mean square [outputs, 1] of what rounding to the nearest changes in a layer's currents."""
    lost = nearest(weight, unit, most) / unit - weight
    return ((lost @ covariance) * lost).sum(1, keepdim=True)
