"""Search the threshold and the initial potential of each channel on the spikes that really reach it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.calibration.layer import Layer

LEAST_GAIN, MOST_GAIN = 0.5, 2.0
SAMPLE_STEPS = 1600  # samples times steps that each candidate is tried on,
VALUES = 2**14  # at so many values of a channel in each step


def fitted_gain(layer: Layer, sent: Tensor) -> Tensor:
    """Return the factor g [channels] in [0.5, 2] that minimises mean (g sent - a_ANN)^2; 1 for a silent channel."""
    power = layer.channel_mean(layer.weighted(sent.square()))
    factor = layer.channel_mean(layer.weighted(sent * layer.activation)) / power.where(power > 0, 1.0)
    return factor.clamp(LEAST_GAIN, MOST_GAIN).where(power > 0, 1.0)


@dataclass(frozen=True)
class SearchThreshold:
    """Choose threshold and initial potential per channel by running the neuron on the currents that it receives.

    Candidates: `factors` times the present threshold, then `initials` (fractions of it), then `fine` factors. Each channel
    keeps the one with the least mean (g sent - a_ANN)^2, where g is 1, or with `free_height` the best factor in [0.5, 2],
    which `FitHeight` or `FitHeights` can give it afterwards. Source: this project.
    """

    free_height: bool = True
    factors: tuple[float, ...] = (0.35, 0.435, 0.541, 0.672, 0.835, 1.037, 1.288, 1.6)
    initials: tuple[float, ...] = (-0.5, 0.0, 0.25, 0.5, 0.75, 1.0)
    fine: tuple[float, ...] = (0.85, 0.92, 1.08, 1.17)

    def __call__(self, layer: Layer) -> Layer:
        sample = layer.first(max(64, min(200, SAMPLE_STEPS // layer.time_steps))).thinned(VALUES)
        whole = torch.ones_like(layer.activation[0])
        threshold, initial = (layer.channel_mean(value * whole) for value in (layer.neuron.threshold, layer.neuron.initial))
        best = self.error(sample, threshold, initial)
        candidates = [(self.factors, None), ((1.0,), self.initials), (self.fine, None)]
        for factors, initials in candidates:
            base, first = threshold, initial
            for factor, start in itertools.product(factors, initials or (None,)):
                tried = base * factor
                begun = first if start is None else torch.full_like(first, start)
                error = self.error(sample, tried, begun)
                better = error < best
                best = best.where(~better, error)
                threshold, initial = threshold.where(~better, tried), initial.where(~better, begun)
        return layer.with_neuron(threshold=layer.spread(threshold), initial=layer.spread(initial))

    def error(self, layer: Layer, threshold: Tensor, initial: Tensor) -> Tensor:
        """Return the error of each channel with these thresholds and initial potentials [channels]."""
        tried = layer.with_neuron(threshold=layer.spread(threshold), initial=layer.spread(initial))
        sent = layer.response(tried.neuron)
        if self.free_height:
            sent = sent * layer.spread(fitted_gain(layer, sent))
        return layer.channel_mean(layer.weighted((sent - layer.activation).square()))
