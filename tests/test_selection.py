"""What a search tries, keeps and chooses; the percentile chosen on noise."""

from __future__ import annotations

import dataclasses
import sys

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import transpike as tp
from transpike.answers import divergence
from transpike.cli.planning import limits_of
from transpike.data import Batch
from transpike.errors import ArchiveError, ArgumentError, DataError, MissingExtraError
from transpike.neurons import Phase
from transpike.report import predicted_over_time, search_front
from transpike.report.style import rendered
from transpike.selection import Limits, Selection, Trial, pareto_front
from transpike.selection import exploration as exploration_module
from transpike.selection import study as study_module
from transpike.selection.measurement import measure
from transpike.selection.noise import extremes, uniform
from transpike.selection.study import Space, Study
from zoo import ZOO


def trial(kl=0.1, steps=8, spikes=1.0, bits=1, energy=0.5):
    return Trial("rate", 99.0, steps, kl, 0.9, None, spikes, bits, energy)


costs = st.builds(trial, st.sampled_from([0.0, 0.1, 0.2, 0.3]), st.integers(1, 4), st.sampled_from([0.5, 1.0, 2.0]))


@given(st.lists(costs, max_size=12))
def test_the_front_is_what_nothing_beats(trials):
    front = pareto_front(trials)

    def beats(a, b):
        return a.costs() != b.costs() and all(x <= y for x, y in zip(a.costs(), b.costs(), strict=True))

    assert not any(beats(a, b) for a in trials for b in front)
    for one in trials:
        assert any(other.costs() == one.costs() or beats(other, one) for other in front)
    assert len({one.costs() for one in front}) == len(front)


def test_the_best_keeps_the_limits():
    far = trial(kl=0.0, steps=64)
    hungry = trial(kl=0.01, energy=2.0)
    graded = trial(kl=0.02, bits=4)
    noisy = trial(kl=0.03, spikes=9.0)
    good, soon = trial(kl=0.05), trial(kl=0.05, steps=4)
    limits = Limits(time_steps=8, spikes_per_neuron=2, energy=1)
    chosen = Selection(limits, 3, 1, 0, (far, hungry, graded, noisy, good, soon), ())
    assert chosen.best == soon
    assert set(chosen.within) == {good, soon}
    assert dataclasses.replace(chosen, trials=(far,)).best is None
    assert limits.excess(far) == 7
    assert dataclasses.replace(chosen, limits=Limits(time_steps=64, bits_per_spike=4)).best == far


def test_a_window_found_on_samples_stays_as_it_was_measured():
    found = dataclasses.replace(trial(steps=20), recipe="ttfs-dynamic", percentile=None)
    assert tp.recipes["ttfs-dynamic"].window is None
    assert found.chosen_recipe().window == 20


def test_limits_in_milliseconds_and_hertz():
    limits = Limits.timed(8, 100, step_ms=0.5, energy=1)
    assert (limits.time_steps, limits.max_hz, limits.energy) == (16, 100, 1)
    assert Limits.timed(0.3, step_ms=0.1).time_steps == 3
    assert Limits.timed(2.5).time_steps == 2
    slow, busy = (dataclasses.replace(trial(), busiest=rate) for rate in (0.05, 0.1))
    assert (limits.milliseconds(slow), limits.hertz(slow)) == (4, 100)
    assert limits.excess(slow) == 0
    assert limits.excess(busy) == pytest.approx(1)
    windows = dataclasses.replace(slow, windows=3)
    assert limits.milliseconds(windows) == 12
    assert limits.excess(windows) == pytest.approx(0.5)
    assert Selection(limits, 3, 1, 0, (busy, slow, windows), ()).best == slow
    assert Limits(time_steps=8).excess(busy) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"latency_ms": 0}, "latency_ms must be a number of milliseconds above 0, not 0"),
        ({"latency_ms": float("nan")}, "latency_ms must be"),
        ({"latency_ms": 4, "step_ms": float("inf")}, "step_ms must be"),
        ({"latency_ms": 4, "step_ms": -1}, "step_ms must be"),
        ({"latency_ms": 0.5}, "No time step of 1 ms fits into latency_ms=0.5: allow more"),
        ({"latency_ms": 4, "max_hz": 0}, "limit max_hz must be above 0"),
    ],
)
def test_mistakes_of_limits_in_physical_units_are_named(arguments, words):
    with pytest.raises(ArgumentError, match=words):
        Limits.timed(**arguments)


def test_a_rate_needs_the_duration_of_a_step():
    with pytest.raises(ArgumentError, match="max_hz needs the duration of a time step: give step_ms"):
        Limits(time_steps=4, max_hz=100)
    with pytest.raises(ArgumentError, match="Time steps have no duration in these limits: give step_ms"):
        Limits(time_steps=4).milliseconds(trial())


def test_the_command_line_takes_milliseconds_or_steps():
    none = {"max_hz": None}
    assert limits_of(None, None, None, **none) == Limits(time_steps=32)
    assert limits_of(8, None, None, max_hz=50) == Limits(time_steps=8, max_hz=50, step_ms=1.0)
    assert limits_of(None, 10, 0.5, **none) == Limits(time_steps=20, step_ms=0.5)
    assert limits_of(None, 10, None, max_hz=50) == Limits.timed(10, 50)
    with pytest.raises(ArgumentError, match="--time-steps and --latency-ms limit the same"):
        limits_of(8, 10, None, **none)
    with pytest.raises(ArgumentError, match="step_ms must be"):
        limits_of(None, 10, 0, **none)


def made():
    """A landscape with one recipe that cannot convert."""
    tried = []

    def attempt(recipe, percentile, steps):
        tried.append((recipe, percentile, steps))
        if recipe == "broken":
            return "broken: it cannot"
        kl = 1 / steps + (0.0 if percentile is None else abs(percentile - 99.2))
        return Trial(recipe, percentile, steps, kl, 0.9, None, steps / 4, 1, 0.5)

    space = Space({"good": True, "plain": False, "broken": True}, (95.0, 99.99), (1, 2, 4, 8))
    return attempt, space, Limits(time_steps=4), tried


@pytest.fixture
def few_random(monkeypatch):
    """Let earlier trials guide the next from the third on."""
    monkeypatch.setattr(study_module, "STARTUP", 3)


def drawn(study):
    return [one.user_attrs["drawn"] for one in study.finished()]


@pytest.mark.usefixtures("few_random")
def test_an_interrupted_search_goes_on_with_the_same_trials(tmp_path):
    attempt, _, limits, _ = made()
    space = Space({"good": True}, (95.0, 99.99), (1, 2, 4, 8))
    whole = Study(space, 7, None, "key", resume=False)
    for _ in range(12):
        whole.advance(attempt, limits.excess)

    def interrupted(*_):
        raise KeyboardInterrupt

    first = Study(space, 7, tmp_path, "key", resume=False)
    for _ in range(6):
        first.advance(attempt, limits.excess)
    with pytest.raises(KeyboardInterrupt):
        first.advance(interrupted, limits.excess)
    rest = Study(space, 7, tmp_path, "key", resume=True)
    assert len(rest.finished()) == 6
    for _ in range(6):
        rest.advance(attempt, limits.excess)
    assert drawn(rest) == drawn(whole)
    assert rest.trials() == whole.trials()
    other = Study(space, 8, None, "key", resume=False)
    for _ in range(12):
        other.advance(attempt, limits.excess)
    assert drawn(other) != drawn(whole)
    with pytest.raises(ArchiveError, match="a search of another model, other samples or settings"):
        Study(space, 7, tmp_path, "another", resume=True)
    assert Study(space, 7, tmp_path, "another", resume=False).finished() == []


@pytest.mark.usefixtures("few_random")
def test_nothing_is_tried_twice_and_refusals_are_kept():
    attempt, space, limits, tried = made()
    study = Study(space, 1, None, "key", resume=False)
    for _ in range(25):
        study.advance(attempt, limits.excess)
    assert len(tried) == len(set(tried)) < 25
    assert study.refusals() == ("broken: it cannot",)
    assert len(study.trials()) == len([one for one in tried if one[0] != "broken"])
    assert all(95 <= p <= 99.99 for _, p, _ in tried if p is not None)


def test_a_damaged_journal_is_named(tmp_path):
    (tmp_path / "search.journal").write_text("{broken\n{again\n")
    with pytest.raises(ArchiveError, match="damaged"):
        Study(Space({"rate": True}, (95.0, 99.0), (1,)), 0, tmp_path, "key", resume=True)


@pytest.fixture(scope="module")
def setting():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 4)).eval()
    x = torch.rand(120, 6)
    with torch.no_grad():
        model[4].bias -= model(x).mean(0)  # so that all classes are answers
    return model, x, model(x).argmax(1)


@pytest.fixture(scope="module")
def selection(setting):
    model, x, labels = setting
    return tp.search(model, (x, labels), Limits(time_steps=8, spikes_per_neuron=3), trials=5, recipes=["rate", "rate-basic"])


def test_a_search_on_a_network(setting, selection, tmp_path):
    model, x, labels = setting
    again = tp.search(
        model, (x, labels), Limits(time_steps=8, spikes_per_neuron=3), trials=5, recipes=["rate", "rate-basic"], folder=tmp_path
    )
    assert again == selection
    assert (selection.fitted, selection.held_out) == (90, 30)
    assert selection.best in selection.front
    best = selection.best
    network = tp.convert(model, x, best.chosen_recipe(), time_steps=best.time_steps)
    assert network.method.name.startswith(best.recipe)
    selection.save(tmp_path / "search.json")
    assert Selection.load(tmp_path / "search.json") == selection


def test_samples_that_judge_do_not_calibrate(setting, monkeypatch):
    """A held-out sample that is far out of range must not reach the thresholds."""
    model, x, _ = setting
    fits, judged = [], []
    convert, real = exploration_module.convert, exploration_module.measure
    monkeypatch.setattr(exploration_module, "convert", lambda m, s, *a, **k: (fits.append(s), convert(m, s, *a, **k))[1])
    monkeypatch.setattr(exploration_module, "measure", lambda n, s, *a: (judged.append(s), real(n, s, *a))[1])
    tp.search(model, x, 4, trials=1, recipes=["rate"], held_out=0.5)
    fit, held = ({tuple(row.tolist()) for row in batch.inputs[0]} for batch in (fits[0], judged[0]))
    assert not fit & held
    assert fit | held == {tuple(row.tolist()) for row in x}


def test_a_measurement_is_what_the_evaluation_says(setting):
    model, x, labels = setting
    network = tp.convert(model, x)
    report = tp.evaluate(model, network, (x, labels), 12)
    with torch.inference_mode():
        reference = model(x)
    found = measure(network, Batch((x,), labels), [reference], 12)
    assert found.agreement == pytest.approx(report.agreement[-1])
    assert found.accuracy == pytest.approx(report.accuracy[-1])
    assert found.spikes_per_neuron == pytest.approx(report.spikes_per_neuron)
    assert found.energy == pytest.approx(report.final.energy[0].ratio)
    assert found.busiest == pytest.approx(max(layer.spikes_per_neuron for layer in report.layers) / 12)
    p, q = F.softmax(reference, 1), F.softmax(tp.simulate(network, x, 12).outputs[-1], 1)
    assert found.divergence == pytest.approx(float((p * (p / q).log()).sum(1).mean()), rel=1e-3)


def test_divergence_is_zero_for_equal_answers_and_positive_else():
    a, b = torch.randn(5, 3), torch.randn(5, 3)
    assert divergence(a, a) == 0
    assert divergence(a + 3, a) == pytest.approx(0, abs=1e-12)
    assert divergence(a, b) > 0
    with pytest.raises(DataError, match="can be compared"):
        divergence(a[:, 0], b[:, 0])


@pytest.mark.parametrize("targets", [None, torch.randn(30, 5)])
def test_outputs_that_are_no_classes_are_compared_by_their_error(targets, tmp_path):
    """Two outputs, or values as of a regression: the mean of the squared errors relative to the ANN's; nothing agrees."""

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.answer = nn.Linear(4, 6), nn.Linear(6, 5)

        def forward(self, x):
            hidden = torch.relu(self.layer(x))
            return self.answer(hidden) if targets is not None else (self.answer(hidden), hidden[:, :2])

    model, x = Two().eval(), torch.rand(30, 4)
    network = tp.convert(model, torch.rand(100, 4))
    wanted = torch.utils._pytree.tree_leaves(model(x))
    found = measure(network, Batch((x,), targets), wanted, 5)
    outputs = tp.simulate(network, x, 5).outputs
    last = [outputs[-1]] if targets is not None else [one[-1] for one in outputs.values()]
    errors = [float((a - b).square().sum() / b.square().sum()) for a, b in zip(last, wanted, strict=True)]
    assert found.divergence == pytest.approx(sum(errors) / len(errors), rel=1e-4)
    assert (found.agreement, found.accuracy) == (None, None)
    result = tp.search(model, x if targets is None else (x, targets), 4, trials=2, recipes=["rate"])
    result.save(tmp_path / "search.json")
    assert tp.Selection.load(tmp_path / "search.json") == result
    assert search_front(result).axes[0].get_ylabel() == "Relative output error (%)"


def test_mistakes_of_a_search_are_named(setting, monkeypatch):
    model, x, _ = setting
    for arguments, words in (
        ({"recipes": ["rat"]}, "Did you mean 'rate'"),
        ({"trials": 0}, "trials must be a whole number"),
        ({"held_out": 1.0}, "held_out must be a share"),
        ({"percentiles": (99, 95)}, "percentiles must be two numbers"),
        ({"recipes": []}, "No recipe sends spikes of at most 1 bits"),
    ):
        with pytest.raises(ArgumentError, match=words):
            tp.search(model, x, 4, **{"trials": 1, **arguments})
    with pytest.raises(DataError, match="at least 2 calibration samples"):
        tp.search(model, x[:1], 4, trials=1)
    for name in ("spikes_per_neuron", "energy"):
        with pytest.raises(ArgumentError, match=f"limit {name} must be above 0"):
            Limits(time_steps=4, **{name: 0.0})
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"needs the package optuna: pip install 'transpike\[search\]'"):
        tp.search(model, x, 4, trials=1)


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"format": 99}', '{"format": 1, "trials": 3}'])
def test_damaged_selections_are_refused(content, tmp_path):
    (tmp_path / "search.json").write_text(content)
    with pytest.raises(ArchiveError):
        Selection.load(tmp_path / "search.json")


def test_pictures_are_drawn_and_repeatable(setting, selection):
    model, x, labels = setting
    for labelled in (x, (x, labels)):
        prediction = tp.predict(tp.convert(model, x), labelled, 8, simulated=8)
        for one in (prediction, dataclasses.replace(prediction, corrected=())):
            assert rendered(predicted_over_time(one), "svg") == rendered(predicted_over_time(one), "svg")
    for one in (selection, dataclasses.replace(selection, limits=Limits(time_steps=1, spikes_per_neuron=1e-9))):
        figure = search_front(one)
        assert len(figure.axes) == 2
        assert rendered(figure, "png")


def test_noise_fills_the_range_of_the_inputs():
    x = torch.stack([torch.rand(50, 4, 4) * 2 - 1, torch.rand(50, 4, 4) * 6 + 3], 1)
    ((low, high),) = extremes(x, 1, None)
    assert low.shape == high.shape == (1, 2, 4, 4)
    assert torch.equal(low[0, :, 0, 0], x.amin((0, 2, 3)))
    assert torch.equal(high[0, :, 3, 3], x.amax((0, 2, 3)))
    (noise,) = uniform([(low, high)], 4000, 0)
    assert ((noise >= low) & (noise <= high)).all()
    middle = noise.double().mean(0)
    tolerance = 5 * (high - low)[0].double() / (12 * 4000) ** 0.5  # five standard errors of a uniform mean
    assert ((middle - ((low + high) / 2)[0]).abs() < tolerance).all()
    assert torch.equal(noise, uniform([(low, high)], 4000, 0)[0])


def test_the_percentile_that_loses_least_on_noise(setting):
    model, x, _ = setting
    done = []
    choice = tp.percentile_by_noise(model, x, 16, percentiles=(20, 99.5), count=60, progress=done.append)
    assert sum(done) == 2
    assert choice.best.percentile == 99.5
    assert choice.best.loss < choice.losses[0].loss
    assert choice.recipe.name == "rate, percentile 99.5"
    noise = uniform(extremes(x, 1, None), 60, 0)[0]
    run = tp.simulate(tp.convert(model, x, tp.recipes["rate"].with_percentile(99.5)), noise, 16)
    with torch.inference_mode():
        differs = (run.outputs[-1].argmax(1) != model(noise).argmax(1)).float().mean()
    assert choice.losses[1].loss == pytest.approx(float(differs))


def test_mistakes_of_the_noise_are_named(setting):
    model, x, _ = setting
    with pytest.raises(ArgumentError, match="percentiles must hold at least one"):
        tp.percentile_by_noise(model, x, 4, percentiles=())
    with pytest.raises(ArgumentError, match="limits must be the least and the greatest"):
        tp.percentile_by_noise(model, x, 4, limits=(1.0, 0.0))
    with pytest.raises(ArgumentError, match="count"):
        tp.percentile_by_noise(model, x, 4, count=0)


def test_latency_counts_all_windows_of_layers_that_take_turns():
    model, samples = ZOO["mlp"]()
    limits = Limits.timed(200, max_hz=1000)
    found = tp.search(model, samples, limits, recipes=["phase", "sequential"], trials=6)
    depth = len(tp.convert(model, samples, "phase").having(Phase))
    assert found.trials
    for one in found.trials:
        assert one.windows == depth
        assert one.latency == depth * one.time_steps
        assert one.recipe != "phase" or one.time_steps == 31
        assert one.recipe != "phase" or 0 < one.busiest <= 1 / 31  # one spike per neuron, while its layer sends
    assert all(one.latency <= 200 for one in found.front)


def test_a_chip_limits_what_is_tried(setting):
    model, x, _ = setting
    limits = Limits.of("speck", 8)
    assert (limits.bits_per_spike, limits.chip) == (1, "speck")
    assert Limits.of("truenorth", 8, energy=1.0).step_ms == 1
    found = tp.search(model, x, limits, recipes=["rate", "ternary", "reset-to-zero"], trials=8)
    assert {one.recipe for one in found.trials} <= {"rate", "reset-to-zero"}
    assert all(one.startswith("ternary: Does not fit Speck") for one in found.refusals)
    assert found.trials
    with pytest.raises(ArgumentError, match="Did you mean 'speck'"):
        Limits(time_steps=8, chip="spek")
    assert limits_of(16, None, None, chip="loihi-2", bits_per_spike=None) == Limits.of("loihi-2", 16)
    assert limits_of(16, None, None, chip="loihi-2", bits_per_spike=2).bits_per_spike == 2
