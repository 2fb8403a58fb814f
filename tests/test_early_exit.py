"""Early exit: the margin is what its definition says, its promise holds, and a batch that shrinks changes nothing."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import transpike as tp
from helpers import converted, examples, same_network
from transpike.analysis import Report
from transpike.errors import ArgumentError, ConversionError, DataError, TranspikeWarning
from transpike.exits import (
    critical_margins,
    exit_of,
    leads,
    least_margin,
    most_changes,
    samples_needed,
    smallest_loss,
    without_exit,
)
from transpike.network import Node
from transpike.neurons import EarlyExit, FirstToMargin, Integrator
from transpike.passes import CompeteForMax, DecodeOutputs, NormaliseOutputs
from transpike.report import page
from transpike.simulation import Record, Snapshots, blocks, counting_nodes
from transpike.simulation.engines import StoppingEngine, Task, engine_for

RATE = tp.recipes["rate"]
seeds = st.integers(0, 10_000)


def scores(seed, steps=25, samples=40, classes=3, drift=0.3):
    """Return what is received at each step [time, batch, classes]: noise about a mean of each sample's own."""
    generator = torch.Generator().manual_seed(seed)
    means = drift * torch.randn(samples, classes, dtype=torch.float64, generator=generator)
    return means + torch.randn(steps, samples, classes, dtype=torch.float64, generator=generator)


def literal_decision(received, margin):
    """Step one sample [time][classes] in a plain loop and return (its decision, the step of it)."""
    sums = [0.0] * len(received[0])
    for t, values in enumerate(received, 1):
        sums = [total + value for total, value in zip(sums, values, strict=True)]
        first, second = sorted(sums, reverse=True)[:2]
        if first - second >= margin:
            return sums.index(first), t
    return sums.index(max(sums)), len(received)


def found_margins(received, delay=0):
    node = Node("end", Integrator(delay=delay))
    sums = received.cumsum(0)
    return critical_margins(leads(node, sums), sums.argmax(2))


def with_decoder(network, op):
    return network.map_ops(lambda node: op if isinstance(node.op, Integrator) else node.op)


@given(seeds)
@settings(max_examples=8)
def test_the_critical_margin_is_the_largest_that_changes_the_decision(seed):
    received = scores(seed, steps=12, samples=8)
    sums = received.cumsum(0).sort(2).values
    for sample, critical in enumerate(found_margins(received).tolist()):
        values = received[:, sample].tolist()
        last = literal_decision(values, math.inf)[0]
        tried = sorted((sums[:, sample, -1] - sums[:, sample, -2]).tolist())
        changing = [margin for margin in tried if literal_decision(values, margin)[0] != last]
        assert critical == pytest.approx(max(changing, default=0.0), abs=1e-12)


@given(seeds, st.sampled_from([0.02, 0.1, 0.3]))
def test_the_margin_is_the_least_that_keeps_all_but_a_few_decisions(seed, loss):
    received = scores(seed, samples=200)
    critical = found_margins(received)
    margin = least_margin(critical, loss, 0.9)
    allowed = most_changes(200, loss, 0.9)
    assert (critical >= margin).sum() <= allowed
    assert (critical >= math.nextafter(margin, 0)).sum() > allowed
    final = received.sum(0).argmax(1).tolist()
    decided = [literal_decision(received[:, sample].tolist(), margin)[0] for sample in range(200)]
    assert sum(a != b for a, b in zip(decided, final, strict=True)) <= allowed


@given(st.integers(1, 80), st.integers(1, 99), st.integers(1, 99))
def test_most_changes_is_the_binomial_quantile(samples, loss, confidence):
    p, doubt = Fraction(loss, 100), 1 - Fraction(confidence, 100)
    terms = [math.comb(samples, k) * p**k * (1 - p) ** (samples - k) for k in range(samples + 1)]
    allowed = max((k for k in range(samples + 1) if sum(terms[: k + 1]) <= doubt), default=-1)
    assert most_changes(samples, loss / 100, confidence / 100) == allowed
    assert (samples >= samples_needed(loss / 100, confidence / 100)) == (allowed >= 0)
    least = smallest_loss(samples, confidence / 100)
    assert (1 - least) ** samples == pytest.approx(1 - confidence / 100)


@given(seeds, st.floats(0.05, 1.0), st.sampled_from([(0.02, 0.95), (0.05, 0.9), (0.1, 0.8)]))
@settings(max_examples=examples(10))
def test_the_promise_holds_as_often_as_it_says(seed, drift, promise):
    """The population is known, so the true share of changed decisions of each of 500 calibrations is too."""
    loss, confidence = promise
    received = scores(seed, steps=12, samples=4000, drift=drift)
    sums = received.cumsum(0)
    lead, answers = leads(Node("end", Integrator()), sums), sums.argmax(2)
    critical = critical_margins(lead, answers)
    generator = torch.Generator().manual_seed(seed)
    kept = 0
    for _ in range(500):
        drawn = critical[torch.randint(len(critical), (300,), generator=generator)]
        margin = least_margin(drawn, loss, confidence)
        reached = lead >= margin
        step = torch.where(reached.any(0), reached.double().argmax(0), len(lead) - 1)
        changed = (answers.gather(0, step[None])[0] != answers[-1]).double().mean()
        kept += float(changed) <= loss
    assert kept / 500 >= confidence - 3 * math.sqrt(confidence * (1 - confidence) / 500)


def exact(network):
    """Return the network with all tensors rounded to multiples of 1/64, so that no sum in float64 rounds."""
    return network.map_ops(lambda node: node.op.map_tensors(lambda x: (64 * x).round().clamp(-(2**20)) / 64 + (x > 0) / 64))


@pytest.mark.parametrize("name", ["mlp", "lenet", "resnet"])
@pytest.mark.parametrize("margin", [1.0, 6.0])
def test_a_shrinking_batch_changes_no_bit(name, margin):
    inputs, network = converted(name, RATE)
    x = (16 * inputs[0]).round() / 16
    network = with_decoder(exact(network), EarlyExit(margin))
    names = counting_nodes(network)
    record = Record(spikes=names, counts=names, potentials=names)
    whole, early = (tp.simulate(network, x, 30, record=record, engine=one) for one in ("stepwise", "stopping"))
    assert torch.equal(early.outputs, whole.outputs)
    (decoder,) = whole.decided
    times = early.decided[decoder]
    assert torch.equal(times, whole.decided[decoder])
    assert len(set(times.tolist())) > 1
    for node in names:
        for sample, time in enumerate(times.tolist()):
            end = time or 30
            assert torch.equal(early.spikes[node][:end, sample], whole.spikes[node][:end, sample])
            assert torch.equal(early.potentials[node][:end, sample], whole.potentials[node][:end, sample])
            assert not early.spikes[node][end:, sample].any()
            assert (early.potentials[node][end:, sample] == early.potentials[node][end - 1, sample]).all()
        assert torch.equal(early.counts[node], early.spikes[node].sum(0).to(early.counts[node].dtype))


RECIPES = {
    "poisson": RATE.poisson(3),
    "winner-take-all": RATE.with_max_pool(CompeteForMax()),
    "thesis-extended": tp.recipes["thesis-extended"],
    **{name: tp.recipes[name] for name in ("refractory", "lif", "ternary", "burst", "srp", "cos", "look-ahead", "ls-tg")},
}


def check_that_samples_go(inputs, network, steps):
    """Compare a run that lets samples go with one that keeps them: answers, exits, and all spikes up to the exits."""
    (end,) = network.having(Integrator)
    lead = leads(end, tp.simulate(network, inputs, steps, record=Record(potentials=[end.name])).potentials[end.name])
    margin = float(lead.amax(0).median()) / 2 + 0.01
    network = with_decoder(network, EarlyExit(margin, delay=end.op.delay))
    names = counting_nodes(network)
    record = Record(spikes=names)
    whole, early = (tp.simulate(network, inputs, steps, record=record, engine=one) for one in ("stepwise", "stopping"))
    times = early.decided[end.name]
    assert torch.equal(times, whole.decided[end.name])
    assert (times > 0).any()
    torch.testing.assert_close(early.outputs, whole.outputs, rtol=0, atol=1e-9)
    within = torch.arange(steps)[:, None] < times.where(times > 0, steps)
    for node in names:
        mask = within.reshape(*within.shape, *[1] * (whole.spikes[node].ndim - 2))
        assert torch.equal(early.spikes[node], whole.spikes[node] & mask)


@pytest.mark.parametrize("name", RECIPES)
def test_every_state_lets_samples_go(name):
    inputs, network = converted("lenet", RECIPES[name], time_steps=24)
    check_that_samples_go(inputs, network, 24)


@pytest.mark.parametrize("name", ["densenet", "inception", "class-token", "zeros-like", "two-inputs", "broadcast-add"])
def test_constants_stay_where_samples_go(name):
    inputs, network = converted(name, RATE)
    check_that_samples_go(inputs, network, 12)


def test_snapshots_are_the_spikes_so_far():
    inputs, network = converted("lenet", RATE)
    network = with_decoder(network, EarlyExit(2.0))
    seen = Snapshots((1, 4, 20), lambda counts: {name: count.clone() for name, count in counts.items()})
    batch = next(iter(blocks(network, iter([tp.data.Batch(inputs)]), 20, snapshots=seen, record=Record(spikes=["relu"]))))
    for step, counts in batch.snapshots.items():
        assert torch.equal(counts["relu"], batch.spikes["relu"][:step].sum(0).to(counts["relu"].dtype))


def test_the_engine_is_taken_where_samples_end_early_and_only_there():
    _, network = converted("lenet", RATE)
    early = with_decoder(network, EarlyExit(2.0))
    assert isinstance(engine_for(Task(early, 8)), StoppingEngine)
    assert not isinstance(engine_for(Task(network, 8)), StoppingEngine)
    with pytest.raises(ArgumentError, match="'stopping' cannot run this: it needs one decoder that ends samples"):
        tp.simulate(network, converted("lenet", RATE)[0][0], 4, engine="stopping")


@pytest.fixture(scope="module")
def setting():
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 4)).eval()
    x = torch.rand(400, 6)
    network = tp.convert(model, x)
    return model, network, x, torch.randint(4, (400,))


def test_a_calibrated_network_keeps_its_promise_on_the_samples_that_made_it(setting):
    _, network, x, labels = setting
    early = tp.early_exit(network, (x, labels), 24, loss=0.02)
    rule = exit_of(early)
    assert (rule.time_steps, rule.loss, rule.confidence, rule.samples) == (24, 0.02, 0.95, 400)
    whole, run = tp.simulate(network, x, 24), tp.simulate(early, x, 24)
    assert (run.outputs[-1].argmax(1) != whole.outputs[-1].argmax(1)).sum() <= most_changes(400, 0.02, 0.95)
    assert run.spike_counts["1"].sum() < whole.spike_counts["1"].sum()
    assert early.findings[-1].kind == "early-exit"
    again = tp.early_exit(early, x, 24, loss=0.02)
    assert same_network(again, early)
    assert again.findings == early.findings
    assert same_network(without_exit(early), network)


def test_the_margin_does_not_depend_on_the_batches(setting):
    _, network, x, _ = setting
    network = network.to(dtype=torch.float64)
    one, many = (tp.early_exit(network, part, 16, loss=0.02) for part in (x.double(), [x[:150].double(), x[150:].double()]))
    assert exit_of(one).margin == pytest.approx(exit_of(many).margin, abs=1e-9)


def test_too_few_samples_promise_nothing_and_say_how_many_it_takes(setting, tmp_path):
    _, network, x, labels = setting
    with pytest.warns(TranspikeWarning, match="cannot be promised from 400 calibration samples"):
        early = tp.early_exit(network, x, 16)
    assert "at least 2,995 samples" in early.findings[-1].advice
    assert "ask for 0.75 points" in early.findings[-1].advice
    assert exit_of(early).margin == math.inf
    assert not tp.simulate(early, x, 16).decided["2.decoded"].any()
    tp.save(early, tmp_path / "net")
    assert same_network(tp.load(tmp_path / "net"), early)
    report = tp.evaluate(None, early, (x, labels), 16)
    assert report.exits.margin is None
    assert (report.exits.mean_steps, report.exits.exited, report.exits.changed) == (16, 0, 0)
    assert any("at least 2,995 samples" in finding.advice for finding in report.findings)
    json.loads(report.to_json(), parse_constant=pytest.fail)
    assert "too few to promise" in page(report)


def test_a_report_says_what_early_exit_did(setting, tmp_path):
    model, network, x, labels = setting
    early = tp.early_exit(network, x, 24, loss=0.02)
    report = tp.evaluate(model, early, (x, labels), 24, block=50)
    whole, run = tp.simulate(network, x, 24), tp.simulate(early, x, 24)
    times = run.decided["2.decoded"]
    steps = times.where(times > 0, 24)
    answers, last = run.outputs[-1].argmax(1), whole.outputs[-1].argmax(1)
    found = report.exits
    assert found.mean_steps == pytest.approx(float(steps.double().mean()))
    assert found.steps_99 == int(steps.sort().values[395])
    assert found.exited == pytest.approx(float((steps < 24).double().mean()))
    assert found.changed == pytest.approx(float((answers != last).double().mean()))
    assert found.accuracy == pytest.approx(float((answers == labels).double().mean()))
    assert found.spikes_per_neuron == pytest.approx(float(run.spike_counts["1"].double().mean()) / 12)
    assert found.energy[0].snn < report.final.energy[0].snn
    plain = tp.evaluate(model, network, (x, labels), 24, block=50)
    assert plain.exits is None
    assert plain.accuracy == report.accuracy
    assert plain.checkpoints == report.checkpoints
    report.save(tmp_path / "report.json")
    assert Report.load(tmp_path / "report.json") == report
    assert "Promised from 400 calibration samples, with 95 % confidence: at most 2 % of decisions" in page(report)
    assert "Early exit" not in page(plain)


def test_diagnosis_and_prediction_are_of_the_whole_run(setting):
    model, network, x, labels = setting
    early = tp.early_exit(network, x, 12, loss=0.02)
    assert tp.diagnose(model, early, (x, labels), 12) == tp.diagnose(model, network, (x, labels), 12)
    predicted = [tp.predict(one, (x, labels), 12, simulated=32).over_time for one in (early, network)]
    assert predicted[0] == predicted[1]


def test_an_interrupted_evaluation_goes_on(setting, tmp_path):
    model, network, x, labels = setting
    early = tp.early_exit(network, x, 12, loss=0.02)

    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tp.evaluate(model, early, (x, labels), 12, block=100, folder=tmp_path, progress=stop)
    resumed = tp.evaluate(model, early, (x, labels), 12, block=100, folder=tmp_path, resume=True)
    assert resumed == tp.evaluate(model, early, (x, labels), 12, block=100)


def test_other_samples_and_other_steps_are_warned_of(setting):
    _, network, x, labels = setting
    early = tp.early_exit(network, x, 24, loss=0.02)
    hasty = with_decoder(early, EarlyExit(1e-6, time_steps=24, loss=0.001, confidence=0.95, samples=400))
    kinds = {finding.kind for finding in tp.evaluate(None, hasty, (x, labels), 24).findings}
    assert "broken-promise" in kinds
    kinds = {finding.kind for finding in tp.evaluate(None, early, (x, labels), 12).findings}
    assert "other-time-steps" in kinds


@pytest.mark.parametrize("name", ["loss", "confidence"])
@pytest.mark.parametrize("value", [0, 1, -0.1, math.nan, True, "0.1"])
def test_a_promise_without_meaning_is_refused(setting, name, value):
    _, network, x, _ = setting
    with pytest.raises(ArgumentError, match=f"{name} must lie between 0 and 1"):
        tp.early_exit(network, x, 8, **{name: value})


def test_no_samples_and_no_steps_are_refused(setting):
    _, network, x, _ = setting
    with pytest.raises(DataError, match="calibration samples are empty"):
        tp.early_exit(network, x[:0], 8)
    with pytest.raises(ArgumentError, match="time_steps must be"):
        tp.early_exit(network, x, 0)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (tp.recipes["dcgs"], "DifferenceDecoder .* does not read the accumulated potential"),
        (RATE.with_output(DecodeOutputs(FirstToMargin(1.0))), "FirstToMargin .* does not read the accumulated potential"),
        (tp.recipes["parallel"], "sequential network cannot exit early"),
    ],
)
def test_answers_without_a_lead_are_refused(recipe, words):
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).eval()
    network = tp.convert(model, torch.rand(100, 4), recipe, time_steps=8)
    with pytest.raises(ArgumentError, match=words):
        tp.early_exit(network, torch.rand(100, 4), 8)


def test_answers_that_are_no_classes_are_refused():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 1)).eval()
    x = torch.rand(40, 1, 5, 5)
    with pytest.raises(ConversionError, match="one value for each class"):
        tp.early_exit(tp.convert(model, x), x, 8)


def test_a_read_out_may_keep_the_order_only():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))

        def forward(self, x):
            return self.body(x).softmax(1) * torch.tensor([1.0, 2.0, -3.0])

    x = torch.rand(100, 4)
    with pytest.raises(ArgumentError, match="acts on the decoded classes"):
        tp.early_exit(tp.convert(Scaled().eval(), x), x, 8)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).eval()
    plain, softened = (tp.convert(model, x, recipe) for recipe in (RATE, RATE.with_output(DecodeOutputs(), NormaliseOutputs())))
    margins = [exit_of(tp.early_exit(network, x, 8, loss=0.1)).margin for network in (plain, softened)]
    assert margins[0] == margins[1]


def test_several_outputs_are_refused():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(4, 3), nn.Linear(4, 2)

        def forward(self, x):
            return self.one(x).relu(), self.two(x).relu()

    x = torch.rand(100, 4)
    with pytest.raises(ArgumentError, match="one output with one decoder"):
        tp.early_exit(tp.convert(Two().eval(), x), x, 8)
