"""Differential coding: decoded values are running means, neurons follow them, and nothing is sent without need."""

from __future__ import annotations

import functools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import transpike as tp
from helpers import MODELS, ZOO, answers, converted, largest_difference, quick, same_network, subject
from reference import difference_neuron, simulate_literally
from transpike.analysis.connections import fan_outs
from transpike.analysis.operations import count_work
from transpike.calibration import Histogram, Moments
from transpike.codings import BiasOnce, DifferenceInput, Regular
from transpike.errors import ArgumentError, ConversionError
from transpike.network import forward
from transpike.neurons import DifferenceDecoder, DifferenceMaxPool, DifferenceNeuron, FirstToMargin
from transpike.ops import Affine, Convolution, Linear, MaxPool, Relu
from transpike.passes import CodeDifferentially, CountSpikes, DecodeOutputs, InsertDifferenceNeurons, LeastSquares, SplitClips
from transpike.passes.thresholds.gaussian import gaussian_thresholds
from transpike.recipe import STRUCTURE
from transpike.simulation import Record, counting_nodes

DCGS = tp.recipes["dcgs"]
seeds = st.integers(0, 10_000)


def stream(seed, steps, *shape, mean=0.0):
    generator = torch.Generator().manual_seed(seed)
    return mean + torch.randn(steps, *shape, dtype=torch.float64, generator=generator)


def sent_by(op, received):
    state = op.start(received[0])
    return torch.stack([op.step(state, x).clone() for x in received]), state


def rates(sent):
    """Decode a stream: r[t] = r[t-1] + x[t] / t."""
    steps = torch.arange(1, len(sent) + 1, dtype=torch.float64).reshape(-1, *[1] * (sent.ndim - 1))
    return (sent / steps).cumsum(0)


def running_mean(values):
    return values.cumsum(0) / torch.arange(1, len(values) + 1, dtype=torch.float64).reshape(-1, *[1] * (values.ndim - 1))


def neurons(threshold=1.0, levels=4, mantissa=0, powers=None):
    """Difference neurons; `powers` of two are their scales."""
    scales = None if powers is None else 2.0 ** torch.tensor(powers, dtype=torch.float64)
    height, rest = torch.tensor(threshold, dtype=torch.float64), torch.zeros(()).double()
    return DifferenceNeuron(height, rest, Relu(), levels=levels, mantissa=mantissa, scales=scales)


scalings = st.none() | st.lists(st.integers(-4, 3), min_size=1, max_size=6)


@given(seeds, st.integers(1, 40))
def test_the_decoded_input_is_the_running_mean(seed, steps):
    values = stream(seed, steps, 2, 3)
    sent, _ = sent_by(DifferenceInput(), values)
    torch.testing.assert_close(rates(sent), running_mean(values), rtol=0, atol=1e-12)


@given(seeds)
def test_a_constant_is_sent_once(seed):
    """Exactly: nothing after the first step, whatever the value."""
    value = stream(seed, 1, 2, 3)
    sent, _ = sent_by(DifferenceInput(), value.expand(10, 2, 3))
    assert torch.equal(sent[0], value[0])
    assert not sent[1:].any()


@given(seeds, st.integers(1, 20))
def test_linear_ops_and_biases_act_on_decoded_values(seed, steps):
    """Decoded W x + b (b sent once) is W r + b."""
    values, weight, bias = stream(seed, steps, 2, 4), stream(seed + 1, 3, 4), stream(seed + 2, 3)
    received, _ = sent_by(BiasOnce(bias), Linear(weight)(values))
    torch.testing.assert_close(rates(received), Linear(weight, bias)(rates(values)), rtol=0, atol=1e-12)


@given(seeds, st.integers(1, 20))
def test_the_decoded_maximum_is_the_maximum_of_decoded_values(seed, steps):
    pool = MaxPool((2, 2), (1, 1), (0, 0), (1, 1))
    values = stream(seed, steps, 2, 3, 4, 5)
    sent, _ = sent_by(DifferenceMaxPool(pool), values)
    expected = torch.stack([pool(rate) for rate in rates(values)])
    torch.testing.assert_close(rates(sent), expected, rtol=0, atol=1e-12)
    decoded, _ = sent_by(DifferenceDecoder(), values)
    torch.testing.assert_close(decoded, rates(values), rtol=0, atol=1e-12)


@given(seeds, st.integers(1, 40), st.integers(1, 6), st.integers(0, 3), scalings)
def test_charge_is_conserved(seed, steps, levels, mantissa, powers):
    """v[t] = t (r_in[t] - r_out[t]) and the total is t r_out[t], whatever was received."""
    received = stream(seed, steps, 3, 5, mean=0.3)
    sent, state = sent_by(neurons(1.0, levels, mantissa, powers), received)
    into, out = rates(received)[-1], rates(sent)[-1]
    torch.testing.assert_close(state.potential, steps * (into - out), rtol=0, atol=1e-11)
    torch.testing.assert_close(state.transmitted(), steps * out, rtol=0, atol=1e-11)
    assert torch.equal(state.count, (sent != 0).sum(0).double())


@given(seeds, st.integers(1, 40), st.integers(1, 6))
def test_spikes_have_the_sizes_of_the_levels_and_outputs_stay_positive(seed, steps, levels):
    sent, _ = sent_by(neurons(0.75, levels), stream(seed, steps, 3, 5, mean=0.1))
    assert {abs(size) for size in sent.unique().tolist()} <= {0.0, *(0.75 / 2**k for k in range(levels))}
    assert (rates(sent) >= -1e-4 * 0.75).all()


@given(seeds, st.integers(1, 40), st.integers(1, 6), st.integers(1, 3))
def test_a_mantissa_puts_sizes_between_the_powers_of_two(seed, steps, levels, mantissa):
    sent, _ = sent_by(neurons(0.75, levels, mantissa), stream(seed, steps, 3, 5, mean=0.1))
    parts = 2**mantissa
    between = {0.75 * (1 + j / parts) / 2**k for k in range(1, levels) for j in range(parts)}
    assert {abs(size) for size in sent.unique().tolist()} <= {0.0, 0.75, *between}
    assert 2 * (1 + len(between)) <= 2 ** neurons(0.75, levels, mantissa).bits_per_spike


@given(seeds, st.integers(1, 30), st.integers(1, 5), st.integers(0, 3), scalings)
def test_neurons_equal_the_published_equations(seed, steps, levels, mantissa, powers):
    """The source keeps four numbers per neuron, e_in, e_out, v and C; two of them say the same."""
    received = stream(seed, steps, 7, mean=0.2)
    op, memory = neurons(0.8, levels, mantissa, powers), {}
    sent, _ = sent_by(op, received[:, None])
    for t in range(steps):
        expected = difference_neuron(op, memory, received[t].numpy())
        torch.testing.assert_close(sent[t, 0], torch.from_numpy(expected), rtol=0, atol=0)


@given(st.floats(0, 2.0), st.integers(1, 6), st.integers(0, 3))
def test_a_settled_neuron_is_right_to_its_smallest_level_over_time(value, levels, mantissa):
    """|r - z| < (1 - 2^-(mantissa+2)) threshold / 2^(levels-1) / t within reach, and spikes become as rare as time doubles."""
    received = torch.zeros(256, 1, 1, dtype=torch.float64)
    received[0] = value
    sent, _ = sent_by(neurons(1.0, levels, mantissa), received)
    smallest = (1 - 2.0 ** -(mantissa + 2)) * 2.0 ** (1 - levels)
    error = (rates(sent)[:, 0, 0] - value).abs()
    steps = torch.arange(1, 257, dtype=torch.float64)
    settled = 16  # 1 + 1/2 + ... + 1/16 = 3.4: any value up to 2 has been reached by then
    assert (error * steps)[settled:].max() <= smallest * (1 + 1e-9)
    assert (sent[64:128] != 0).sum() <= 2
    assert (sent[128:] != 0).sum() <= 2


def test_a_neuron_that_was_excited_by_mistake_takes_it_back():
    """Input 1, then a correction to -1: the decoded output returns to 0 within the resolution and stays there."""
    received = torch.zeros(40, 1, 1, dtype=torch.float64)
    received[0], received[1] = 1.0, -4.0  # decoded: 1, then -1
    sent, _ = sent_by(neurons(), received)
    out = rates(sent)[:, 0, 0]
    assert out[0] == 1
    assert out[8:].max() <= 1 / 8 / 8
    assert (out >= -1e-4).all()


def test_bits_of_a_spike_are_its_sign_and_its_level():
    assert [neurons(levels=n).bits_per_spike for n in (1, 2, 3, 4, 5, 8)] == [1, 2, 3, 3, 4, 4]
    assert [neurons(levels=n, mantissa=1).bits_per_spike for n in (1, 2, 3, 4, 5, 8)] == [1, 3, 4, 4, 5, 5]
    assert DCGS.method.bits_per_spike == neurons().bits_per_spike


@pytest.mark.parametrize("name", quick(MODELS))
def test_engine_agrees_with_reference(name):
    inputs, network = converted(name, DCGS)
    few = tuple(x[:2] for x in inputs)
    run = tp.simulate(network, few, 5, record=Record(spikes=counting_nodes(network)))
    outputs, spikes = simulate_literally(network, few, 5)
    for node, train in spikes.items():
        assert torch.equal(run.spikes[node], torch.from_numpy(train)), node
    ours = [run.outputs] if isinstance(run.outputs, torch.Tensor) else list(run.outputs.values())
    for one, other in zip(ours, outputs.values(), strict=True):
        torch.testing.assert_close(one, torch.from_numpy(other), rtol=0, atol=1e-9 * max(1, abs(other).max()))


@pytest.mark.parametrize("name", quick(MODELS))
def test_the_analogue_stays_the_model(name):
    """Biases moved to where they arrive, clips split, inputs sent once: the same function to rounding."""
    _, inputs, network = subject(name)
    changed = converted(name, DCGS)[1]
    assert largest_difference(answers(changed.analogue(), inputs), answers(network, inputs)) <= 1e-9


@pytest.mark.parametrize("name", quick(ZOO))
def test_error_falls_as_one_over_t(name):
    """The resolution of a decoded value is 1/T of the smallest level: ideally 16 times from 16 to 256 steps; 6 are asked."""
    inputs, network = converted(name, DCGS)
    few = tuple(x[:4] for x in inputs)
    wanted = answers(network.analogue(), few)
    outputs = tp.simulate(network, few, 256).outputs
    outputs = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs.values())
    for one, target in zip(outputs, wanted, strict=True):
        early, late = (float((one[t - 1] - target).square().mean().sqrt()) for t in (16, 256))
        assert late < early / 6


@pytest.mark.parametrize("name", ["lenet", "resnet"])
def test_spikes_become_rare(name):
    """A spike at step t corrects by 1/t: from 128 to 256 steps a neuron needs fewer than in the first 2."""
    inputs, network = converted(name, DCGS)
    names = [node.name for node in network.having(DifferenceNeuron)]
    run = tp.simulate(network, inputs[0][:4], 256, record=Record(spikes=names))
    fired = sum(run.spikes[one].flatten(1).sum(1) for one in names)
    assert fired[128:].sum() < fired[:2].sum()
    assert fired[255] < 0.05 * fired[:8].max()


@pytest.mark.parametrize("name", ["mlp", "vgg-bn", "densenet", "mobilenet-v2"])
def test_networks_come_back_from_disk(name, tmp_path):
    inputs, network = converted(name, DCGS)
    tp.save(network, tmp_path / "net")
    loaded = tp.load(tmp_path / "net")
    assert same_network(loaded, network)
    assert torch.equal(*(tp.simulate(one, inputs, 9).outputs for one in (network, loaded)))


@pytest.mark.parametrize("block", [1, 3])
def test_blocks_do_not_matter(block):
    inputs, network = converted("resnet", DCGS)
    whole, parts = (tp.simulate(network, inputs[0][:7], 6, block=size) for size in (None, block))
    torch.testing.assert_close(parts.outputs, whole.outputs, rtol=0, atol=1e-12)
    assert all(torch.equal(count, whole.spike_counts[node]) for node, count in parts.spike_counts.items())


def test_live_input_is_decoded_as_its_running_mean():
    """Constant frames give the answer of the simulation; of changing frames the network sees the running mean."""
    inputs, network = converted("lenet", DCGS)
    live = tp.Stream(network)
    outputs = tp.simulate(network, inputs[0][:3], 6).outputs
    for t in range(6):
        torch.testing.assert_close(live.step(inputs[0][:3]), outputs[t], rtol=0, atol=1e-11)
    live.reset()
    frames = torch.stack([inputs[0][i : i + 3] for i in range(0, 24, 3)]).repeat(40, 1, 1, 1, 1)
    for frame in frames:
        answer = live.step(frame)
    wanted = forward(network.analogue(), [frames.mean(0)])["output"]
    torch.testing.assert_close(answer, wanted, rtol=0, atol=0.02 * float(wanted.abs().max()))


@pytest.mark.parametrize("recipe", [DCGS.poisson(seed=1), DCGS.with_input(Regular())])
def test_spiking_input_is_decoded_too(recipe):
    """Both approach the answer: twice as near after 16 times as many steps at least."""
    inputs, network = converted("mlp", recipe)
    wanted = forward(network.analogue(), inputs)["output"]
    outputs = tp.simulate(network, inputs[0], 256).outputs
    early, late = (float((outputs[t - 1] - wanted).square().mean().sqrt()) for t in (16, 256))
    assert late < early / 2


@pytest.mark.parametrize("name", ["lenet", "vgg-bn", "all-convolutional", "resnet", "densenet", "u-net", "inception"])
def test_operations_are_those_of_the_rate_coded_network(name):
    """The same connections for every spike, the stem's multiply-accumulates once, nothing dense at any step."""
    (_, rate), (_, network) = converted(name, tp.recipes["rate"]), converted(name, DCGS)
    ours, theirs = count_work(network), count_work(rate)
    assert (ours.ann_macs, ours.ann_connections) == (theirs.ann_macs, theirs.ann_connections)
    assert (ours.static_macs, ours.current_nodes) == (theirs.static_macs, theirs.current_nodes)
    plain = fan_outs(rate)
    fans = fan_outs(network)
    assert [one.name for one in network.having(DifferenceNeuron)] == [
        one for one in plain if one in fans and one in network.nodes and isinstance(network.nodes[one].op, DifferenceNeuron)
    ]
    for node in network.having(DifferenceNeuron):
        assert torch.equal(fans[node.name], plain[node.name]), node.name


def test_temporal_ops_carry_no_bias_and_the_stem_keeps_its_own():
    _, network = converted("resnet", DCGS)
    stem, *others = network.having(Convolution, Linear)
    assert stem.op.bias is not None
    assert all(node.op.bias is None for node in others)
    assert len(network.having(DifferenceInput)) == 1
    assert all(node.op.shift is None for node in network.having(Affine))


def test_biases_that_differ_at_borders_are_kept_as_maps():
    """Behind a padded convolution of a bias the value at rest is smaller at the border."""
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 3, padding=1), nn.ReLU())
    x = torch.rand(40, 1, 5, 5)
    network = tp.convert(model.eval(), x, DCGS)
    (bias,) = network.having(BiasOnce)
    assert tuple(bias.op.bias.shape) == (2, 5, 5)
    with torch.inference_mode():
        torch.testing.assert_close(forward(network.analogue(), [x])["output"], model(x), rtol=0, atol=1e-5)


def test_reports_say_how_input_enters_and_rates_fit_their_range():
    inputs, network = converted("resnet", DCGS)
    report = tp.evaluate(None, network, (inputs[0], torch.zeros(32, dtype=torch.long)), 8)
    assert report.input == "the input sent once, at the first step"
    assert all(sum(layer.rates[1:]) > 0 and sum(layer.rates) == pytest.approx(1) for layer in report.layers)
    assert tp.evaluate(None, converted("mlp", DCGS.poisson(4))[1], inputs_of("mlp"), 2).input == "Poisson spikes, seed 4"


def inputs_of(name):
    return subject(name)[1]


@given(st.floats(-3, 3), st.floats(0.1, 4), st.sampled_from([4, 16, 64]))
def test_gaussian_threshold_has_the_least_error(mean, deviation, levels):
    """Against a search: the mean squared error of the quantised ReLU, integrated over 4,001 points, is lowest there."""
    (threshold,) = gaussian_thresholds(torch.tensor([mean * deviation]), torch.tensor([deviation]), levels)
    z = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    x = deviation * (mean + z)

    def error(theta):
        quantised = theta / levels * (levels * x / theta + 0.5).floor().clamp(0, levels)
        return float(((quantised - x.clamp(min=0)).square() * (-z.square() / 2).exp()).sum())

    assert all(error(threshold) <= 1.01 * error(threshold * factor) for factor in (0.5, 0.7, 0.85, 0.95, 1.05, 1.2, 1.5, 2))


def test_gaussian_threshold_of_nothing_to_suit_is_zero():
    means, deviations = torch.tensor([-7.0, 1.0, 0.0]), torch.tensor([1.0, 0.0, 0.0])
    assert gaussian_thresholds(means, deviations, 64).tolist() == [0, 0, 0]


@given(seeds, st.integers(1, 5), st.sampled_from([0.1, 1.0, 30.0]))
def test_first_spikes_have_the_least_error(seed, levels, size):
    """Within 5 % of a finer search: candidates are 6 % apart, and of 400 values single ones cross a boundary in between."""
    values = size * stream(seed, 2, 400).abs()
    histogram = Histogram(2)
    histogram.add(values)
    found = LeastSquares(levels)(histogram)
    for channel in range(2):

        def error(theta, channel=channel):
            sent = torch.zeros(400, dtype=torch.float64)
            for k in reversed(range(levels)):
                sent[values[channel] >= 0.75 * theta / 2**k] = theta / 2**k
            return float((sent - values[channel]).square().sum())

        largest = float(values[channel].max())
        best = min(error(largest * 2 ** (e / 40)) for e in range(-160, 41))
        assert error(float(found[channel])) <= 1.05 * best + 1e-9


def test_first_spikes_of_a_silent_channel_are_zero():
    histogram = Histogram(2)
    histogram.add(torch.tensor([[0.0, 0.0], [0.0, 2.0]]))
    assert LeastSquares(1)(histogram).tolist()[0] == 0
    assert LeastSquares(1)(histogram).tolist()[1] == pytest.approx(2.0, rel=0.03)


@pytest.mark.parametrize("name", ["mlp", "resnet"])
def test_published_thresholds_follow_mean_and_variance(name):
    inputs, network = converted(name, tp.recipes["dcgs-gaussian"])
    values = {}
    forward(network.analogue(), inputs, values.__setitem__)
    for node in network.having(DifferenceNeuron):
        before = values[node.inputs[0]].movedim(1, 0).flatten(1)
        expected = gaussian_thresholds(before.mean(1), before.std(1, correction=0), 64)
        awake = before.amax(1) > 0
        torch.testing.assert_close(node.op.threshold.flatten()[awake], expected[awake], rtol=1e-6, atol=0)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), seeds)
def test_moments_do_not_depend_on_the_batches(sizes, seed):
    values = 1e3 + stream(seed, 2, sum(sizes))
    moments = Moments(2)
    for part in values.split(sizes, 1):
        moments.add(part)
    torch.testing.assert_close(moments.mean, values.mean(1), rtol=1e-12, atol=0)
    torch.testing.assert_close(moments.variance, values.var(1, correction=0), rtol=1e-9, atol=1e-12)
    assert torch.equal(moments.maximum, values.amax(1))


def test_scale_and_levels_are_those_asked_for():
    """Twice the scale, twice the thresholds; a channel that never wakes gets the median of its layer, and a finding."""
    model = nn.Sequential(nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 1)).double().eval()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[2.0], [0.0], [4.0]]))
        model[0].bias.copy_(torch.tensor([0.0, -5.0, 0.0]))
    x = torch.linspace(0, 1, 40, dtype=torch.float64)[:, None]
    found = []
    for scale in (0.5, 1.0):
        passes = (*STRUCTURE, InsertDifferenceNeurons(levels=2, scale=scale), CodeDifferentially())
        network = tp.convert(model, x, tp.Recipe(DCGS.method, passes))
        (node,) = network.having(DifferenceNeuron)
        found.append(node.op.threshold)
        assert node.op.levels == 2
    torch.testing.assert_close(found[1], 2 * found[0], rtol=1e-12, atol=0)
    torch.testing.assert_close(found[0][2], 2 * found[0][0], rtol=1e-9, atol=0)
    assert found[0][1] == found[0][0]
    assert [finding.kind for finding in network.findings] == ["dead-channels"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (functools.partial(InsertDifferenceNeurons, levels=0), "levels must be a whole number from 1 to 8, not 0"),
        (functools.partial(InsertDifferenceNeurons, levels=9), "levels must be a whole number from 1 to 8, not 9"),
        (functools.partial(InsertDifferenceNeurons, scale=0.0), "scale must be above 0 and finite, not 0.0"),
        (functools.partial(DifferenceNeuron, torch.ones(1), torch.zeros(()), Relu(), delay=2), "no height, bias or delay"),
        (lambda: DCGS.with_percentile(99), "does not set its thresholds by a percentile"),
    ],
)
def test_settings_without_meaning_are_refused(make, words):
    with pytest.raises(ArgumentError, match=words):
        make()


@pytest.mark.parametrize(
    ("steps", "kind"),
    [((DecodeOutputs(FirstToMargin(1.0)),), "FirstToMargin"), ((CountSpikes(), DecodeOutputs()), "IntegrateAndFire")],
)
def test_outputs_without_a_differential_form_are_refused(steps, kind):
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    with pytest.raises(ConversionError, match=f"{kind} .* has no differential form"):
        tp.convert(model, torch.rand(40, 4), DCGS.with_output(*steps))


def test_clips_become_two_activations():
    _, inputs, network = subject("relu6") if "relu6" in MODELS else subject("mobilenet-v2")
    split = SplitClips()(network, None)
    assert largest_difference(answers(split, inputs), answers(network, inputs)) <= 1e-9
