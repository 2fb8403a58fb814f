"""Moving thresholds into weights changes nothing: the same spikes, the same answers."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import transpike as tp
from helpers import MODELS, answers, largest_difference, quick, same_network, spiking_of, subject
from random_networks import models, networks
from transpike.calibration import Samples
from transpike.capture import capture
from transpike.data import Batch
from transpike.neurons import SPIKING, Burst, Graded, IntegrateAndFire, Neuron, Ternary
from transpike.ops import Affine, Relu
from transpike.passes import AccumulateMaxPool, InsertNeurons, NormaliseWeights, Percentile, PerNeuron, apply
from transpike.recipe import STRUCTURE
from transpike.simulation import Record, counting_nodes

STEPS = 8
EXACT = 1e-9  # rounding of float64 in some ten layers, relative to the largest answer


def power_of_two(network):
    """Return a network whose thresholds are powers of two: then dividing by them rounds nothing."""

    def change(node):
        if not isinstance(node.op, Neuron):
            return node.op
        return dataclasses.replace(node.op, threshold=2 ** node.op.threshold.log2().round())

    return network.map_ops(change)


NINETIETH = Percentile(90)


def spiking(name, rule=NINETIETH, neuron=IntegrateAndFire):
    _, inputs, network = subject(name)
    passes = (*STRUCTURE, InsertNeurons(rule, 0.5, neuron), AccumulateMaxPool())
    return inputs, power_of_two(apply(passes, network, Samples([Batch(inputs)])))


def scaled_inputs(inputs):
    """Return inputs whose largest magnitude is a power of two."""
    return tuple(x / x.abs().max() * 2 for x in inputs)


def assert_same_run(network, normal, inputs):
    record = Record(spikes=counting_nodes(network))
    one, two = (tp.simulate(one, inputs, STEPS, record=record) for one in (network, normal))
    assert one.spikes.keys() == two.spikes.keys()
    for name, train in one.spikes.items():
        assert torch.equal(train, two.spikes[name]), name
    outputs = [[o] if isinstance(o, torch.Tensor) else list(o.values()) for o in (one.outputs, two.outputs)]
    for ours, theirs in zip(*outputs, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=EXACT * max(1, float(theirs.abs().max())))


def assert_normalised(network, inputs):
    samples = Samples([Batch(inputs)])
    normal = apply([NormaliseWeights()], network, samples)
    assert all(bool((node.op.threshold == 1).all()) for node in normal.having(Neuron))
    assert_same_run(network, normal, tuple(x[:3] for x in inputs))
    expected = answers(network.analogue(), inputs)
    assert largest_difference(answers(normal.analogue(), inputs), expected) <= EXACT
    return normal


@pytest.mark.parametrize("name", quick(MODELS))
def test_normalised_networks_send_the_same_spikes(name):
    """Spike for spike, for each model of the lists; thresholds and the range of inputs are powers of two, so nothing rounds."""
    inputs, network = spiking(name)
    assert_normalised(network, scaled_inputs(inputs))


@pytest.mark.parametrize("rule", [Percentile(90, layerwise=True), PerNeuron(Percentile(90))], ids=["layer", "neuron"])
@pytest.mark.parametrize("name", ["vgg-bn", "densenet", "inception", "resnet", "u-net", "mobilenet-v2", "signals-1d"])
def test_thresholds_of_layers_and_neurons_normalise_too(name, rule):
    inputs, network = spiking(name, rule)
    assert_normalised(network, scaled_inputs(inputs))


NEURONS = {"ternary": Ternary, "burst": Burst, "graded": Graded, "integrate-and-fire": IntegrateAndFire}


@pytest.mark.parametrize("kind", NEURONS)
@pytest.mark.parametrize("name", ["resnet", "vgg-bn", "hardtanh"])
def test_heights_and_bias_currents_scale_along(kind, name):
    """One row, or one for each step, for every kind of neuron."""
    assert set(NEURONS.values()) <= set(SPIKING)
    inputs, network = spiking(name, neuron=NEURONS[kind])
    for rows in (1, STEPS):

        def dressed(node, rows=rows):
            if not isinstance(node.op, Neuron):
                return node.op
            factors = torch.linspace(0.5, 1.5, rows, dtype=torch.float64).reshape(-1, *[1] * node.op.threshold.ndim)
            return dataclasses.replace(
                node.op, height=factors * node.op.threshold, bias=0.25 * factors * node.op.threshold, delay=1
            )

        assert_normalised(network.map_ops(dressed), scaled_inputs(inputs))


@given(networks())
def test_random_networks_stay_the_same(drawn):
    network, inputs = drawn
    assert_normalised(power_of_two(network), scaled_inputs((inputs,)))


@given(models(), st.sampled_from(["diehl", "rueckauer", "kim"]))
def test_published_recipes_are_their_thresholds(drawn, name):
    """With thresholds as they come, dividing rounds: potentials start from 0.37, so that none meets its threshold exactly."""
    model, shape = drawn
    (insert,) = [step for step in tp.recipes[name].passes if isinstance(step, InsertNeurons)]
    odd = dataclasses.replace(insert, initial=0.37)
    passes = tuple(odd if step is insert else step for step in tp.recipes[name].passes)
    assert isinstance(passes[-1], NormaliseWeights)
    samples = torch.rand(40, *shape, dtype=torch.float64)
    recipes = (tp.Recipe(tp.recipes[name].method, which) for which in (passes[:-1], passes))
    analogue = capture(model.double(), (samples,))
    one, two = (spiking_of(analogue, samples, recipe) for recipe in recipes)
    assert_same_run(one, two, (torch.rand(3, *shape, dtype=torch.float64),))


def test_weights_are_what_the_papers_say():
    """W' = W lambda_in / lambda_out and b' = b / lambda_out; the output layer is scaled back, its bias stays."""
    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).double().eval()
    with torch.no_grad():
        model[0].bias.fill_(4.0)  # no channel is silent
    samples = 5 * torch.rand(50, 3, dtype=torch.float64)
    normal = tp.convert(model, samples, tp.recipes["kim"].with_percentile(100))
    first, last, largest = model[0], model[2], samples.max()
    peaks = torch.relu(first(samples)).amax(0).detach()
    torch.testing.assert_close(normal.nodes["0"].op.weight, first.weight.detach() * largest / peaks[:, None])
    torch.testing.assert_close(normal.nodes["0"].op.bias, first.bias.detach() / peaks)
    torch.testing.assert_close(normal.nodes["2"].op.weight, last.weight.detach() * peaks)
    assert torch.equal(normal.nodes["2"].op.bias, last.bias)


class Identity(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Conv2d(1, 2, 3, padding=1), torch.nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x):
        x = torch.relu(self.first(x))
        return torch.relu(x + self.second(x)).flatten(1)


def test_an_identity_shortcut_keeps_the_scale_of_hu():
    """The shortcut has no weights to take lambda_in / lambda_out: it stays as one scale per channel, and nothing else does."""
    torch.manual_seed(1)
    samples = torch.rand(50, 1, 4, 4)
    normal = tp.convert(Identity().eval(), samples, "kim")
    plain = tp.convert(Identity().eval(), samples, tp.Recipe(normal.method, tp.recipes["kim"].passes[:-1]))
    scales = [node for node in normal.having(Affine) if not node.name.endswith("normalised")]
    shortcut = [node for node in scales if node.op.scale.shape == (2, 1, 1)]
    assert len(shortcut) == 1
    assert not plain.having(Affine)


def test_normalising_twice_changes_nothing_more():
    for name in ("resnet", "vgg-bn", "two-inputs"):
        inputs, network = spiking(name)
        samples = Samples([Batch(inputs)])
        once = apply([NormaliseWeights()], network, samples)
        assert same_network(apply([NormaliseWeights()], once, samples), once)


def test_a_normalised_network_survives_the_archive(tmp_path):
    inputs, network = spiking("hardtanh")
    normal = apply([NormaliseWeights()], network, Samples([Batch(inputs)]))
    assert any(not isinstance(node.op.activation, Relu) for node in normal.having(Neuron))
    tp.save(normal, tmp_path / "net")
    assert same_network(tp.load(tmp_path / "net"), normal)
