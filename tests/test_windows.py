"""Codes whose layers take turns, against neurons that are stepped slot by slot, and the laws that they share."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import transpike as tp
from helpers import anew, examples, subject
from literal_windows import KINDS, simulate
from random_networks import models
from transpike.errors import ArgumentError
from transpike.network.turns import held, turns
from transpike.neurons import (
    WINDOWED,
    BinaryPhase,
    BinaryValue,
    EvenFiring,
    FewSpike,
    FirstSpikeTime,
    GatedFewSpike,
    GeometricPhase,
    Late,
    Phase,
    Population,
    PulsePhase,
    RampedPhase,
    SignedDigits,
    Windowed,
    with_fault,
)
from transpike.ops import Relu
from transpike.parts import Method
from transpike.passes import AccumulateMaxPool, FewSpikeRelu, InsertNeurons, JitterSpikes, Percentile
from transpike.recipe import STRUCTURE, Recipe
from zoo import ZOO

MAKERS = {
    Phase: partial(Phase, levels=7),
    PulsePhase: partial(PulsePhase, levels=6),
    RampedPhase: partial(RampedPhase, levels=5, smallest=2),
    FirstSpikeTime: FirstSpikeTime,
    BinaryPhase: partial(BinaryPhase, bits=4),
    SignedDigits: partial(SignedDigits, bits=4),
    GeometricPhase: partial(GeometricPhase, base=1.3, levels=9),
    FewSpike: FewSpikeRelu(4),
    EvenFiring: EvenFiring,
}
ON_A_CLOCK = [kind for kind in MAKERS if kind is not FirstSpikeTime]
STEPPED = [kind for kind in ON_A_CLOCK if kind is not EvenFiring]
WINDOWS = (
    "phase",
    "phase-pulse",
    "phase-sbg",
    "phase-binary-sbg",
    "signed-digit-sbg",
    "ttfs-exact",
    "phase-binary",
    "signed-digit",
    "base-b",
    "few-spike",
)


def recipe(kind):
    insert = InsertNeurons(Percentile(99.5, active=True), 0.5, MAKERS[kind])
    return Recipe(Method("code", "Code", "here", schedule="sequential"), (*STRUCTURE, insert, AccumulateMaxPool()))


def example(kind):
    return MAKERS[kind](torch.ones((), dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64), Relu())


def steps_of(kind):
    return example(kind).own_window or 5


def test_every_kind_is_tested():
    elsewhere = {Population, BinaryValue, GatedFewSpike}  # tests/test_populations.py, tests/test_few_spikes.py
    assert {*MAKERS, *elsewhere} == set(WINDOWED)
    assert set(MAKERS) == set(KINDS)


@pytest.mark.parametrize("kind", STEPPED)
@settings(max_examples=examples(8))
@given(drawn=models())
def test_the_engine_agrees_with_neurons_stepped_slot_by_slot(kind, drawn):
    model, shape = drawn
    network = tp.convert(model.double(), torch.rand(40, *shape, dtype=torch.float64), recipe(kind))
    inputs = 1.2 * torch.rand(2, *shape, dtype=torch.float64)
    names = [node.name for node in network.having(kind)]
    run = tp.simulate(network, inputs, record=tp.Record(spikes=names, potentials=names, counts=names, times=names))
    for sample in range(2):
        outputs, trains, potentials = simulate(network, [inputs[sample].numpy()], run.time_steps)
        np.testing.assert_allclose(run.outputs[:, sample], outputs["output"], rtol=1e-9, atol=1e-11)
        for name in names:
            spikes = np.stack(trains[name]) != 0
            assert np.array_equal(run.spikes[name][:, sample], np.broadcast_to(spikes, run.spikes[name][:, sample].shape))
            assert np.array_equal(run.counts[name][sample], run.spikes[name][:, sample].sum(0))
            first = np.where(spikes.any(0), spikes.argmax(0) + 1.0, np.inf)
            assert np.array_equal(run.times[name][sample], np.broadcast_to(first, run.times[name][sample].shape))
            expected = np.stack(np.broadcast_arrays(*potentials[name], run.potentials[name][0, sample].numpy())[:-1])
            np.testing.assert_allclose(run.potentials[name][:, sample], expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", ON_A_CLOCK)
@given(values=st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=20))
def test_closed_forms_are_what_the_spikes_say(kind, values):
    """Counts, values and times follow from the train; partial sums from what its slots are worth."""
    op, steps = example(kind), steps_of(kind)
    message = op.encoded(torch.tensor(values, dtype=torch.float64), steps)
    train = torch.stack([op.train(message, step, steps) for step in range(1, steps + 1)])
    assert set(train.unique().tolist()) <= ({-1, 0, 1} if kind is SignedDigits else {0, 1})
    worth = op.slots(steps)[:, None]
    torch.testing.assert_close(op.value(message, steps), (train * worth).sum(0), rtol=1e-12, atol=1e-12)
    for step in range(1, steps + 1):
        assert torch.equal(op.spikes(message, steps, step), train[:step].abs().sum(0))
        if kind is not EvenFiring and not issubclass(kind, PulsePhase):
            torch.testing.assert_close(
                op.delivered(message, step, steps), (train * worth)[:step].sum(0), rtol=1e-12, atol=1e-12
            )
    assert torch.equal(op.spikes(message, steps), train.abs().sum(0))
    assert op.spikes_of_samples(message[None], steps).tolist() == [int(train.abs().sum())]
    first = torch.where(train.any(0), train.abs().argmax(0) + 1.0, torch.inf)
    assert torch.equal(op.times(message, steps), first)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("kind", MAKERS)
def test_estimates_of_all_slots_at_once_are_those_of_each(kind, dtype):
    op, steps = example(kind), steps_of(kind)
    op = op.map_tensors(lambda tensor: tensor.to(dtype))
    torch.manual_seed(6)
    message = op.encoded(2 * torch.rand(3, 4, 5, 6, dtype=dtype) - 0.5, steps)
    for laid in (message, message.contiguous(memory_format=torch.channels_last)):
        found = op.course(laid, range(1, steps + 1), steps)
        assert torch.equal(found, torch.stack([op.estimate(laid, step, steps) for step in range(1, steps + 1)]))


BOUNDS = {  # of the error for a value from 0 to 1, in units of the threshold
    Phase: 1 / 14,
    PulsePhase: 1 / 12,
    RampedPhase: 3 / 10,  # the smallest value, 1/5, is not sent: up to 3/2 levels are lost
    FirstSpikeTime: 0,
    BinaryPhase: 1 / 30,
    SignedDigits: 1 / 30,
    GeometricPhase: 0.15,  # relative: (base - 1) / 2
    FewSpike: 1 / 30,
    EvenFiring: 1 / 10,
}


@pytest.mark.parametrize("kind", MAKERS)
@given(value=st.floats(0, 1))
def test_the_decoded_value_is_within_the_bound_of_the_code(kind, value):
    op, steps = example(kind), steps_of(kind)
    sent = float(op.value(op.encoded(torch.tensor(value, dtype=torch.float64), steps), steps))
    bound = BOUNDS[kind]
    if kind is GeometricPhase:
        bound = max(bound * value, 1.3**-8)  # values below the smallest are not sent
    assert abs(sent - value) <= bound + 1e-12
    assert 0 <= sent <= 1 + 1e-12


def test_no_two_neighbouring_digits_are_spikes():
    op = SignedDigits(torch.ones(()), torch.tensor(0.5), Relu(), bits=6)
    message = torch.arange(64.0)
    train = torch.stack([op.train(message, step, 7) for step in range(1, 8)])
    assert not (train[1:].abs() * train[:-1].abs()).any()
    assert torch.equal(train.abs().sum(0), op.spikes(message, 7))


@pytest.mark.parametrize("name", ["resnet", "vgg-bn", "mlp"])
def test_exact_times_give_the_ann(name):
    model, samples = ZOO[name]()
    samples = samples.double()
    network = tp.convert(model.double(), samples, "ttfs-exact")
    with torch.inference_mode():
        expected = model(samples)
    run = tp.simulate(network, samples, record=tp.Record(times=[node.name for node in network.having(FirstSpikeTime)]))
    torch.testing.assert_close(run.outputs[-1], expected, rtol=1e-9, atol=1e-10)
    for node, times in run.times.items():
        fired = times.isfinite()
        assert ((times[fired] >= 0) & (times[fired] <= 1)).all()
        assert torch.equal(fired.flatten(1).sum(1), run.spike_counts[node])


@pytest.mark.parametrize("name", WINDOWS)
def test_recipes_know_their_windows(name, tmp_path):
    model, (samples,), _ = subject("resnet", torch.float32)
    chosen = tp.recipes[name].with_window(6)
    assert chosen.window == 6
    _, network = anew("resnet", chosen)
    assert network.method.schedule == "sequential"
    run = tp.simulate(network, samples)
    assert run.time_steps == 6
    with pytest.raises(ArgumentError, match="window of 6 steps, not 7"):
        tp.simulate(network, samples, 7)
    with pytest.raises(ArgumentError, match="window of 6 steps, not 7"):
        tp.convert(model, samples, chosen, time_steps=7)
    tp.save(network, tmp_path / "out")
    assert torch.equal(tp.simulate(tp.load(tmp_path / "out"), samples).outputs, run.outputs)


def test_rate_codes_have_no_window():
    model, samples = ZOO["mlp"]()
    with pytest.raises(ArgumentError, match="no window of its own"):
        tp.recipes["rate"].with_window(5)
    with pytest.raises(ArgumentError, match="time_steps= is needed"):
        tp.simulate(tp.convert(model, samples), samples)


def test_a_report_says_how_the_layers_take_turns():
    model, samples = ZOO["resnet"]()
    network = tp.convert(model, samples, "phase")
    report = tp.evaluate(model, network, samples)
    places = turns(network)
    assert report.turns.windows == max(places.values())
    assert report.turns.latency == report.turns.windows * 31
    waits = held(network)
    assert waits
    assert report.turns.held == len(waits)
    assert report.turns.waits == sum(waits.values())
    for (sender, reader), windows in waits.items():
        before = places[reader] - (reader in {node.name for node in network.having(Phase)})
        assert places[sender] + windows == before


def test_a_chain_waits_for_nobody():
    model, samples = ZOO["mlp"]()
    assert held(tp.convert(model, samples, "phase")) == {}


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind is not EvenFiring])
def test_jitter_keeps_the_spikes_and_can_be_repeated(kind):
    (samples,), network = anew("vgg-bn", recipe(kind), dtype=torch.float64)
    none = JitterSpikes(0.0)(network, samples)
    torch.testing.assert_close(tp.simulate(none, samples).outputs[-1], tp.simulate(network, samples).outputs[-1])
    moved = JitterSpikes(0.7, seed=3)(network, samples)
    run = tp.simulate(moved, samples, block=5)
    torch.testing.assert_close(run.outputs, tp.simulate(moved, samples, block=2).outputs, rtol=1e-9, atol=1e-12)
    assert not torch.equal(run.outputs[-1], tp.simulate(network, samples).outputs[-1])
    first = next(iter(network.having(kind))).name
    assert torch.equal(run.spike_counts[first], tp.simulate(network, samples).spike_counts[first])


@pytest.mark.parametrize("kind", MAKERS)
def test_jittered_spikes_say_what_arrives_and_when(kind):
    """Without jitter trains, times, counts and values are those of the neurons; with it they still fit each other."""
    op, steps = example(kind), steps_of(kind)
    x = torch.rand(3, 4, 5, dtype=torch.float64) * 1.3 - 0.2
    plain = op.encoded(x, steps)
    still = with_fault(op, Late(), 0, 0)
    message = still.disturbed(still.encoded(x, steps), 0)
    for step in range(1, steps + 1):
        assert torch.equal(still.train(message, step, steps), op.train(plain, step, steps))
        assert torch.equal(still.spikes(message, steps, step), op.spikes(plain, steps, step))
    assert torch.equal(still.times(message, steps), op.times(plain, steps))
    torch.testing.assert_close(still.value(message, steps), Windowed.value(op, plain, steps), rtol=1e-12, atol=1e-12)
    moved = with_fault(op, Late(0.8), 0, 0)
    message = moved.disturbed(moved.encoded(x, steps), 0)
    assert torch.equal(moved.spikes(message, steps), op.spikes(plain, steps))
    if kind is not FirstSpikeTime:
        first = torch.stack([moved.spikes(message, steps, step) > 0 for step in range(1, steps + 1)]).long().sum(0)
        times = (steps + 1 - first).double().masked_fill(first == 0, torch.inf)
        assert torch.equal(moved.times(message, steps), times)


def test_even_spikes_bear_any_jitter():
    """A spike of a rate code is worth the same in every slot of its window."""
    model, samples = ZOO["vgg-bn"]()
    network = tp.convert(model.double(), samples.double(), recipe(EvenFiring))
    moved = JitterSpikes(2.0)(network, samples)
    expected = tp.simulate(network, samples.double(), 5).outputs[-1]
    torch.testing.assert_close(tp.simulate(moved, samples.double(), 5).outputs[-1], expected, rtol=1e-9, atol=1e-12)


def test_corrected_codes_keep_their_window():
    model, samples = ZOO["resnet"]()
    network = tp.convert(model, samples, tp.recipes["phase-sparse"].with_window(15))
    neuron = network.having(Phase)[0].op
    assert (neuron.levels, neuron.smallest) == (15, 4)


def test_all_windows_but_the_last_are_over_when_the_answer_forms():
    model, samples = ZOO["resnet"]()
    network = tp.convert(model, samples, "phase")
    report = tp.evaluate(model, network, samples)
    places = turns(network)
    last = max(places.values())
    layers = {layer.name: layer.spikes_per_neuron * layer.neurons for layer in report.layers}
    before = sum(spikes for name, spikes in layers.items() if places[name] < last)
    assert report.checkpoints[0].spikes >= before * (1 - 1e-6)
    assert report.checkpoints[0].spikes < report.final.spikes
    assert report.final.spikes == pytest.approx(sum(layers.values()), rel=1e-6)
