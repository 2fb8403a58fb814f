"""Faults over lists of codes and neurons: level 0 changes nothing, draws can be repeated, statistics, and literal code."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import transpike as tp
from helpers import converted, same_network, subject
from reference import simulate_literally
from test_windows import MAKERS, example, steps_of
from transpike.calibration import Samples
from transpike.cli import app
from transpike.errors import ArgumentError, ConversionError
from transpike.neurons import (
    FAULTS,
    Broken,
    Burst,
    Faulty,
    FaultyNeuron,
    FirstSpikeTime,
    Graded,
    IntegrateAndFire,
    Late,
    Limited,
    Lost,
    Neuron,
    Population,
    Ternary,
    with_fault,
)
from transpike.ops import Linear, Relu
from transpike.passes import (
    FAULT_PASSES,
    DropSpikes,
    InsertPopulations,
    JitterSpikes,
    KillNeurons,
    LimitRate,
    NoisyWeights,
    SpreadThresholds,
    StickNeurons,
    apply,
)

STEPS = 12
FIRST_SPIKES = 48  # until most first spikes have come
CODES = (
    *("rate", "ternary", "burst", "graded", "reset-to-zero", "refractory", "lif", "srp", "cos"),
    *("phase", "ttfs-exact", "phase-binary", "signed-digit", "base-b", "few-spike", "binary-value", "parallel"),
    *("population-quantile", "population-calibrated", "ttfs-base", "dcgs"),
)
REFUSED = {
    ("lif", "threshold-spread"),
    ("binary-value", "threshold-spread"),
    ("population-calibrated", "drop"),
    ("population-quantile", "jitter"),
    ("population-calibrated", "jitter"),
    *(("dcgs", fault) for fault in FAULT_PASSES if fault != "weight-noise"),
}
PAIRS = [(code, fault) for code in CODES for fault in FAULT_PASSES if (code, fault) not in REFUSED]
ARCHIVED = ("rate", "burst", "ttfs-exact", "phase-binary", "population-calibrated", "ttfs-base")
NO_EFFECT = {  # a neuron fires once, all spikes of a window count the same, or a pause is there already
    *((code, "pause") for code in ("phase", "ttfs-exact", "base-b", "signed-digit", "refractory", "ttfs-base")),
    *((code, "pause") for code in ("population-quantile", "population-calibrated")),
    ("parallel", "jitter"),
}


def spiking(code):
    """Return (inputs, network, steps)."""
    recipe = tp.recipes[code]
    recipe = recipe.with_population(40) if any(isinstance(step, InsertPopulations) for step in recipe.passes) else recipe
    steps = recipe.window or (FIRST_SPIKES if code == "ttfs-base" else STEPS)
    inputs, network = converted("mlp", recipe, steps)
    return tuple(x[:4] for x in inputs), network, None if recipe.has_window else steps


def level(fault):
    return 1 if fault == "pause" else 0.4


def ran(network, inputs, steps, **settings):
    return tp.simulate(network, inputs, steps, **settings)


def test_every_fault_is_in_the_lists():
    assert {Broken, Lost, Late, Limited} == set(FAULTS)
    passes = {SpreadThresholds, NoisyWeights, KillNeurons, StickNeurons, DropSpikes, JitterSpikes, LimitRate}
    assert set(FAULT_PASSES.values()) == passes
    assert len({kind.number for kind in passes}) == len(passes)
    assert len({kind.number for kind in FAULTS if kind is not Broken}) == len(FAULTS) - 1  # which draws nothing


@pytest.mark.parametrize(("code", "fault"), PAIRS)
def test_level_0_changes_nothing_and_other_levels_do(code, fault):
    inputs, network, steps = spiking(code)
    plain = ran(network, inputs, steps)
    still = ran(tp.faulty(network, FAULT_PASSES[fault](0)), inputs, steps)
    torch.testing.assert_close(still.outputs, plain.outputs, rtol=1e-12, atol=1e-12)
    for name, count in plain.spike_counts.items():
        assert torch.equal(still.spike_counts[name], count)
    broken = ran(tp.faulty(network, FAULT_PASSES[fault](level(fault))), inputs, steps)
    assert torch.allclose(broken.outputs[-1], plain.outputs[-1], rtol=1e-9, atol=1e-12) == ((code, fault) in NO_EFFECT)


@pytest.mark.parametrize(("code", "fault"), [pair for pair in PAIRS if pair[0] in ARCHIVED])
def test_draws_follow_from_the_seed_not_from_blocks_and_come_back_from_the_archive(code, fault, tmp_path):
    inputs, network, steps = spiking(code)
    broken = tp.faulty(network, FAULT_PASSES[fault](level(fault), seed=3))
    first = ran(broken, inputs, steps)
    assert same_network(broken, tp.faulty(network, FAULT_PASSES[fault](level(fault), seed=3)))
    torch.testing.assert_close(ran(broken, inputs, steps, block=3).outputs, first.outputs, rtol=1e-9, atol=1e-12)
    tp.save(broken, tmp_path / "faulty")
    again = tp.load(tmp_path / "faulty")
    assert torch.equal(ran(again, inputs, steps).outputs, first.outputs)
    assert [finding.kind for finding in again.findings].count("fault") == 1
    if fault != "pause" and (code, fault) not in NO_EFFECT:
        other = ran(tp.faulty(network, FAULT_PASSES[fault](level(fault), seed=4)), inputs, steps)
        assert not torch.equal(other.outputs[-1], first.outputs[-1])


@pytest.mark.parametrize("fault", FAULT_PASSES)
@pytest.mark.parametrize("code", ["rate", "ternary", "burst", "graded", "srp"])
def test_engines_agree(code, fault):
    inputs, network, steps = spiking(code)
    broken = tp.faulty(network, FAULT_PASSES[fault](level(fault)))
    trains = tp.Record(spikes=[node.name for node in network.having(Neuron)])
    stepped, layered = (ran(broken, inputs, steps, engine=engine, record=trains) for engine in ("stepwise", "layerwise"))
    torch.testing.assert_close(stepped.outputs, layered.outputs, rtol=1e-9, atol=1e-12)
    for name in trains.spikes:
        assert torch.equal(stepped.spikes[name], layered.spikes[name])


@pytest.mark.parametrize(("code", "fault"), sorted(REFUSED))
def test_faults_without_a_meaning_are_refused_with_a_sentence(code, fault):
    _, network, _ = spiking(code)
    with pytest.raises(ConversionError, match=r"(?i)take|code|jitter"):
        tp.faulty(network, FAULT_PASSES[fault](level(fault)))


@pytest.mark.parametrize("fault", ["threshold-spread", "weight-noise"])
def test_other_parameters_give_what_the_literal_simulator_says(fault):
    inputs, network, steps = spiking("rate")
    broken = tp.faulty(network, FAULT_PASSES[fault](0.3))
    few = tuple(x[:2] for x in inputs)
    names = [node.name for node in network.having(Neuron)]
    run = ran(broken, few, steps, record=tp.Record(spikes=names))
    _, literal = simulate_literally(broken, few, steps)
    for name in names:
        assert np.array_equal(run.spikes[name], literal[name])


NEURONS = {"integrate-and-fire": IntegrateAndFire, "ternary": Ternary, "burst": Burst, "graded": Graded}


def layer(kind, fault, steps=STEPS, samples=2, size=40):
    """Return what arrives, what was sent and how many spikes of it, [time, batch, ...], and the literal link's numbers."""
    one = torch.tensor(0.5, dtype=torch.float64)
    op = NEURONS[kind](one, torch.tensor(0.5, dtype=torch.float64), Relu())
    currents = 0.4 * torch.randn(steps, samples, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 0.3
    faulty = with_fault(op, fault, seed=5, line=2)
    assert isinstance(faulty, Faulty)
    state, plain = faulty.start(currents[0], 7), op.start(currents[0])
    arrived, sent, spikes = [], [], []
    for current in currents:
        before = plain.count.clone()
        sent.append(op.step(plain, current).clone())
        spikes.append(plain.count - before)
        arrived.append(faulty.step(state, current).clone())
    torch.testing.assert_close(state.transmitted(), torch.stack(arrived).sum(0))
    return op, torch.stack(arrived), torch.stack(sent), torch.stack(spikes), state


@pytest.mark.parametrize("kind", NEURONS)
def test_dead_and_stuck_neurons(kind):
    dead, stuck = torch.arange(40) % 5 == 0, torch.arange(40) % 5 == 1
    op, arrived, sent, _, _ = layer(kind, Broken(dead=dead, stuck=stuck))
    loud = {"burst": 4, "graded": 15}.get(kind, 1) * float(op.threshold)
    for t, b, n in np.ndindex(*arrived.shape):
        expected = 0.0 if n % 5 == 0 else loud if n % 5 == 1 else float(sent[t, b, n])
        assert float(arrived[t, b, n]) == expected


@pytest.mark.parametrize("kind", ["integrate-and-fire", "ternary", "graded"])
def test_lost_spikes_one_by_one(kind):
    fault = Lost(0.3)
    _, arrived, sent, spikes, state = layer(kind, fault)
    counted = torch.zeros_like(state.count)
    for b, generator in enumerate(fault.generators(5, 2, 7, 2)):
        for t in range(STEPS):
            numbers = torch.rand(40, generator=generator)
            for n in range(40):
                kept = float(numbers[n]) >= 0.3
                assert float(arrived[t, b, n]) == (float(sent[t, b, n]) if kept else 0.0)
                counted[b, n] += float(spikes[t, b, n]) if kept else 0.0
    assert torch.equal(state.count, counted)


@pytest.mark.parametrize("kind", NEURONS)
def test_late_spikes_one_by_one(kind):
    fault = Late(0.8)
    _, arrived, sent, _, _ = layer(kind, fault)
    expected = torch.zeros_like(sent)
    for b, generator in enumerate(fault.generators(5, 2, 7, 2)):
        for t in range(STEPS):
            numbers = torch.randn(40, generator=generator)
            for n in range(40):
                due = t + min(math.ceil(5 * 0.8), round(abs(0.8 * float(numbers[n]))))
                if due < STEPS:
                    expected[due, b, n] += sent[t, b, n]
    torch.testing.assert_close(arrived, expected)


@pytest.mark.parametrize("kind", NEURONS)
def test_busy_links_one_by_one(kind):
    _, arrived, sent, _, _ = layer(kind, Limited(2))
    for b, n in np.ndindex(2, 40):
        last = -10
        for t in range(STEPS):
            passes = float(sent[t, b, n]) != 0 and t - last > 2
            last = t if passes else last
            assert float(arrived[t, b, n]) == (float(sent[t, b, n]) if passes else 0.0)


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind is not FirstSpikeTime])
def test_windows_slot_by_slot(kind):
    """Dead, stuck and busy neurons against the slots of those without a fault."""
    op, steps = example(kind), steps_of(kind)
    x = torch.rand(3, 30, dtype=torch.float64) * 1.3 - 0.2
    plain = op.encoded(x, steps)
    train = torch.stack([op.train(plain, step, steps) for step in range(1, steps + 1)])
    dead, stuck = torch.arange(30) % 3 == 0, torch.arange(30) % 3 == 1
    broken = with_fault(op, Broken(dead=dead, stuck=stuck), 0, 0)
    message = broken.disturbed(broken.encoded(x, steps), 0)
    found = torch.stack([broken.train(message, step, steps) for step in range(1, steps + 1)])
    assert not found[:, :, dead].any()
    assert torch.equal(found[:, :, ~dead & ~stuck], train[:, :, ~dead & ~stuck])
    always = torch.tensor([1.0] + [0.0] * (steps - 1)) if op.single else torch.ones(steps)
    assert torch.equal(found[:, :, stuck], always[:, None, None].expand(-1, 3, int(stuck.sum())).double())
    if not op.single:
        busy = with_fault(op, Limited(1), 0, 0)
        message = busy.disturbed(busy.encoded(x, steps), 0)
        for b, n in np.ndindex(3, 30):
            last = -10
            for k in range(steps):
                passes = bool(train[k, b, n] != 0) and k - last > 1
                last = k if passes else last
                assert float(busy.train(message, k + 1, steps)[b, n]) == (float(train[k, b, n]) if passes else 0.0)


def near(found, expected, deviation, draws, bound=5):
    assert abs(found - expected) <= bound * deviation / math.sqrt(draws), (found, expected)


def test_statistics_are_those_that_are_stated():
    _, network, _ = spiking("rate")
    for share in (0.02, 0.3):
        dead = torch.cat([node.op.happens.dead for node in tp.faulty(network, KillNeurons(share)).having(Neuron)])
        stuck = torch.cat([node.op.happens.stuck for node in tp.faulty(network, StickNeurons(share)).having(Neuron)])
        for marks in (dead, stuck):
            near(float(marks.double().mean()), share, math.sqrt(share * (1 - share)), len(marks))
    _, big, _ = subject_of_wide_layers()
    factors = torch.cat(
        [(b.op.threshold / a.op.threshold).flatten() for a, b in pairs(big, tp.faulty(big, SpreadThresholds(0.1)), Neuron)]
    )
    near(float(factors.mean()), 1, 0.1, len(factors))
    near(float(factors.std()), 0.1, 0.1 / math.sqrt(2), len(factors))
    noise = torch.cat(
        [(b.op.weight / a.op.weight - 1).flatten() for a, b in pairs(big, tp.faulty(big, NoisyWeights(0.2)), Linear)]
    )
    near(float(noise.mean()), 0, 0.2, len(noise))
    near(float(noise.std()), 0.2, 0.2 / math.sqrt(2), len(noise))


@pytest.mark.parametrize("code", ["rate", "burst", "phase-binary", "phase", "population-quantile"])
def test_the_share_of_lost_spikes_is_that_asked_for(code):
    """In the first layer of neurons, which receives what it did without the fault."""
    recipe = tp.recipes[code]
    recipe = recipe.with_population(40) if code.startswith("population") else recipe
    x, network, _ = subject_of_wide_layers(recipe)
    steps = None if recipe.has_window else STEPS
    first = network.having(Neuron)[0].name
    whole = float(tp.simulate(network, x, steps).spike_counts[first].sum())
    left = float(tp.simulate(tp.faulty(network, DropSpikes(0.3)), x, steps).spike_counts[first].sum())
    near(left / whole, 0.7, math.sqrt(0.21), whole)


def subject_of_wide_layers(recipe="rate"):
    torch.manual_seed(0)
    layers = [torch.nn.Linear(20, 300), torch.nn.ReLU(), torch.nn.Linear(300, 300), torch.nn.ReLU(), torch.nn.Linear(300, 4)]
    model, x = torch.nn.Sequential(*layers).double().eval(), torch.rand(400, 20, dtype=torch.float64)
    return x[:24], tp.convert(model, x, recipe), STEPS


def pairs(a, b, kind):
    return zip(a.having(kind), b.having(kind), strict=True)


def test_members_of_populations_die_or_are_stuck_one_by_one():
    """Against members that are stepped by themselves: which fire follows from each one's threshold and fate."""
    _, network, _ = spiking("population-calibrated")
    for fault in (KillNeurons(0.3, seed=2), StickNeurons(0.3, seed=2)):
        broken = tp.faulty(network, fault)
        for before, after in pairs(network, broken, Population):
            a, b = before.op, after.op
            x = torch.randn(5, *b.thresholds.shape[:-1], dtype=torch.float64)
            fate = torch.rand(b.thresholds.shape, generator=fault.generator(line_of(network, before))) < 0.3
            members = a.thresholds.expand(b.thresholds.shape)
            weights = a.table.diff(dim=-1).expand(b.thresholds.shape)
            for place in np.ndindex(*x.shape):
                total = float(a.table[..., 0].expand(b.thresholds.shape[:-1])[place[1:]])
                current = float(x[place] * a.gain + a.shift)
                for threshold, weight, marked in zip(members[place[1:]], weights[place[1:]], fate[place[1:]], strict=True):
                    fires = current >= float(threshold)
                    fires = (fires and not marked) if isinstance(fault, KillNeurons) else (fires or bool(marked))
                    total += float(weight) * fires
                found = b.value(b.encoded(x, 1), 1)[place]
                assert float(found) == pytest.approx(total, rel=1e-9, abs=1e-9)


def line_of(network, node):
    return [one.name for one in network.having(Neuron)].index(node.name)


def test_faults_add_up_in_any_order():
    """Several faults on the same neurons: those inside stay, and parameters are changed under the faults of spikes."""
    inputs, network, steps = spiking("phase-binary")
    both = tp.faulty(network, DropSpikes(0.1), JitterSpikes(0.5), SpreadThresholds(0.1), KillNeurons(0.1))
    op = both.having(Neuron)[0].op
    assert isinstance(op, FaultyNeuron)
    assert [type(part.happens) for part in (op, op.inside, op.inside.inside)] == [Broken, Late, Lost]
    assert op.root.threshold.shape == op.threshold.shape == op.happens.dead.shape
    assert ran(both, inputs, steps).outputs.isfinite().all()
    assert len([finding for finding in both.findings if finding.kind == "fault"]) == 4


def test_early_exits_and_faults_go_together():
    """Samples that are decided leave the batch, and the others draw what they would have drawn."""
    x, network, _ = subject_of_wide_layers()
    broken = tp.faulty(network, DropSpikes(0.2), JitterSpikes(0.5), LimitRate(1))
    leaving = tp.early_exit(broken, x, 16, loss=0.2)
    run, whole = tp.simulate(leaving, x, 16), tp.simulate(leaving, x, 16, engine="layerwise")
    torch.testing.assert_close(run.outputs[-1], whole.outputs[-1], rtol=1e-9, atol=1e-12)


def test_tolerance_has_a_row_for_each_level():
    model, inputs, _ = subject("mlp")
    network = tp.convert(model, inputs, "rate")
    labels = model(*inputs).argmax(1)
    found = tp.tolerance(network, (inputs[0], labels), "drop", (0, 0.2, 1.0), draws=2, time_steps=STEPS)
    assert [len(row.accuracy) for row in found.rows] == [1, 2, 2]
    assert found.reference_accuracy == 1.0
    plain = tp.simulate(network, inputs, STEPS).outputs[-1].argmax(1)
    assert found.rows[0].accuracy[0] == float((plain == labels).double().mean())
    assert found.rows[2].deviation == 0  # no spike is left: the same answer for all
    assert json.loads(found.to_json())["fault"] == "drop"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: KillNeurons(1.2), "share must be a number from 0 to 1, not 1.2"),
        (lambda: SpreadThresholds(-0.1), "sigma must be a number from 0, not -0.1"),
        (lambda: LimitRate(0.5), "pause must be a whole number of steps"),
        (lambda: DropSpikes(0.1, seed=-1), "seed must be a whole number from 0"),
    ],
)
def test_levels_that_are_none_are_refused(make, words):
    with pytest.raises(ArgumentError, match=words):
        make()


def test_an_ann_has_no_spikes_to_lose():
    _, _, analogue = subject("mlp")
    with pytest.raises(ConversionError):
        apply([DropSpikes(0.1)], analogue, Samples())


def invoked(*arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    return result.exit_code, result.output


def test_the_command_line_breaks_networks_and_says_what_they_bear(tmp_path):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10)).eval()
    tp.save(tp.convert(model, torch.rand(64, 1, 8, 8)), tmp_path / "net")
    code, output = invoked("fault", tmp_path / "net", "--dead", 0.1, "--drop", 0.2, "--seed", 4, "--out", tmp_path / "faulty")
    assert code == 0, output
    kept = tp.load(tmp_path / "faulty")
    assert "10 % of the neurons are dead." in [finding.message for finding in kept.findings]
    assert same_network(kept, tp.faulty(tp.load(tmp_path / "net"), KillNeurons(0.1, 4), DropSpikes(0.2, 4)))
    code, output = invoked("fault", tmp_path / "net", "--out", tmp_path / "none")
    assert code == 2
    assert "at least one fault" in output
    arguments = ("faults", tmp_path / "net", "--data", "digits", "--samples", 40, "--fault", "drop", "--levels", "0,0.5")
    code, output = invoked(*arguments, "--time-steps", 8, "--draws", 2, "--out", tmp_path / "curve", "--json")
    assert code == 0, output
    values = json.loads(output)
    assert [row["level"] for row in values["rows"]] == [0, 0.5]
    assert (tmp_path / "curve" / "faults.json").exists()
    assert (tmp_path / "curve" / "faults.svg").exists()
    code, output = invoked(*arguments, "--time-steps", 8, "--draws", 1)
    assert code == 0
    assert "drop" in output
