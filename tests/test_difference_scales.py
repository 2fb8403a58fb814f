"""The sizes of differential spikes follow what is left to say: each scale is the best one, and answers come nearer."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

import transpike as tp
from helpers import ZOO, answers
from transpike.calibration import Samples
from transpike.data import Batch
from transpike.errors import ArgumentError
from transpike.neurons import DifferenceNeuron
from transpike.ops import Identity
from transpike.passes import FitScales
from transpike.simulation.decoded import refusal

DIFFERENTIAL = tp.recipes["differential"]


def layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2)).double().eval()


def nearest(owed, sizes, most):
    """What a neuron sends, found among all sizes by its distance; `most` is what it may take back."""
    smallest = 15 / 16 * sizes.min()
    if owed >= 0:
        return sizes[np.abs(sizes - owed).argmin()] if owed >= smallest else 0.0
    may = sizes[sizes <= most * (1 + 1e-4)]
    wanted = sizes[np.abs(sizes + owed).argmin()] if -owed >= smallest else 0.0
    return -min(wanted, may.max(initial=0.0))


def sent_with(power, owed, thresholds, op, taken_back):
    """What a layer [samples, neurons] sends with a scale of 2^power, for a mantissa of two bits."""
    fine = [1.0, *(part / 2**k for k in range(1, op.levels) for part in (1.0, 1.25, 1.5, 1.75))]
    sizes = np.array([size * 2.0**power for size in fine] + [2.0**-k for k in range(-power)])
    sent = np.zeros_like(owed)
    for place in np.ndindex(*owed.shape):
        sent[place] = nearest(owed[place], sizes * thresholds[place[1]], taken_back[place])
    return sent


def test_each_scale_has_the_least_error_of_all_powers():
    """Layer by layer and step by step, found again on decoded values by a search over all sizes."""
    model, x = layers(), torch.rand(40, 3, dtype=torch.float64)
    network = tp.convert(model, x, "differential")
    spiking = [node.op for node in network.having(DifferenceNeuron)]
    assert len(spiking) == 2
    rates = [np.zeros((40, 5)), np.zeros((40, 4))]
    for step in range(1, 9):
        below = model[0](x).detach().numpy()
        for i, (op, weights) in enumerate(zip(spiking, (model[2], model[4]), strict=True)):
            owed = (below - rates[i]) * step
            thresholds = np.broadcast_to(op.threshold.numpy().reshape(-1), len(rates[i][0]))
            assert op.mantissa == 2
            tried = {power: sent_with(power, owed, thresholds, op, step * rates[i]) for power in range(-7, 4)}
            errors = {2.0**power: ((owed - sent) ** 2).sum() for power, sent in tried.items()}
            assert errors[op.scale(step)] <= min(errors.values()) * (1 + 1e-9), (step, i)
            rates[i] = rates[i] + tried[round(np.log2(op.scale(step)))] / step
            below = weights(torch.from_numpy(rates[i])).detach().numpy()


@pytest.mark.filterwarnings("ignore:Thresholds rest on")
@pytest.mark.parametrize("name", ["mlp", "vgg-bn", "resnet", "mobilenet-v2"])
def test_answers_to_other_samples_come_nearer(name):
    """Scales are fitted to a few samples; on others, with larger values, the error after 8 steps is less than half."""
    model, samples = ZOO[name]()
    model, samples = model.double(), samples.double()
    fitted, judged = samples[: len(samples) // 2], samples[len(samples) // 2 :]
    plain = dataclasses.replace(DIFFERENTIAL, passes=DIFFERENTIAL.passes[:-1])
    errors = []
    for recipe in (DIFFERENTIAL, plain):
        network = tp.convert(model, fitted, recipe)
        (wanted,) = answers(network.analogue(), (judged,))
        errors.append(float((tp.simulate(network, judged, 8).outputs[-1] - wanted).norm()))
    assert isinstance(DIFFERENTIAL.passes[-1], FitScales)
    assert errors[0] < errors[1] / 2


def test_the_last_scale_stays():
    network = tp.convert(layers(), torch.rand(40, 3, dtype=torch.float64), "differential")
    for node in network.having(DifferenceNeuron):
        assert len(node.op.scales) == 8
        assert node.op.scale(9) == node.op.scale(100) == float(node.op.scales[-1])


def test_what_is_large_is_sent_at_once_all_the_same():
    """Fine sizes end at the scale; above it are powers of two up to the threshold."""
    fine = torch.tensor(2.0**-3, dtype=torch.float64)
    one = torch.tensor(1.0, dtype=torch.float64)
    neuron = DifferenceNeuron(one, torch.zeros_like(one), Identity(), levels=7, mantissa=2, scales=fine[None])
    for owed, sent in ((0.9, 1.0), (-0.5, -0.5), (0.3, 0.25), (0.17, 0.125), (0.1, 0.09375), (9.0, 1.0)):
        x = torch.tensor([[owed]], dtype=torch.float64)
        assert neuron.step(neuron.start(x), x).item() == sent
    assert neuron.bits_per_spike == DIFFERENTIAL.method.bits_per_spike == 6


def test_networks_without_a_form_on_values_keep_one_scale():
    """Such as one whose neurons start from a potential."""
    x = torch.rand(40, 3, dtype=torch.float64)
    plain = tp.convert(layers(), x, dataclasses.replace(DIFFERENTIAL, passes=DIFFERENTIAL.passes[:-1]))
    begun = with_half_charged_neurons(plain)
    assert "do not start from a potential of 0" in refusal(begun)
    samples = Samples([Batch((x,))], 8)
    assert FitScales()(begun, samples) is begun
    assert all(node.op.scales is not None for node in FitScales()(plain, samples).having(DifferenceNeuron))


def with_half_charged_neurons(network):
    def change(node):
        return dataclasses.replace(node.op, initial=node.op.initial + 0.5) if isinstance(node.op, DifferenceNeuron) else node.op

    return network.map_ops(change)


def test_steps_are_counted():
    with pytest.raises(ArgumentError, match="steps must be a whole number of at least 1, not 0"):
        FitScales(0)
