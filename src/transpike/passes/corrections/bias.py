"""Corrections that add a constant current, or one per step, to each channel."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.calibration.layer import Layer

VALUES = 2**15  # of a channel, on which its biases for each step are fitted


def add_bias(layer: Layer, change: Tensor) -> Layer:
    """Return the layer with `change` [channels] or [time, channels] added to its neurons' current."""
    rows = change if change.ndim > 1 else change[None]
    added = torch.stack([layer.spread(row) for row in rows])
    bias = layer.neuron.bias
    return layer.with_neuron(bias=added if bias is None else bias + added)


@dataclass(frozen=True)
class MatchCurrent:
    """Shift each channel's current by what its mean lacks: bias += mean(z_ANN - z_SNN) over samples and positions.

    Source: bias correction of quantisation (Nagel et al. 2019), applied to the mean current of the spiking network.
    """

    def __call__(self, layer: Layer) -> Layer:
        return add_bias(layer, layer.channel_mean(layer.pre_activation - layer.mean_current()))


@dataclass(frozen=True)
class MatchOutput:
    """Shift each channel's current by what its mean output lacks: bias += mean(a_ANN - sent).

    Source: Li et al. 2021 (ICML), light pipeline, bias calibration.
    """

    def __call__(self, layer: Layer) -> Layer:
        sent = layer.response(layer.neuron)
        return add_bias(layer, layer.channel_mean(layer.activation - sent))


@dataclass(frozen=True)
class ForwardTemporalBias:
    """Give each channel a bias for each step, from the error of what was sent up to that step.

    Step by step: bias[t, c] -= rate * mean(sent so far / t - a_ANN), and the step is repeated with the new bias before
    the next one. `passes` runs over the samples. The network is then for this number of steps only.
    Source: FTBC (Wu et al. 2024, ECCV), signed form, which takes the running mean instead of the single spike.
    """

    rate: float = 0.5
    passes: int = 3

    def __call__(self, layer: Layer) -> Layer:
        layer.each_step("FTBC")
        bias = torch.zeros(layer.time_steps, layer.channels, dtype=torch.float64)
        some = layer.thinned(VALUES)
        for _ in range(self.passes):
            bias = self.improved(some, bias)
        return add_bias(layer, bias)

    def improved(self, layer: Layer, bias: Tensor) -> Tensor:
        """Return the biases [time, channels] after one run over all samples."""
        improved = bias.clone()
        state = layer.neuron.start(layer.currents[0])
        for step, current in enumerate(layer.currents):
            trial = copy.deepcopy(state)
            add_bias(layer, improved[step]).neuron.step(trial, current)
            sent = trial.transmitted() / (step + 1)
            improved[step] += self.rate * layer.channel_mean(layer.activation - sent)
            add_bias(layer, improved[step]).neuron.step(state, current)
        return improved
