"""Corrections of layers in whole numbers, after rounding."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch

from transpike.calibration.layer import Layer
from transpike.calibration.patches import from_rows, kernel_rows, patches, product
from transpike.passes.corrections.weights import PIECE, RidgeWeights, as_rows, kept_positions
from transpike.passes.rounding import compensated


@dataclass(frozen=True)
class RoundAgain:
    """Fit the weights before a layer to the spikes that really reach them, and round them anew, up to magnitudes of `most`.

    The weights of the ANN, in the units of the layer, are fitted to the mean spikes (`RidgeWeights`), and rounded so that one
    makes up for another on these spikes (`compensated`); the bias takes over what the mean current then lacks. So a layer
    makes up for the rounding of all layers before it. Layers without a weighted op of their own stay.
    Source: this project; rounding after Frantar et al. 2023 (GPTQ).
    """

    most: int

    def __call__(self, layer: Layer) -> Layer:
        if layer.site is None:
            return layer
        op = layer.site.op
        exact = op.analogue()
        assert isinstance(exact, type(op))
        fitted = RidgeWeights()(layer.with_weights(exact)).site
        assert fitted is not None
        lacking = as_rows(op, layer.site.residual(op))
        kept = kept_positions(lacking.shape[0], lacking.shape[1], op.weight[0].numel()).to(lacking.device)
        inputs = patches(op, layer.site.rates, kept)
        if inputs is None:
            return layer
        rows = inputs.flatten(0, 1).split(PIECE)
        matrix = kernel_rows(fitted.op).double()
        whole = compensated(matrix, torch.ones((), dtype=torch.float64), self.most, product(rows, rows))
        changed = dataclasses.replace(fitted.op, weight=from_rows(op, whole.to(op.weight)), original=exact)
        missing = as_rows(op, layer.site.residual(changed)).mean((0, 1)).to(op.weight)
        bias = missing if changed.bias is None else changed.bias + missing
        return layer.with_weights(dataclasses.replace(changed, bias=bias.round()))


@dataclass(frozen=True)
class RoundNeurons:
    """Round the thresholds of a layer to whole numbers, 1 at least, and its constant currents."""

    def __call__(self, layer: Layer) -> Layer:
        bias = layer.neuron.bias
        return layer.with_neuron(
            threshold=layer.neuron.threshold.round().clamp(min=1), bias=None if bias is None else bias.round()
        )
