"""Fit what a spike is worth to its receivers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.calibration.layer import Layer, run
from transpike.passes.corrections.threshold import LEAST_GAIN, MOST_GAIN, fitted_gain

VALUES = 2**16  # of a channel in each step, on which heights are fitted


@dataclass(frozen=True)
class FitHeight:
    """Let a neuron fire and reset at its threshold but send g times it, per channel: g = sum(sent a_ANN) / sum(sent^2).

    g is kept in [0.5, 2]. The factor folds into the weights that receive the spike: it costs nothing.
    Source: this project.
    """

    def __call__(self, layer: Layer) -> Layer:
        factor = fitted_gain(layer, layer.response(layer.neuron))
        whole = torch.ones_like(layer.activation[:1])
        return layer.with_neuron(height=spread_height(layer, factor[None], layer.neuron.threshold * whole[0]))


@dataclass(frozen=True)
class FitHeights:
    """Fit what a spike is worth for each step and channel, by ridge regression towards one height.

    With o[q] the thresholds sent in step q: (A + ridge mean(diag A) I) g = R + ridge mean(diag A) g0, where
    A[q, w] = mean(o[q] o[w]) / T^2, R[q] = mean(o[q] a_ANN) / T, g0 = sum R / sum A in [0.5, 2]; g in [0, 4].
    Spikes stay binary: the receiving weights are a table of T x channels. The network is then for this T only.
    Source: this project.
    """

    ridge: float = 1e-2
    most: float = 4.0

    def __call__(self, layer: Layer) -> Layer:
        layer.each_step("A height for each step")
        steps = layer.neuron.counted(layer.time_steps)
        some = layer.thinned(VALUES)
        sent = run(some.neuron, some.currents)
        trains = torch.stack([some.per_channel(step) for step in sent], 1)  # [channels, time, values]
        wanted = some.per_channel(some.activation)
        values = trains.shape[2]
        gram = (trains @ trains.mT).double().cpu() / (values * steps**2)
        right = (trains @ wanted[..., None])[..., 0].double().cpu() / (values * steps)
        factors = self.solved(gram, right)
        whole = torch.ones_like(layer.activation[0])
        return layer.with_neuron(height=spread_height(layer, factors.T, layer.neuron.threshold * whole))

    def solved(self, gram: Tensor, right: Tensor) -> Tensor:
        """Return the factors [channels, time] from A [channels, time, time] and R [channels, time]."""
        scale = gram.diagonal(dim1=1, dim2=2).mean(1)
        silent = scale <= 0
        total = gram.sum((1, 2))
        mean = (right.sum(1) / total.where(~silent, 1.0)).clamp(LEAST_GAIN, MOST_GAIN).where(~silent, 1.0)
        weight = self.ridge * scale.where(~silent, 1.0)
        system = gram + weight[:, None, None] * torch.eye(gram.shape[1], dtype=gram.dtype)
        solution = torch.linalg.solve(system, right + weight[:, None] * mean[:, None])
        return solution.clamp(0, self.most)


def spread_height(layer: Layer, factors: Tensor, threshold: Tensor) -> Tensor:
    """Return heights [rows, ...] from factors [rows, channels] and the thresholds of one sample."""
    per_channel = layer.channel_mean(threshold)
    return torch.stack([layer.spread(row * per_channel) for row in factors])
