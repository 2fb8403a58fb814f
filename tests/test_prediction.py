"""The walk in leaps against the simulation and against plain loops; estimates against what is simulated."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import transpike as tp
from helpers import converted
from transpike.codings import Poisson
from transpike.errors import ArchiveError, ArgumentError, ConversionError, DataError
from transpike.network import forward
from transpike.neurons import SPIKING, IntegrateAndFire, Neuron
from transpike.ops import Relu
from transpike.prediction import Prediction, leap_answers, leap_ends
from transpike.prediction.answers import Answers, clipped, expected_shares
from transpike.prediction.bands import corrected_band, walk_band
from transpike.prediction.leaps import UNEVENNESS, Leaper, held, highest

RATE = tp.recipes["rate"]
WALKED = ("lenet", "resnet", "inception", "max-pool-twice", "two-inputs", "softmax-at-the-end", "leaky-relu-in-place")
SCALAR = torch.tensor(0.5, dtype=torch.float64)


@pytest.mark.parametrize("name", WALKED)
@pytest.mark.parametrize("recipe", [RATE, tp.recipes["rate-basic"], RATE.poisson(3)], ids=lambda recipe: recipe.name)
def test_leaps_of_one_step_are_the_simulation(name, recipe):
    inputs, network = converted(name, recipe)
    run = tp.simulate(network, inputs, 7)
    outputs = run.outputs if isinstance(run.outputs, torch.Tensor) else next(iter(run.outputs.values()))
    walk = leap_answers(network, inputs, range(1, 8))
    for step, answer in walk.items():
        assert torch.allclose(answer, outputs[step - 1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", SPIKING, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("varied", [False, True])
def test_any_neuron_leaps_as_it_steps(kind, varied):
    """The mean over a leap is the mean of its steps, whatever the neuron, its heights, biases and delay."""
    rows = torch.rand(9, 4, dtype=torch.float64) if varied else None
    op = kind(torch.ones(4, dtype=torch.float64), SCALAR, Relu(), height=rows, bias=rows, delay=2 if varied else 0)
    x = torch.tensor([[0.3, 0.0, 0.9, 0.55]], dtype=torch.float64)
    leaping, stepping = op.start(x), op.start(x)
    mean = held(op, leaping, x, 9)
    assert torch.allclose(mean, sum(op.step(stepping, x).clone() for _ in range(9)) / 9, rtol=0, atol=1e-12)
    assert torch.allclose(leaping.count, stepping.count)
    assert torch.allclose(leaping.potential, stepping.potential, rtol=0, atol=1e-12)


@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.floats(0, 1), st.floats(-3, 0.999)), min_size=1, max_size=20),
    st.sampled_from([None, 0.7]),
)
def test_a_leap_in_closed_form_is_its_steps(length, pairs, height):
    """Charge in multiples of 1/1024, so that sums are exact and no spike hangs on a last bit."""
    current, potential = (torch.tensor([v]).mul(1024).round().div(1024).double() for v in zip(*pairs, strict=True))
    heights = None if height is None else torch.tensor([[height]], dtype=torch.float64)
    op = IntegrateAndFire(torch.ones(1, dtype=torch.float64), SCALAR, Relu(), height=heights)
    leaping, stepping = op.start(current), op.start(current)
    leaping.potential.copy_(potential)
    stepping.potential.copy_(potential)
    mean = held(op, leaping, current, length)
    for _ in range(length):
        op.step(stepping, current)
    assert torch.equal(leaping.count, stepping.count)
    assert torch.equal(leaping.potential, stepping.potential)
    assert torch.allclose(mean * length, leaping.transmitted(), rtol=1e-12, atol=1e-12)


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0, 10))
def test_a_membrane_rises_at_least_to_both_ends(start, end, variance):
    a, b, s = (torch.tensor([value], dtype=torch.float64) for value in (start, end, variance))
    top = highest(a.clone(), b.clone(), s)
    assert float(top) >= max(start, end) - 1e-9
    assert float((top - a) * (top - b)) == pytest.approx(UNEVENNESS * variance, abs=1e-9)


def test_a_silent_neuron_sends_more_when_its_current_varies():
    """The half spike too many: no net charge, yet the membrane passes the threshold on the way."""
    op = IntegrateAndFire(torch.ones(3, dtype=torch.float64), SCALAR, Relu())
    x = torch.zeros(1, 3, dtype=torch.float64)
    variance = torch.tensor([[0.0, 0.1, 2.0]], dtype=torch.float64)
    assert (held(op, op.start(x), x, 8, variance) * 8).tolist() == [[0, 0, 1]]


def test_the_variance_of_a_current_is_that_of_its_steps():
    """Against many random currents: means over n and n' steps differ by s^2 (1/n + 1/n') on average."""
    _, network = converted("lenet", RATE)
    name = network.having(IntegrateAndFire)[0].name
    walk = Leaper(network, [torch.zeros(1, *op.shape, dtype=torch.float64) for op in network.inputs.values()])
    draws = torch.randn(12, 20000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    walk.length = 4
    assert walk.variance(name, draws[:4].mean(0)) is None
    walk.length = 8
    found = walk.variance(name, draws[4:].mean(0))
    assert float(found.mean()) == pytest.approx(1, abs=5 * (2 / 20000) ** 0.5)  # five standard errors of a chi-square mean


@given(st.integers(1, 5000), st.integers(1, 6))
def test_leaps_end_where_they_should(time_steps, per_octave):
    ends = leap_ends(time_steps, per_octave)
    assert list(ends) == sorted(set(ends))
    assert (ends[0], ends[-1]) == (1, time_steps)
    assert len(ends) <= per_octave * math.log2(time_steps) + 2
    assert all(later / sooner <= max(2.0, 2 ** (1 / per_octave) * 1.5) for sooner, later in itertools.pairwise(ends))


def test_random_input_does_not_depend_on_the_block():
    inputs, network = converted("lenet", RATE.poisson(3))
    assert network.having(Poisson)
    whole = leap_answers(network, inputs, leap_ends(12))
    rest = leap_answers(network, [x[2:] for x in inputs], leap_ends(12), first_sample=2)
    assert all(torch.allclose(whole[end][2:], rest[end], rtol=0, atol=1e-9) for end in whole)


@pytest.mark.parametrize("percent", [60, 100])
def test_the_walk_approaches_the_clipped_network_as_one_over_t(percent):
    inputs, network = converted("lenet", RATE.with_percentile(percent))
    limit = next(iter(forward(clipped(network), inputs).values()))
    ends = leap_ends(2048)
    walk = leap_answers(network, inputs, ends)
    errors = {end: float((walk[end] - limit).abs().max()) for end in (64, 2048)}
    assert errors[2048] < errors[64] / 8  # 1/32 by the law; a factor of 4 for the phase of single spikes


def test_clipping_is_relu1_of_each_neuron():
    _, network = converted("lenet", RATE.with_percentile(60))
    for node in clipped(network).nodes.values():
        neuron = network.nodes[node.name].op
        if isinstance(neuron, Neuron):
            x = torch.linspace(-2, 50, 64, dtype=torch.float64).reshape([-1, *[1] * neuron.threshold.ndim])
            assert torch.equal(node.op(x), x.clamp(min=0).minimum(neuron.threshold))


@pytest.fixture(scope="module")
def setting():
    """A small network that is right, unsure and wrong often enough for shares to mean something."""
    torch.manual_seed(2)
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 5)
    ).eval()
    x = torch.rand(300, 1, 6, 6)
    with torch.inference_mode():
        scores = model(x)
    labels = torch.where(torch.rand(300) < 0.8, scores.argmax(1), torch.randint(5, (300,)))
    return model, tp.convert(model, torch.rand(200, 1, 6, 6)), x, labels


def test_estimates_keep_their_bands(setting):
    model, network, x, labels = setting
    prediction = tp.predict(network, (x, labels), 64, model, simulated=64)
    report = tp.evaluate(model, network, (x, labels), 64)
    assert prediction.reference_accuracy == pytest.approx(report.reference_accuracy)
    assert (prediction.samples, prediction.simulated) == (300, 64)
    for estimates, band in ((prediction.over_time, walk_band), (prediction.corrected, corrected_band)):
        for one in estimates:
            assert one.band == band(one.time_steps)
            assert 100 * abs(one.accuracy - report.accuracy[one.time_steps - 1]) <= one.band + 1e-9
            assert 100 * abs(one.agreement - report.agreement[one.time_steps - 1]) <= one.band + 1e-9


def test_the_first_steps_are_exact(setting):
    """Up to three steps each leap is one step long."""
    _, network, x, labels = setting
    prediction = tp.predict(network, (x, labels), 3, simulated=10)
    report = tp.evaluate(None, network, (x, labels), 3)
    assert [one.accuracy for one in prediction.over_time] == pytest.approx(report.accuracy)
    assert [one.agreement for one in prediction.corrected] == pytest.approx(report.agreement)


def test_residuals_meet_every_sample_once():
    """Against a plain loop over pairs."""
    walk, truth, labels = torch.randn(9, 4), torch.randn(3, 4), torch.randint(4, (9,))
    ann = torch.randn(9, 4)
    agreement, accuracy = expected_shares(Answers(ann, walk, {5: walk}, {5: truth}, labels), 5)
    right = agreed = 0
    for sample in range(9):
        for one in range(3):
            answer = int((walk[sample] + truth[one] - walk[one]).argmax())
            agreed += answer == int(ann[sample].argmax())
            right += answer == int(labels[sample])
    assert (agreement, accuracy) == pytest.approx((agreed / 27, right / 27))


def test_no_labels_no_accuracy_and_the_relu1_warning(setting):
    _, network, x, _ = setting
    prediction = tp.predict(network, x, 8)
    assert prediction.reference_accuracy is None
    assert all(one.accuracy is None and one.value == one.agreement for one in prediction.over_time)
    assert prediction.corrected == ()
    assert prediction.clipped.band is None
    assert "at few time steps it means nothing" in prediction.findings[0].message


def test_batches_memory_and_progress_do_not_matter(setting):
    _, network, x, labels = setting
    done = []
    whole = tp.predict(network, (x, labels), 6, simulated=40, progress=done.append)
    assert sum(done) == 300
    parts = list(zip(x.split(7), labels.split(7), strict=True))
    assert tp.predict(network, parts, 6, simulated=40) == whole


def test_prediction_survives_json(setting, tmp_path):
    _, network, x, labels = setting
    prediction = tp.predict(network, (x, labels), 6, simulated=4)
    prediction.save(tmp_path / "prediction.json")
    assert Prediction.load(tmp_path / "prediction.json") == prediction


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"format": 99}', '{"format": 1, "over_time": 3}'])
def test_damaged_predictions_are_refused(content, tmp_path):
    (tmp_path / "prediction.json").write_text(content)
    with pytest.raises(ArchiveError):
        Prediction.load(tmp_path / "prediction.json")


def test_mistakes_are_named(setting):
    model, network, x, labels = setting
    with pytest.raises(ArgumentError, match="time_steps"):
        tp.predict(network, x, 0)
    with pytest.raises(ArgumentError, match="simulated must be a number of samples"):
        tp.predict(network, x, 4, simulated=-1)
    with pytest.raises(ArgumentError, match=r"call transpike\.convert first"):
        tp.predict(model, x, 4)
    with pytest.raises(DataError, match="Label 9 of sample 0 is out of range"):
        tp.predict(network, (x, labels + 9 - labels[0]), 4)
    images = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Conv2d(2, 1, 1)).eval()
    with pytest.raises(DataError, match=r"Only answers \[batch, classes\] can be predicted"):
        tp.predict(tp.convert(images, x), x, 4)


@pytest.mark.parametrize(
    ("recipe", "steps", "words"),
    [
        ("phase", 31, "take turns, so one pass"),
        ("sequential", 8, "take turns, so one pass"),
        ("ttfs-exact", 1, "take turns, so one pass"),
        ("ttfs-base", 16, "the time of a single spike is the value"),
        ("ttfs-dynamic", 16, "the time of a single spike is the value"),
        ("dcgs", 4, "differential coding"),
    ],
)
def test_codes_that_no_mean_over_time_tells_are_refused(setting, recipe, steps, words):
    """And the refusal sends one to an evaluation, which these networks can have."""
    model, _, x, labels = setting
    network = tp.convert(model, x, recipe, time_steps=steps)
    with pytest.raises(ConversionError, match=words) as refusal:
        tp.predict(network, (x, labels), steps, simulated=4)
    assert ("transpike evaluate" in str(refusal.value)) == (recipe != "dcgs")
    assert len(tp.evaluate(model, network, (x, labels), steps).accuracy) == steps


def test_the_walk_counts_steps_and_keeps_the_network(setting):
    _, network, x, _ = setting
    before = {name: [t.clone() for _, t in node.op.tensors()] for name, node in network.nodes.items()}
    walk = Leaper(network, [x[:3]])
    for length in (1, 2, 5):
        walk.leap(length)
    assert walk.now == 8
    assert all(
        torch.equal(a, b)
        for name, node in network.nodes.items()
        for a, (_, b) in zip(before[name], node.op.tensors(), strict=True)
    )
