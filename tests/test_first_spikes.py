"""Codes by first spikes that are simulated in time, against neurons in plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import transpike as tp
from helpers import anew, subject
from literal_neurons import LiteralFirstSpike
from transpike.errors import ArgumentError, ConversionError
from transpike.neurons import (
    FIRST_SPIKES,
    Announcement,
    CorrectiveFirstSpike,
    FirstSpike,
    PatientFirstSpike,
    Pulse,
)
from transpike.ops import Relu
from transpike.passes import AnnounceSpikes, FitWindow
from transpike.training import ClampedReLU, prepare

RECIPES = {"ttfs-base": FirstSpike, "ttfs-corrective": CorrectiveFirstSpike, "ttfs-dynamic": PatientFirstSpike}
STEPS = 40
SHARE, LEAST = 0.6, 0.4


def small():
    torch.manual_seed(1)
    layers = [nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 3)]
    return nn.Sequential(*layers).double().eval(), torch.rand(60, 6, dtype=torch.float64)


def run(network, x, kind, threshold_weights):
    """Return answers [time, out], spikes [time, neurons] by layer, and announcements by layer, of one sample."""
    ops = [node.op for node in network.nodes.values()]
    layers = [op for op in ops if isinstance(op, FirstSpike)]
    weights = [(op.weight.numpy(), op.bias.numpy()) for op in ops if type(op).__name__ == "Linear" and op.bias is not None]
    neurons = [
        [LiteralFirstSpike(kind, float(t), op.resolution) for t in op.threshold.expand(len(weights[i][1]))]
        for i, op in enumerate(layers)
    ]
    spikes, total, answers = [[] for _ in layers], 0.0, []
    for t in range(1, STEPS + 1):
        pulses, missing = x, np.zeros(len(x))
        for i, layer in enumerate(neurons):
            matrix, bias = weights[i]
            current, absent = matrix @ pulses + bias, threshold_weights(matrix) @ missing if i else np.zeros(len(bias))
            sent = [n.step(c, a if kind is PatientFirstSpike else 0.0) for n, c, a in zip(layer, current, absent, strict=True)]
            for n, c, s in zip(layer, current, sent, strict=True):
                n.announce(c, s, LEAST * n.resolution * n.threshold if threshold_weights is inhibition else 0.0)
            spikes[i].append(sent)
            pulses = np.array([n.on * n.threshold for n in layer])
            missing = np.array([SHARE * n.waiting * n.threshold for n in layer])
        total = total + weights[-1][0] @ pulses + weights[-1][1]
        answers.append(total / t)
    return np.array(answers), [np.array(s) for s in spikes], [[n.told for n in layer] for layer in neurons]


def test_every_kind_has_a_recipe():
    assert set(RECIPES.values()) == set(FIRST_SPIKES)


def inhibition(matrix):
    return np.maximum(-matrix, 0)


@pytest.mark.parametrize(
    ("name", "weights"),
    [("ttfs-base", np.abs), ("ttfs-corrective", np.abs), ("ttfs-dynamic", np.abs), ("ttfs-dynamic", inhibition)],
)
def test_networks_agree_with_neurons_in_plain_loops(name, weights):
    model, samples = small()
    recipe = tp.recipes[name].with_window(STEPS)
    if name == "ttfs-dynamic":
        inhibitory = weights is inhibition
        recipe = recipe.with_pass(AnnounceSpikes(SHARE, inhibitory=inhibitory, least=LEAST if inhibitory else 0.0))
    network = tp.convert(model, samples, recipe)
    kind = RECIPES[name]
    layers = [node.name for node in network.having(FirstSpike)]
    told = [node.name for node in network.having(Announcement)]
    inputs = 1.3 * torch.rand(6, 6, dtype=torch.float64)
    record = tp.Record(spikes=layers, counts=[*layers, *told], times=layers)
    found = tp.simulate(network, inputs, record=record)
    assert found.time_steps == STEPS
    for sample in range(len(inputs)):
        answers, spikes, announced = run(network, inputs[sample].numpy(), kind, weights)
        np.testing.assert_allclose(found.outputs[:, sample], answers, rtol=1e-9, atol=1e-11)
        for i, layer in enumerate(layers):
            assert np.array_equal(found.spikes[layer][:, sample], spikes[i] != 0)
            assert np.array_equal(found.counts[layer][sample], np.abs(spikes[i]).sum(0))
            first = np.where((spikes[i] != 0).any(0), (spikes[i] != 0).argmax(0) + 1.0, np.inf)
            assert np.array_equal(found.times[layer][sample], first)
        for i, node in enumerate(told):
            assert found.counts[node][sample].tolist() == announced[i]


@given(st.floats(0.01, 1.5), st.integers(1, 16))
def test_a_constant_current_fires_when_its_charge_suffices(z, resolution):
    """t = ceil(r / z) for the threshold 1 and the resolution r: it stands for at most z and more than z r / (r + z)."""
    op = FirstSpike(torch.ones((), dtype=torch.float64), torch.zeros(()), Relu(), resolution=resolution, steps=400)
    x = torch.full((1, 1), z, dtype=torch.float64)
    state = op.start(x)
    times = [t for t in range(1, 401) if float(op.step(state, x)) > 0]
    due = math.ceil(resolution / z - 1e-9)
    assert times == ([due] if due <= 400 else [])
    decoded = float(state.transmitted()) / 400
    assert decoded == pytest.approx(resolution / due if times else 0.0)
    if times:
        assert z * resolution / (resolution + z) - 1e-9 <= decoded <= z + 1e-9


def test_a_pulse_lasts():
    op = Pulse()
    state = op.start(torch.zeros(1, 2))
    spikes = torch.tensor([[[0.0, 2.0]], [[3.0, 0.0]], [[0.0, 0.0]], [[-3.0, 0.0]]])
    assert [op.step(state, x).tolist() for x in spikes] == [[[0, 2]], [[3, 2]], [[3, 2]], [[0, 2]]]


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("model", ["resnet", "vgg-bn"])
def test_convolutional_networks_run_and_add_up(name, model, tmp_path):
    _, network = anew(model, tp.recipes[name].with_window(24))
    _, rate = anew(model, "rate")
    model, (samples,), _ = subject(model, torch.float32)
    report = tp.evaluate(model, network, samples)
    run = tp.simulate(network, samples)
    total = sum(float(count.double().mean()) for count in run.spike_counts.values())
    pools = [node for node in run.spike_counts if "pool" in node]
    assert report.final.spikes <= total + 1e-3
    assert pools or report.final.spikes == pytest.approx(total, rel=1e-4)
    plain = tp.evaluate(model, rate, samples, 2)
    assert (report.ann_macs, report.ann_connections) == (plain.ann_macs, plain.ann_connections)
    tp.save(network, tmp_path / "out")
    assert torch.equal(tp.simulate(tp.load(tmp_path / "out"), samples).outputs, run.outputs)


def test_what_may_be_taken_away_is_followed_through_sums_and_chains():
    """Against the matrices multiplied out, with the parts of each sign: V+ W- + V- W+ on one path, a difference, a shortcut."""

    class Chained(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.v, self.u = (nn.Linear(5, 5) for _ in range(3))
            self.w = nn.Linear(10, 5)

        def forward(self, x):
            sent = torch.relu(self.first(x))
            joined = torch.cat([self.v(sent), sent], 1)  # nothing of the second half can be taken away before self.w
            return torch.relu(self.w(joined) - self.u(sent) + sent)

    torch.manual_seed(4)
    model = Chained().double().eval()
    insert = tp.recipes["ttfs-dynamic"].with_pass(AnnounceSpikes(inhibitory=True))
    network = tp.convert(model, torch.rand(40, 5, dtype=torch.float64), insert)
    last = network.having(PatientFirstSpike)[-1]
    told = network.having(Announcement)[0].name
    v, w, u = (layer.weight.detach() for layer in (model.v, model.w, model.u))
    one, none = torch.eye(5, dtype=torch.float64), torch.zeros(5, 5, dtype=torch.float64)
    more, less = torch.cat([v.clamp(min=0), one]), torch.cat([v.clamp(max=0).neg(), none])
    expected = w.clamp(min=0) @ less + w.clamp(max=0).neg() @ more + u.clamp(min=0)
    announced = torch.rand(7, 5, dtype=torch.float64)

    def value(name):
        node = network.nodes[name]
        return announced if name == told else node.op(*map(value, node.inputs))

    torch.testing.assert_close(value(last.inputs[1]), announced @ expected.T)


def test_settings_of_announcements_are_checked():
    for wrong in ({"share": 0.0}, {"least": 1.0}, {"least": -0.1}):
        with pytest.raises(ArgumentError, match=next(iter(wrong))):
            AnnounceSpikes(**wrong)


def test_announcements_do_not_pass_joins_with_constants():
    class Joined(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 4), nn.Linear(8, 4)
            self.end = nn.Linear(4, 2)

        def forward(self, x):
            return self.end(torch.relu(self.last(torch.cat([torch.relu(self.first(x)), x], 1))))

    with pytest.raises(ConversionError, match="joins spikes with a constant signal"):
        tp.convert(Joined().eval(), torch.rand(40, 4), "ttfs-dynamic")


def test_models_with_a_clamped_relu_are_converted_with_their_thresholds():
    model, samples = small()
    model = prepare(model.float(), samples.float(), ClampedReLU(0.1))
    network = tp.convert(model, samples.float(), "ttfs-clamped")
    thresholds = [float(node.op.threshold) for node in network.having(FirstSpike)]
    assert thresholds == [float(one.positive_threshold) for one in model.modules() if isinstance(one, ClampedReLU)]
    steps = tp.simulate(network, samples.float()).time_steps
    with pytest.raises(ArgumentError, match=f"window of {steps} steps, not {steps + 1}"):
        tp.simulate(network, samples.float(), steps + 1)


@pytest.mark.parametrize("name", RECIPES)
def test_the_window_is_where_the_answers_are_most_like_the_ann(name):
    (samples,), network = anew("mlp", name)
    model, _, _ = subject("mlp", torch.float32)
    steps = tp.simulate(network, samples).time_steps
    longer = tp.simulate(anew("mlp", name, 384)[1], samples)
    assert longer.time_steps == 384
    with torch.inference_mode():
        wanted = model(samples).argmax(1)
    agreement = (longer.outputs.argmax(2) == wanted).float().mean(1)
    assert agreement[steps - 1] == agreement.max()
    assert not (agreement[: steps - 1] == agreement.max()).any()
    (finding,) = [found for found in network.findings if found.kind == "window"]
    assert f"runs for {steps} steps" in finding.message


@pytest.mark.parametrize(
    ("steps", "score", "severity", "told", "advice"),
    [
        (20, 0.97, "note", "97 % decided alike", "giving time steps"),
        (20, -0.02, "note", "a relative error of 0.02", "giving time steps"),
        (384, 0.97, "warning", "97 % decided alike", "search further"),
        (1, 0.12, "warning", "12 % decided alike", "recipe='phase'"),
        (384, -0.8, "warning", "a relative error of 0.8", "recipe='phase'"),
    ],
)
def test_what_was_chosen_is_said_and_warned_of_where_no_number_of_steps_will_do(steps, score, severity, told, advice):
    found = FitWindow().finding(steps, 200, score)
    assert found.severity == severity
    assert told in found.message
    assert advice in found.advice
