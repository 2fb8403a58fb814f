"""A converted network approaches the model as 1/T, and its thresholds are what the rule says."""

from __future__ import annotations

import pytest
import torch

import transpike as tp
from helpers import FEATURES, ZOO, answers, converted, flat, quick, subject
from transpike.calibration import Samples
from transpike.data import Batch
from transpike.network import forward
from transpike.neurons import AccumulatedMaxPool, IntegrateAndFire, Integrator
from transpike.ops import Clip, MaxPool, Relu
from transpike.passes import InsertNeurons, Percentile, apply
from transpike.recipe import STRUCTURE

MAXIMUM = tp.recipes["rate"].with_percentile(100)


def errors(name, steps, samples=4, recipe=MAXIMUM):
    """Return the root mean square error of the answer after each of `steps` that count, relative to its size."""
    inputs, network = converted(name, recipe)
    few = [x[:samples] for x in inputs]
    _, _, analogue = subject(name)
    extra = max(node.op.delay for node in network.having(Integrator))
    steps = [extra + step for step in steps]
    outputs = tp.simulate(network, tuple(few), max(steps)).outputs
    outputs = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs.values())
    found = []
    for step in steps:
        squares = [
            float((ours[step - 1] - theirs).square().mean() / theirs.square().mean())
            for ours, theirs in zip(outputs, answers(analogue, few), strict=True)
        ]
        found.append(max(squares) ** 0.5)
    return found


def test_a_network_in_which_nothing_spikes_says_so():
    """An activation that nothing follows is a read-out; one that layers follow should have been neurons."""
    silent = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.GELU(), torch.nn.Linear(4, 2)).eval()
    with pytest.warns(tp.errors.TranspikeWarning, match="Nothing in this network spikes: what bends its signals .Gelu. acts"):
        network = tp.convert(silent, torch.rand(200, 4))
    assert "no-neurons" in {finding.kind for finding in network.findings}
    read_out = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Softmax(1)).eval()
    assert "no-neurons" not in {finding.kind for finding in tp.convert(read_out, torch.rand(200, 4)).findings}


def test_a_watch_sees_every_reading_and_every_corrected_layer():
    model, inputs, _ = subject("mlp", torch.float32)
    seen = []

    def watch(what, total):
        seen.append([what, total, 0])
        mine = seen[-1]

        def advance(by):
            mine[2] += by

        return advance

    tp.convert(model, inputs[0], "sbg", time_steps=8, watch=watch)
    assert [what for what, _, _ in seen][-1] == "Correcting layers"
    assert "Reading calibration samples" in {what for what, _, _ in seen}
    assert all(total == done > 0 for _, total, done in seen)


@pytest.mark.parametrize("name", quick(ZOO))
def test_error_falls_as_one_over_t(name):
    """With reset by subtraction no charge is lost: |error| <= c / T, where c depends on the network and not on T.

    Thresholds are the maxima over these very samples, so nothing is clipped. Ideally the error is 16 times smaller at
    256 steps than at 16, and 64 times at 1,024. What the neurons still hold at step T is not the same for each T: a
    factor of 2 to 3 is left to it.
    """
    at_16, at_256, at_1024 = errors(name, (16, 256, 1024))
    assert 0 < at_256 <= at_16 / 6
    assert at_1024 <= at_16 / 30


@pytest.mark.parametrize("recipe", ["refractory", "snm", "ternary", "burst", "graded", "cos"])
def test_error_falls_as_one_over_t_for_every_kind_of_neurons_that_loses_no_charge(recipe):
    """As above, counted from the first step that is read."""
    at_16, at_256 = errors("resnet", (16, 256), recipe=tp.recipes[recipe].with_percentile(100))
    assert 0 < at_256 <= at_16 / 6
    assert at_256 < 0.02


@pytest.mark.parametrize(("recipe", "least", "most"), [("reset-to-zero", 0.2, 1.0), ("lif", 0.01, 0.1), ("srp", 0.02, 0.3)])
def test_what_more_steps_do_not_mend(recipe, least, most):
    """Reset to zero loses up to z / (threshold + z) of each value, so up to a half; the leaky drive errs by 2.1 % of the
    largest value in each of five layers; SRP silences neurons of a network that was not trained for it.
    """
    (error,) = errors("resnet", (256,), recipe=tp.recipes[recipe].with_percentile(100))
    assert least < error < most


@pytest.mark.parametrize("name", FEATURES)
def test_features_approach_the_model(name):
    """The same for each feature: c / 16 would be far above one tenth of the answer's size, c / 300 is below it."""
    (error,) = errors(name, (300,))
    assert error < 0.1


@pytest.mark.parametrize("name", [*ZOO, "hardtanh", "clamp-above-zero", "prelu-channels", "relu-at-the-end"])
def test_thresholds_are_the_largest_activations(name):
    """Percentile 100 is the maximum over the samples per channel, whatever was folded, split or moved before."""
    inputs, network = converted(name, MAXIMUM)
    peaks = {}

    def observe(node, value):
        peaks[node] = value

    analogue = network.analogue()
    forward(analogue, inputs, observe)
    neurons = network.having(IntegrateAndFire)
    assert neurons
    for node in neurons:
        threshold = node.op.threshold.expand_as(peaks[node.name][0])
        dims = [0, *(axis + 1 for axis, size in enumerate(node.op.threshold.shape) if size == 1)]
        largest = peaks[node.name].amax(dims, keepdim=True)[0]
        alive = largest.expand_as(threshold) > 0
        assert alive.any()
        assert torch.equal(threshold[alive], largest.expand_as(threshold)[alive])


def test_layerwise_threshold_is_one_number_per_layer():
    _, network = converted("vgg-bn", tp.recipes["rate-basic"])
    assert all(node.op.threshold.numel() == 1 and node.op.initial == 0 for node in network.having(IntegrateAndFire))


def test_thresholds_lie_along_the_channels():
    """Axis 1 behind a convolution; the last axis behind a linear layer on [batch, tokens, features]."""
    _, images = converted("vgg-bn", tp.recipes["rate"])
    _, tokens = converted("tokens", tp.recipes["rate"])
    assert [tuple(node.op.threshold.shape) for node in images.having(IntegrateAndFire)][:2] == [(4, 1, 1), (6, 1, 1)]
    assert [tuple(node.op.threshold.shape) for node in tokens.having(IntegrateAndFire)] == [(1, 6), (1, 3)]


def test_every_activation_and_max_pool_gets_its_rule():
    _, network = converted("vgg-bn", tp.recipes["rate"])
    assert {float(node.op.initial) for node in network.having(IntegrateAndFire)} == {0.5}
    assert not network.having(Relu, Clip, MaxPool)
    assert len(network.having(IntegrateAndFire)) == 4
    assert len(network.having(AccumulatedMaxPool)) == 2
    assert network.spiking


def test_analogue_of_the_spiking_network_is_the_model():
    model, _, _ = subject("resnet")
    inputs, network = converted("resnet", tp.recipes["rate"])
    with torch.inference_mode():
        expected = flat(model(*inputs))
    torch.testing.assert_close(answers(network.analogue(), inputs), expected, rtol=0, atol=1e-12)


def test_clip_bounds_the_threshold():
    """ReLU6 of activations below 6 takes their maximum; of larger ones 6."""
    model = torch.nn.Sequential(torch.nn.Linear(1, 2, bias=False), torch.nn.ReLU6())
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[2.0], [100.0]]))
    network = tp.convert(model.eval(), torch.linspace(0, 1, 40)[:, None], MAXIMUM)
    assert network.nodes["1"].op.threshold.tolist() == [2.0, 6.0]


def test_channels_that_are_never_active_get_a_threshold_and_a_finding():
    model = torch.nn.Sequential(torch.nn.Linear(1, 3, bias=False), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[2.0], [-1.0], [4.0]]))
    network = tp.convert(model.eval(), torch.linspace(0, 1, 40)[:, None], MAXIMUM)
    assert network.nodes["1"].op.threshold.tolist() == [2.0, 2.0, 4.0]
    (finding,) = network.findings
    assert (finding.kind, finding.node) == ("dead-channels", "1")
    assert finding.message == "1 of 3 channels of '1' are 0 on every calibration sample."


def test_network_without_any_activity_still_runs():
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1)).eval()
    network = tp.convert(model, torch.zeros(40, 2))
    outputs = tp.simulate(network, torch.ones(2, 2), time_steps=8).outputs
    assert torch.isfinite(outputs).all()


def test_calibration_does_not_depend_on_the_batches():
    _, inputs, network = subject("lenet")
    passes = [*STRUCTURE, InsertNeurons(Percentile(97), initial=0.5)]
    whole = apply(passes, network, Samples([Batch(inputs)]))
    parts = apply(passes, network, Samples([Batch((inputs[0][i : i + 5],)) for i in reversed(range(0, 32, 5))]))
    for node in whole.having(IntegrateAndFire):
        torch.testing.assert_close(parts.nodes[node.name].op.threshold, node.op.threshold, rtol=1e-12, atol=0)


def test_recipe_keeps_its_other_settings_with_another_percentile():
    (insert,) = [step for step in tp.recipes["rate-basic"].with_percentile(98).passes if isinstance(step, InsertNeurons)]
    assert insert == InsertNeurons(Percentile(98, layerwise=True), initial=0.0)


def test_a_changed_recipe_says_so_in_the_network():
    recipe = tp.recipes["rate"].with_percentile(90).poisson(seed=4)
    network = tp.convert(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU()).eval(), torch.rand(40, 3), recipe)
    assert network.method.name == "rate, percentile 90, Poisson input"
    assert network.method.citation == tp.recipes["rate"].method.citation


@pytest.mark.parametrize(("recipe", "bits"), [("rate", 1), ("lif", 1), ("burst", 1), ("ternary", 2), ("snm", 2), ("graded", 4)])
def test_bits_per_spike_are_read_from_the_neurons(recipe, bits):
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU()).eval()
    assert tp.convert(model, torch.rand(40, 3), recipe).method.bits_per_spike == bits
