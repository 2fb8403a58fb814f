"""Clamped membranes, delayed read-out, and when the first spikes arrive."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import transpike as tp
from helpers import MODELS, converted, quick
from reference import simulate_literally
from transpike.calibration import Samples
from transpike.data import Batch
from transpike.errors import ArgumentError
from transpike.neurons import Integrator, Neuron
from transpike.passes import AfterFirstSpikes, AfterShare, AfterSteps, ClampVoltage, DelayReadOut, apply
from transpike.passes.settle import depths
from transpike.simulation import Record, counting_nodes

CLAMPED = tp.recipes["rate"].variant("clamped", (*tp.recipes["rate"].passes, ClampVoltage(2)))


@given(st.integers(0, 10_000), st.integers(0, 6), st.integers(1, 20))
def test_a_delayed_integrator_leaves_the_first_steps_out(seed, delay, steps):
    x = torch.randn(steps, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    op = Integrator(delay=delay)
    state = op.start(x[0])
    for t in range(1, steps + 1):
        answer = op.step(state, x[t - 1])
        expected = x[:t].mean(0) if t <= delay else x[delay:t].mean(0)
        torch.testing.assert_close(answer, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", quick(MODELS))
def test_clamped_networks_agree_with_the_reference(name):
    inputs, network = converted(name, CLAMPED)
    inputs, steps = tuple(x[:2] for x in inputs), 9
    recording = tp.simulate(network, inputs, steps, record=Record(spikes=counting_nodes(network)))
    wanted, trains = simulate_literally(network, inputs, steps)
    for node, train in trains.items():
        assert torch.equal(recording.spikes[node], torch.from_numpy(train)), node
    outputs = recording.outputs
    outputs = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs.values())
    for ours, theirs in zip(outputs, wanted.values(), strict=True):
        torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=0, atol=1e-9 * max(1, abs(theirs).max()))


@pytest.mark.parametrize("name", ["vgg-bn", "resnet", "densenet"])
def test_no_layer_fires_before_its_turn(name):
    """Layer l is silent for d l steps; what it reads then is not lost, it never came: the layer starts from its start."""
    inputs, network = converted(name, CLAMPED)
    recording = tp.simulate(network, inputs, 30, record=Record(spikes=[node.name for node in network.having(Neuron)]))
    depth = depths(network)
    for node in network.having(Neuron):
        assert node.op.delay == 2 * depth[node.name]
        assert not recording.spikes[node.name][: node.op.delay].any()
        assert recording.spikes[node.name].any()


def test_depth_counts_layers_on_the_longest_path():
    _, network = converted("resnet", tp.recipes["rate"])
    depth, order = depths(network), [node.name for node in network.having(Neuron)]
    assert depth[order[0]] == 0
    assert depth[network.outputs["output"]] == max(depth[name] for name in order) + 1
    for name, node in network.nodes.items():
        for source in node.inputs:
            assert depth[name] >= depth[source] + isinstance(network.nodes[source].op, Neuron)


def test_the_read_out_begins_when_the_last_layer_is_released():
    _, network = converted("vgg-bn", CLAMPED)
    (answer,) = network.having(Integrator)
    assert answer.op.delay == max(node.op.delay for node in network.having(Neuron)) == 2 * 3


@pytest.mark.parametrize("name", ["mlp", "vgg-bn", "resnet"])
def test_clamped_networks_approach_the_model(name):
    """The error still falls as 1/T: a delay of d l steps leaves T - d l, which is T but for a constant."""
    recipe = tp.recipes["rate"].with_percentile(100)
    inputs, network = converted(name, recipe.variant("clamped", (*recipe.passes, ClampVoltage(1))))
    inputs = tuple(x[:4] for x in inputs)
    expected = next(iter(tp.network.forward(network.analogue(), inputs).values()))
    outputs = tp.simulate(network, inputs, 400).outputs
    at_25, at_400 = (float((outputs[t - 1] - expected).square().mean().sqrt()) for t in (25, 400))
    assert at_400 < at_25 / 4


def test_too_few_steps_for_the_clamp_is_a_finding():
    model = torch.nn.Sequential(*[layer for _ in range(4) for layer in (torch.nn.Linear(3, 3), torch.nn.ReLU())]).eval()
    x = torch.rand(64, 3)
    with pytest.warns(tp.errors.TranspikeWarning, match="holds the last layer for 3 steps"):
        network = tp.convert(model, x, "thesis-extended", time_steps=3)
    assert [finding.kind for finding in network.findings if finding.kind == "clamped-too-long"]
    assert not any(f.kind == "clamped-too-long" for f in tp.convert(model, x, "thesis-extended", time_steps=4).findings)


@pytest.mark.parametrize("delay", [0, -1, 1.5, True])
def test_impossible_delays_are_refused(delay):
    with pytest.raises(ArgumentError, match="delay must be a whole number"):
        ClampVoltage(delay)
    with pytest.raises(ArgumentError, match="steps must be a whole number"):
        AfterSteps(delay)


def read_from(network, start, time_steps=None, batches=()):
    result = apply([DelayReadOut(start)], network, Samples(batches, time_steps))
    (answer,) = result.having(Integrator)
    return answer.op.delay


def test_read_out_after_steps_or_a_share():
    _, network = converted("mlp", tp.recipes["rate"])
    assert read_from(network, AfterSteps(5)) == 5
    assert read_from(network, AfterShare(0.5), 9) == 4
    with pytest.raises(ArgumentError, match="give time_steps= to convert"):
        read_from(network, AfterShare(0.5))


def test_a_longer_delay_stays():
    _, network = converted("vgg-bn", CLAMPED)
    assert read_from(network, AfterSteps(2)) == 6
    assert read_from(network, AfterSteps(8)) == 8


def test_first_spikes_arrive_when_the_formula_says():
    """One neuron per layer, weights 1, input 1: layer l of threshold n fires first after n(1 - initial) steps."""
    model = torch.nn.Sequential(*[layer for _ in range(3) for layer in (torch.nn.Linear(1, 1), torch.nn.ReLU())]).eval()
    with torch.no_grad():
        for layer in model[::2]:
            layer.weight.fill_(1.0)
            layer.bias.zero_()
    network = tp.convert(model, torch.ones(40, 1), tp.recipes["rate"].with_percentile(100))
    thresholds = iter((4.0, 10.0, 3.0))

    def change(node):
        if not isinstance(node.op, Neuron):
            return node.op
        return dataclasses.replace(node.op, threshold=torch.full_like(node.op.threshold, next(thresholds)))

    network = network.map_ops(change)
    batches = [Batch((torch.ones(40, 1),)), Batch((torch.ones(3, 1),))]
    assert read_from(network, AfterFirstSpikes(), None, batches) == math.floor(4 / 2 + 10 / 2 + 3 / 2)
    assert read_from(network, AfterFirstSpikes(), 10, batches) == 6
    assert read_from(network, AfterFirstSpikes(), 3, batches) == 0


def test_late_read_out_is_closer_to_the_model():
    """Early steps hold the transient of the layers: without them the answer after 16 steps errs less."""
    inputs, network = converted("vgg-bn", tp.recipes["rate-basic"])
    late = apply([DelayReadOut(AfterShare(0.5))], network, Samples((), 16))
    expected = next(iter(tp.network.forward(network.analogue(), inputs).values()))
    errors = [float((tp.simulate(one, inputs, 16).outputs[-1] - expected).square().mean()) for one in (network, late)]
    assert errors[1] < errors[0]
