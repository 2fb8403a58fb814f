"""Correct the initial potential of each neuron."""

from __future__ import annotations

from dataclasses import dataclass

from transpike.calibration.layer import Layer


@dataclass(frozen=True)
class MatchPotential:
    """Start each neuron with the charge that it lacks: v[0] += T mean(a_ANN - sent) over samples, per neuron.

    Source: Li et al. 2021 (ICML), advanced pipeline, potential calibration.
    """

    def __call__(self, layer: Layer) -> Layer:
        lacking = (layer.activation - layer.response(layer.neuron)).mean(0) * layer.time_steps
        return layer.with_neuron(initial=layer.neuron.initial + lacking / layer.neuron.threshold)
