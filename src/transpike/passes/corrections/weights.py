"""Correct the weights before a layer for the error of what reaches them."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from transpike.calibration.layerwise import Layer
from transpike.ops import Convolution, Linear

ROWS = 2**18  # at most this many input patches enter the regression,
VALUES = 2**27  # and about this many values of them, but at least eight patches for each weight of an output


@dataclass(frozen=True)
class RidgeWeights:
    """Fit the weights before a layer to the mean spikes that reach them, by ridge regression.

    With X the input patches of the mean input and a column of ones, Y what the layer's current lacks against the ANN's
    pre-activation: (X'X/n + strength mean(diag X'X/n) I) D = X'Y/n, the ones unpenalised; weights and bias grow by D.
    Layers without a weighted op of their own (see `Site`), or with one of a kind that has no patches here, stay.
    Source: this project; in the spirit of the layer-wise weight calibration of Li et al. 2021, in closed form.
    """

    strength: float = 1e-2

    def __call__(self, layer: Layer) -> Layer:
        if layer.site is None:
            return layer
        op = layer.site.op
        inputs = patches(op, layer.site.rates)
        if inputs is None:
            return layer
        lacking = layer.site.residual(op)
        outputs = lacking.flatten(2).mT if isinstance(op, Convolution) else lacking
        change = self.solved(inputs, outputs.reshape(inputs.shape[0], inputs.shape[1], -1))
        weight = change[:-1].T.reshape(op.weight.shape).to(op.weight)
        bias = change[-1].to(op.weight)
        old = torch.zeros_like(bias) if op.bias is None else op.bias
        corrected = dataclasses.replace(op, weight=op.weight + weight, bias=old + bias, original=op.analogue())
        return layer.with_weights(corrected)

    def solved(self, inputs: Tensor, outputs: Tensor) -> Tensor:
        """Return the change [features + 1, outputs] from inputs [n, positions, features] and outputs alike."""
        keep = kept_positions(inputs)
        x = inputs[:, keep].flatten(0, 1)
        y = outputs[:, keep].flatten(0, 1)
        x = torch.cat([x, x.new_ones(len(x), 1)], 1)
        gram, right = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64), torch.zeros(x.shape[1], y.shape[1])
        right = right.double()
        for rows in range(0, len(x), 2**13):
            piece = x[rows : rows + 2**13]
            gram += (piece.T @ piece).double().cpu()
            right += (piece.T @ y[rows : rows + 2**13]).double().cpu()
        gram, right = gram / len(x), right / len(x)
        penalty = torch.full((len(gram),), self.strength * float(gram.diagonal()[:-1].mean()), dtype=torch.float64)
        penalty[-1] = 0.0
        solution: Tensor = torch.linalg.lstsq(gram + torch.diag(penalty), right, driver="gelsd").solution
        return solution


def kept_positions(inputs: Tensor) -> Tensor:
    """Return which positions of [n, positions, features] enter the regression, drawn with a fixed seed."""
    samples, positions, features = inputs.shape
    most = max(1, math.ceil(max(min(ROWS, VALUES // features), 8 * features) / samples))
    if positions <= most:
        return torch.arange(positions)
    return torch.randperm(positions, generator=torch.Generator().manual_seed(0))[:most].sort().values


def patches(op: Linear | Convolution, x: Tensor) -> Tensor | None:
    """Return what each output position of `op` sees of `x` [n, positions, features]; None for kinds not covered."""
    if isinstance(op, Linear):
        return x.reshape(1, -1, x.shape[-1])
    if op.groups != 1 or len(op.stride) > 2:  # noqa: PLR2004 - unfold knows images
        return None
    flat = len(op.stride) == 1
    image = x.unsqueeze(2) if flat else x
    kernel, dilation, padding, stride = (
        (fill, *values) if flat else tuple(values)
        for fill, values in ((1, op.weight.shape[2:]), (1, op.dilation), (0, op.padding), (1, op.stride))
    )
    return F.unfold(image, kernel, dilation, padding, stride).movedim(1, 2)
