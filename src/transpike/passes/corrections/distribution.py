"""Shift what a layer receives and what it sends towards its unquantised self."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from transpike.calibration.layer import Layer
from transpike.passes.corrections.bias import add_bias
from transpike.passes.corrections.height import spread_height


@dataclass(frozen=True)
class ShiftDistribution:
    """Shift a layer's input by psi and the height of its spikes by phi, per channel, so that quantising moves no mean.

    With z the mean current that the layer really receives: psi <- (1 - rate) psi + rate mean(f(z) - sent), then
    phi <- (1 - rate) phi + rate mean(f(z) - sent) with spikes of height threshold + phi, each repeated `repeats` times;
    f is the activation. Source: distribution-aware QCFS of parallel conversion (ICML 2025), stage 2 of its training-free form.
    """

    rate: float = 0.1
    repeats: int = 30

    def __call__(self, layer: Layer) -> Layer:
        wanted = layer.neuron.activation(layer.mean_current())
        psi = torch.zeros(layer.channels, dtype=torch.float64)
        for _ in range(self.repeats):
            sent = add_bias(layer, psi).response(add_bias(layer, psi).neuron)
            psi = (1 - self.rate) * psi + self.rate * layer.channel_mean(wanted - sent)
        shifted = add_bias(layer, psi)
        threshold = shifted.neuron.threshold * torch.ones_like(layer.activation[0])
        height = layer.channel_mean(threshold)
        base = layer.channel_mean(shifted.response(shifted.neuron)) / height
        phi = torch.zeros_like(psi)
        for _ in range(self.repeats):
            phi = (1 - self.rate) * phi + self.rate * (layer.channel_mean(wanted) - base * (height + phi))
        return shifted.with_neuron(height=spread_height(layer, ((height + phi) / height)[None], threshold))
