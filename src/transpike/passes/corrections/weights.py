"""Correct the weights before a layer for the error of what reaches them."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.calibration.layer import Layer
from transpike.calibration.patches import from_rows, patches, product
from transpike.ops import Convolution, Linear

PIECE = 2**13  # rows at once
ROWS = 2**15  # at most this many input patches enter the regression,
VALUES = 2**27  # and about this many values of them, but at least eight patches for each weight of an output


@dataclass(frozen=True)
class RidgeWeights:
    """Fit the weights before a layer to the mean spikes that reach them, by ridge regression.

    With X the input patches of the mean input and a column of ones, Y what the layer's current lacks against the ANN's
    pre-activation z: (X'X/n + strength mean(diag X'X/n) I) D = X'Y/n, the ones unpenalised; weights and bias grow by D.
    Then `rounds` times more, for what the rectifier lets through: where z is below -m, with m = `margin` standard deviations
    of its channel, a current below -m is as good as z, so that Y is what it lacks to -m, or 0.
    Layers without a weighted op of their own (see `Site`), or with one of a kind that has no patches here, stay.
    Source: this project; in the spirit of the layer-wise weight calibration of Li et al. 2021, in closed form.
    """

    strength: float = 1e-2
    margin: float = 0.3
    rounds: int = 6

    def __call__(self, layer: Layer) -> Layer:
        if layer.site is None:
            return layer
        op = layer.site.op
        wanted = as_rows(op, layer.site.wanted)
        kept = kept_positions(wanted.shape[0], wanted.shape[1], op.weight[0].numel()).to(wanted.device)
        inputs = patches(op, layer.site.rates, kept)
        if inputs is None:
            return layer
        counts = as_rows(op, layer.weighted(torch.ones_like(layer.site.wanted)))[:, kept, :1]
        change = self.solved(inputs, as_rows(op, layer.site.residual(op))[:, kept], wanted[:, kept], counts)
        weight = from_rows(op, change[:-1].T.to(op.weight))
        bias = change[-1].to(op.weight)
        old = torch.zeros_like(bias) if op.bias is None else op.bias
        corrected = dataclasses.replace(op, weight=op.weight + weight, bias=old + bias, original=op.analogue())
        return layer.with_weights(corrected)

    def solved(self, inputs: Tensor, lacking: Tensor, wanted: Tensor, counts: Tensor) -> Tensor:
        """Return the change [features + 1, outputs] from inputs [n, positions, features], and Y and z alike.

        Each row counts `counts` [n, positions, 1] times.
        """
        x, y, z, times = (value.flatten(0, 1).split(PIECE) for value in (inputs, lacking, wanted, counts))
        x = [torch.cat([rows, rows.new_ones(len(rows), 1)], 1) for rows in x]
        counted = x if bool((counts == 1).all()) else [xi * ti for xi, ti in zip(x, times, strict=True)]
        gram = product(counted, x)
        penalty = torch.full((len(gram),), self.strength * float(gram.diagonal()[:-1].mean()), dtype=torch.float64)
        penalty[-1] = 0.0
        inverse = torch.linalg.pinv(gram + torch.diag(penalty), hermitian=True)
        limit = -self.margin * wanted.flatten(0, 1).std(0)
        change = inverse @ product(counted, y)
        for _ in range(self.rounds):
            moved = change.to(inputs)
            left = [
                yi.where(zi > limit, torch.minimum(xi @ moved, yi - zi + limit)) for xi, yi, zi in zip(x, y, z, strict=True)
            ]
            change = inverse @ product(counted, left)
        return change


def as_rows(op: Linear | Convolution, value: Tensor) -> Tensor:
    """Return the output of `op` as [n, positions, outputs], in the order of `patches`."""
    return value.flatten(2).mT if isinstance(op, Convolution) else value.reshape(1, -1, value.shape[-1])


def kept_positions(samples: int, positions: int, features: int) -> Tensor:
    """Return which positions of [samples, positions, features] enter the regression, drawn with a fixed seed."""
    most = max(1, math.ceil(max(min(ROWS, VALUES // features), 8 * features) / samples))
    if positions <= most:
        return torch.arange(positions)
    return torch.randperm(positions, generator=torch.Generator().manual_seed(0))[:most].sort().values
