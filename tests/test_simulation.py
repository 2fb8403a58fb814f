"""The engine against the literal simulator, over the lists and over random networks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import transpike as tp
from helpers import MODELS, converted, quick
from random_networks import networks
from reference import simulate_literally
from transpike.neurons import DifferenceNeuron
from transpike.simulation import Record, counting_nodes

# Sums of about 1,000 products in float64, taken in another order, differ by some 1e-13; the answers are of order 1.
ROUNDING = 1e-9


def run(network, inputs, time_steps, **options):
    """Simulate with all spike trains recorded; return (outputs by key, spike trains by node) as arrays."""
    record = Record(spikes=counting_nodes(network))
    recording = tp.simulate(network, inputs, time_steps, record=record, **options)
    single = isinstance(recording.outputs, torch.Tensor)
    outputs = {next(iter(network.outputs)): recording.outputs} if single else recording.outputs
    return as_arrays(outputs), as_arrays(recording.spikes)


def as_arrays(tensors):
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def assert_same_spikes(these, those):
    assert these.keys() == those.keys()
    for name, train in these.items():
        np.testing.assert_array_equal(train, those[name], err_msg=name)


def assert_agrees_with_reference(network, inputs, time_steps):
    outputs, spikes = run(network, inputs, time_steps)
    wanted, trains = simulate_literally(network, inputs, time_steps)
    assert_same_spikes(spikes, trains)
    assert outputs.keys() == wanted.keys()
    for key, values in wanted.items():
        np.testing.assert_allclose(outputs[key], values, rtol=0, atol=ROUNDING * max(1, abs(values).max()))


@pytest.mark.parametrize("name", quick(MODELS))
def test_engine_agrees_with_reference(name):
    inputs, network = converted(name, tp.recipes["rate"])
    assert_agrees_with_reference(network, tuple(x[:2] for x in inputs), 7)


ELSEWHERE = {"rate", "rate-basic", "qcfs", "ttfs-clamped"}  # tested elsewhere, or need a trained model
STEPPED = [n for n, r in tp.recipes.items() if r.method.schedule == "concurrent" and n not in ELSEWHERE]


def without_ties(network):
    """Move thresholds of difference neurons: from equal ones a join owes exact halves of sizes."""

    def moved(node):
        if not isinstance(node.op, DifferenceNeuron):
            return node.op
        return dataclasses.replace(node.op, threshold=node.op.threshold * (1 + torch.rand_like(node.op.threshold) / 1000))

    return network.map_ops(moved)


@pytest.mark.parametrize("recipe", STEPPED)
@pytest.mark.parametrize("name", quick(["resnet", "u-net"], {"resnet"}))
def test_engine_agrees_with_reference_for_every_kind_of_neurons(name, recipe):
    inputs, network = converted(name, tp.recipes[recipe], time_steps=14)
    assert_agrees_with_reference(without_ties(network), tuple(x[:1] for x in inputs), 14)


@pytest.mark.parametrize("name", ["lenet", "resnet", "two-inputs"])
def test_engine_agrees_with_reference_for_poisson_input(name):
    inputs, network = converted(name, tp.recipes["rate"].poisson(seed=3))
    assert_agrees_with_reference(network, tuple(x[:3] for x in inputs), 5)


@given(networks(), st.integers(1, 10), st.integers(1, 8))
def test_engine_agrees_with_reference_on_random_networks(drawn, time_steps, batch):
    network, inputs = drawn
    inputs = inputs[:batch]
    assert_agrees_with_reference(network, (inputs[:2],), time_steps)
    _, spikes = run(network, inputs, time_steps)
    for block in (1, 2, 7):
        assert_same_spikes(run(network, inputs, time_steps, block=block)[1], spikes)


@pytest.mark.parametrize("name", ["vgg-bn", "inception", "signals-1d", "two-inputs"])
def test_order_of_samples_is_kept(name):
    inputs, network = converted(name, tp.recipes["rate"])
    order = torch.tensor([4, 0, 3, 1, 2, 5])
    outputs, spikes = run(network, tuple(x[:6] for x in inputs), 9)
    swapped, swapped_spikes = run(network, tuple(x[order] for x in inputs), 9)
    assert_same_spikes(swapped_spikes, {name: train[:, order] for name, train in spikes.items()})
    for key, values in outputs.items():
        np.testing.assert_allclose(swapped[key], values[:, order], rtol=0, atol=ROUNDING)


def test_counts_are_sums_of_spike_trains():
    inputs, network = converted("resnet", tp.recipes["rate"])
    names = counting_nodes(network)
    recording = tp.simulate(network, inputs[0][:5], 12, record=Record(spikes=names, counts=names))
    assert len(names) == 5
    for name in names:
        assert torch.equal(recording.spikes[name].sum(0).to(recording.counts[name].dtype), recording.counts[name])
        assert torch.equal(recording.counts[name].flatten(1).sum(1).long(), recording.spike_counts[name])
    assert sum(int(count.sum()) for count in recording.spike_counts.values()) > 100


def test_potentials_stay_what_the_charge_says():
    """Potential = initial + received - sent; the last layer's integrator holds the sum that its output divides."""
    inputs, network = converted("mlp", tp.recipes["rate"])
    answer = network.outputs["output"]
    recording = tp.simulate(network, inputs[0][:4], 10, record=Record(potentials=[answer]))
    steps = torch.arange(1, 11, dtype=torch.float64)[:, None, None]
    torch.testing.assert_close(recording.potentials[answer] / steps, recording.outputs, rtol=0, atol=1e-15)
