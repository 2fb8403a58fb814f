"""Each threshold rule against its formula in the plainest form, on samples that are few enough to try everything."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import transpike as tp
from helpers import MODELS, quick, subject
from transpike.calibration import Histogram, Moments, Samples
from transpike.data import Batch
from transpike.errors import ArgumentError, DataError
from transpike.network import forward
from transpike.neurons import Graded, IntegrateAndFire, Neuron
from transpike.passes import (
    MMSE,
    Gaussian,
    InsertNeurons,
    LocalBalance,
    Percentile,
    PerNeuron,
    WeightBound,
    apply,
)
from transpike.passes.thresholds.gaussian import fixed_point_factor, gaussian_thresholds
from transpike.passes.thresholds.quantisation import least_error
from transpike.recipe import STRUCTURE

seeds = st.integers(0, 10_000)
levels = st.sampled_from([1, 2, 3, 4, 8, 16])


def drawn(seed, count):
    """Return activations as a ReLU gives them: many zeros, a long tail."""
    generator = torch.Generator().manual_seed(seed)
    return torch.relu(torch.randn(count, dtype=torch.float64, generator=generator)) ** 1.5 * 3


def squared_error(values, theta, steps, initial=0.5):
    """Return the mean of (theta/T clip(floor(a T / theta + initial), 0, T) - a)^2, as the formula says."""
    quantised = theta / steps * np.clip(np.floor(values * steps / theta + initial), 0, steps)
    return float(np.mean((quantised - values) ** 2))


def best_error(values, steps, initial=0.5):
    """Return the least error of any of 4,000 thresholds."""
    return min(squared_error(values, theta, steps, initial) for theta in np.linspace(0.005, 1.3, 4000) * values.max())


@given(seeds, levels, st.sampled_from([0.0, 0.5]))
def test_mmse_finds_what_trying_every_threshold_finds(seed, steps, initial):
    """On the samples themselves: a grid of 0.6 % costs at most (0.003 theta)^2 more, or one part in fifty.

    Without rounding to the nearest level the error jumps by (theta/T)^2 / n where a value crosses a border: three are left.
    """
    values = drawn(seed, 120)
    found = least_error(values[None], torch.ones(1, 120), values.max()[None], steps, initial)
    ours, least = squared_error(values.numpy(), float(found), steps, initial), best_error(values.numpy(), steps, initial)
    jumps = 0 if initial == 0.5 else 3 * (float(found) / steps) ** 2 / 120
    assert ours <= 1.02 * least + (0.003 * float(found)) ** 2 + jumps


@given(seeds, levels)
def test_mmse_of_a_histogram_is_that_of_its_samples(seed, steps):
    """Middles of bins stand for values: off by at most half of 1/1024 of the maximum each."""
    values = drawn(seed, 400)
    histogram = Histogram(1)
    histogram.add(values[None])
    found = least_error(histogram.centres, histogram.counts, histogram.maximum, steps, 0.5)
    ours, least = (
        math.sqrt(e) for e in (squared_error(values.numpy(), float(found), steps), best_error(values.numpy(), steps))
    )
    assert ours <= 1.02 * least + 0.003 * float(found) + float(values.max()) / 1024


def test_mmse_of_silence_is_zero():
    histogram = Histogram(2)
    histogram.add(torch.tensor([[0.0, 0.0], [0.0, 3.0]]))
    found = least_error(histogram.centres, histogram.counts, histogram.maximum, 4, 0.5)
    assert found[0] == 0
    assert abs(float(found[1]) / 3 - 1) < 0.01


@given(st.floats(-1.5, 3), st.floats(0.2, 3), st.sampled_from([1, 2, 4, 16]), st.booleans())
def test_gaussian_fixed_point_has_the_least_error(mean, deviation, steps, signed):
    """E[(q(z) - relu(z))^2], or (q(z) - z)^2 if signed, integrated on a fine grid: no threshold near it does better."""
    lowest = -steps if signed else 0
    moments = [torch.tensor([x], dtype=torch.float64) for x in (mean, deviation)]
    theta = gaussian_thresholds(*moments, steps, lowest)
    z = torch.linspace(-9, 9, 40_001, dtype=torch.float64) * deviation + mean
    weight = torch.exp(-((z - mean) ** 2) / (2 * deviation**2))
    target = z if signed else z.relu()

    def error(threshold):
        quantised = threshold / steps * torch.clamp(torch.floor(steps * z / threshold + 0.5), lowest, steps)
        return float((weight * (quantised - target) ** 2).sum() / weight.sum())

    factors = [0.9, 0.95, 0.98, 1.02, 1.05, 1.1]
    assert error(float(theta)) <= min(error(float(theta) * factor) for factor in factors) * (1 + 1e-4)
    assert abs(float(fixed_point_factor(theta, *moments, steps, lowest, steps)) - 1) < 1e-5


def test_gaussian_factor_is_the_published_formula():
    """With 1 - erf written out, as in the paper; a = 0, b = N gives the form for ReLU."""
    theta, mean, deviation, n = 1.7, 0.4, 0.9, 6
    for a, b in ((0, n), (-n, n), (0, 3), (-2, 5)):
        i = np.arange(a + 1, b + 1)
        z = ((2 * i - 1) * theta / (2 * n) - mean) / (math.sqrt(2) * deviation)
        erf = np.array([math.erf(x) for x in z])
        above = mean * n / theta * (a + b - erf.sum()) + deviation * n / theta * math.sqrt(2 / math.pi) * np.exp(-(z**2)).sum()
        expected = above / (a**2 + b**2 - ((2 * i - 1) * erf).sum())
        ours = fixed_point_factor(*[torch.tensor([x], dtype=torch.float64) for x in (theta, mean, deviation)], n, a, b)
        assert abs(float(ours) - expected) < 1e-12


@given(seeds, st.integers(1, 40))
def test_moments_do_not_depend_on_the_batches(seed, size):
    """Whatever the batches, the moments are those of all values, even where the mean is a million deviations away."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(3, 200, dtype=torch.float64, generator=generator) + torch.tensor([[0.0], [-3.0], [1e6]])
    moments = Moments(3)
    for part in values.split(size, 1):
        moments.add(part)
    torch.testing.assert_close(moments.mean, values.mean(1), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(moments.variance, values.var(1, unbiased=False), rtol=1e-8, atol=0)
    assert torch.equal(moments.maximum, values.amax(1))


def thresholds(rule, model, samples, time_steps=None, initial=0.5, neuron=IntegrateAndFire):
    """Return the thresholds that a rule gives the layers of a model."""
    recipe = tp.Recipe(tp.recipes["rate"].method, (*STRUCTURE, InsertNeurons(rule, initial, neuron)))
    network = tp.convert(model.eval(), samples, recipe, time_steps=time_steps)
    return [node.op.threshold for node in network.having(Neuron)], network


def single(weights, bias=None):
    """Return a layer of ReLUs with these weights, and a read-out that adds them up."""
    weights = torch.tensor(weights, dtype=torch.float64)
    layer = nn.Linear(weights.shape[1], len(weights)).double()
    with torch.no_grad():
        layer.weight.copy_(weights)
        layer.bias.copy_(torch.zeros(len(weights)) if bias is None else torch.tensor(bias))
    return nn.Sequential(layer, nn.ReLU(), nn.Linear(len(weights), 1).double())


RULES = {
    "percentile": Percentile(99),
    "maximum of the layer": Percentile(100, layerwise=True),
    "percentile per neuron": PerNeuron(Percentile(99)),
    "MMSE": MMSE(),
    "MMSE of the layer": MMSE(layerwise=True),
    "MMSE per neuron": PerNeuron(MMSE()),
    "Gaussian": Gaussian(),
    "Gaussian per neuron": PerNeuron(Gaussian()),
    "balance": LocalBalance(30),
    "weights": WeightBound(-1, 1),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["vgg-bn", "resnet", "densenet", "tokens", "signals-1d", "hardtanh", "two-inputs"])
def test_every_rule_gives_positive_thresholds_that_fit(rule, name):
    """They broadcast against one sample, are finite, and change neither the network's analogue nor how it runs."""
    _, inputs, network = subject(name)
    found = apply((*STRUCTURE, InsertNeurons(RULES[rule], 0.5)), network, Samples([Batch(inputs)], 8))
    assert found.having(Neuron)
    shapes = tp.network.shapes(found)
    for node in found.having(Neuron):
        assert ((node.op.threshold > 0) & torch.isfinite(node.op.threshold)).all()
        assert node.op.threshold.expand(shapes[node.name]).shape == shapes[node.name]
        if rule.endswith("per neuron"):
            assert tuple(node.op.threshold.shape) == shapes[node.name]


def test_neurons_have_their_own_maximum():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2))
    samples = torch.rand(50, 1, 4, 4)
    with torch.no_grad():
        model[0].bias.fill_(2.0)  # no neuron is silent
    (found,), _ = thresholds(PerNeuron(Percentile(100)), model, samples)
    assert torch.equal(found, model[:2](samples).detach().amax(0))


def test_coarse_histograms_of_neurons_are_exact_to_one_bin():
    values = drawn(4, 3000).reshape(10, 300).float()
    histogram = Histogram.of_neurons(10)
    for part in values.split(70, 1):
        histogram.add(part)
    expected = np.sort(values.numpy(), 1)[:, math.ceil(0.9 * 300) - 1]
    assert (np.abs(histogram.quantile(0.9).numpy() - expected) <= histogram.width.numpy()).all()
    assert (histogram.width <= histogram.maximum / 64).all()


@pytest.mark.parametrize("rule", [MMSE(), Gaussian()])
def test_rules_for_a_time_ask_for_it(rule):
    with pytest.raises(ArgumentError, match=r"threshold fits the network to a number of time steps: give time_steps="):
        thresholds(rule, single([[1.0]]), torch.rand(40, 1, dtype=torch.float64))


def test_graded_neurons_have_as_many_levels_more():
    """15 levels in one step are as good as 15 steps of one: the same ceiling, and each level a fifteenth of it."""
    samples = torch.rand(300, 2, dtype=torch.float64)
    model = single([[1.0, 0.5], [2.0, -1.0]])
    (graded,), _ = thresholds(MMSE(), model, samples, 1, neuron=Graded)
    (binary,), _ = thresholds(MMSE(), model, samples, 15)
    torch.testing.assert_close(15 * graded, binary, rtol=1e-12, atol=0)


def test_gaussian_channels_that_do_not_vary_or_never_fire():
    """A constant channel gets its value, one that is never active the median of the others."""
    model = single([[0.0], [0.0], [4.0]], [2.0, -1.0, 0.0])
    samples = torch.rand(400, 1, dtype=torch.float64)
    (found,), network = thresholds(Gaussian(), model, samples, 4)
    assert float(found[0]) == 2.0
    assert found[1] in (found[0], found[2])
    z = 4 * samples
    theta = gaussian_thresholds(z.mean(0), z.std(0, unbiased=False), 4)
    torch.testing.assert_close(found[2:], theta, rtol=1e-9, atol=0)
    assert [finding.kind for finding in network.findings] == ["dead-channels"]


def test_balance_is_the_published_update():
    """theta += rate * mean 2 (z - theta)_+ batch by batch, layer by layer, each layer reading the clipped one before."""
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 1)).double()
    samples = torch.rand(70, 3, dtype=torch.float64)
    found, _ = thresholds(LocalBalance(7, rate=0.5, batch=20), model, samples)
    one, two = torch.zeros(4, dtype=torch.float64), torch.zeros(5, dtype=torch.float64)
    batches = [samples[0:20], samples[20:40], samples[40:60], samples[60:70]]
    with torch.no_grad():
        for batch in (batches + batches)[:7]:
            z = model[0](batch)
            one += 0.5 * (2 * (z - one).clamp(min=0)).mean(0)
            z = model[2](z.clamp(min=0).minimum(one))
            two += 0.5 * (2 * (z - two).clamp(min=0)).mean(0)
    for ours, expected in zip(found, (one, two), strict=True):
        positive = expected > 0
        torch.testing.assert_close(ours[positive], expected[positive], rtol=1e-12, atol=0)


def test_balance_follows_the_gradient_of_the_clipping_error():
    """The update is minus the derivative of mean (relu(z) - clip(z, 0, theta))^2 by theta, for theta above 0."""
    z = torch.randn(500, dtype=torch.float64) + 0.3
    theta = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    (z.relu() - torch.minimum(z.relu(), theta)).square().mean().backward()
    assert abs(float(-theta.grad) - float((2 * (z - 0.4).clamp(min=0)).mean())) < 1e-12


def test_balance_grows_towards_the_maximum_and_says_where_it_has_not():
    samples, model = torch.rand(200, 1, dtype=torch.float64), single([[1.0]])
    with pytest.warns(tp.errors.TranspikeWarning, match="still grow by"):
        (few,), _ = thresholds(LocalBalance(2, rate=0.1), model, samples)
    (many,), network = thresholds(LocalBalance(400), model, samples)
    assert few < many <= samples.max()
    assert many > 0.95 * samples.max()
    assert network.findings == ()


def test_balance_does_not_depend_on_how_samples_are_batched():
    _, inputs, network = subject("lenet")
    passes = (*STRUCTURE, InsertNeurons(LocalBalance(9, batch=10), 0.5))
    whole = apply(passes, network, Samples([Batch(inputs)]))
    parts = apply(passes, network, Samples([Batch((part,)) for part in inputs[0].split(7)]))
    for node in whole.having(Neuron):
        torch.testing.assert_close(parts.nodes[node.name].op.threshold, node.op.threshold, rtol=1e-12, atol=0)


def test_balance_needs_samples_and_sensible_settings():
    _, _, network = subject("mlp")
    with pytest.raises(DataError, match="there are none"):
        apply((*STRUCTURE, InsertNeurons(LocalBalance(), 0.5)), network, Samples())
    for settings in ({"iterations": 0}, {"batch": 0}, {"rate": 0.0}, {"rate": math.nan}):
        with pytest.raises(ArgumentError):
            LocalBalance(**settings)


@pytest.mark.parametrize("name", quick([name for name in MODELS if name != "two-inputs"]))
def test_no_activation_exceeds_its_bound_from_weights(name):
    """Not for 200 random inputs of the range; nothing is clipped in such a network."""
    _, inputs, network = subject(name)
    found = apply((*STRUCTURE, InsertNeurons(WeightBound(-2, 2), 0.5)), network, Samples())
    sizes = [x.shape[1:] for x in inputs]
    random = [4 * torch.rand(200, *size, dtype=torch.float64) - 2 for size in sizes]

    def observe(node, value):
        op = found.nodes[node].op
        if isinstance(op, Neuron):
            alive = op.threshold.expand_as(value[0])
            assert (value <= alive * (1 + 1e-12)).all(), node

    forward(found.analogue(), random, observe)


def test_the_bound_is_the_sum_of_positive_parts_and_is_reached():
    """Inputs 0 .. 1: sum of the positive weights plus the bias, which the input 1 where weights are positive reaches."""
    model = single([[2.0, -3.0, 0.5], [-1.0, -1.0, -1.0], [1.0, 1.0, -9.0]], [0.25, -0.5, 0.0])
    samples = torch.rand(40, 3, dtype=torch.float64)
    (found,), network = thresholds(WeightBound(), model, samples)
    assert found.tolist() == [2.75, 2.0, 2.0]
    assert network.findings[0].message.startswith("1 of 3 channels of '1' are 0 for every input between 0 and 1")
    (whole,), _ = thresholds(WeightBound(layerwise=True), model, samples)
    assert whole.tolist() == [2.75]
