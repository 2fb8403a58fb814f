"""Ways to read the answer: what each decodes, that they combine, and what they refuse."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import transpike as tp
from helpers import MODELS, answers, converted, largest_difference, quick, same_network, subject
from reference import simulate_literally
from transpike.calibration import Samples
from transpike.data import Batch
from transpike.errors import ArgumentError, ConversionError
from transpike.neurons import FirstToMargin, IntegrateAndFire, Integrator
from transpike.ops import Softmax
from transpike.parts import Decoder
from transpike.passes import AccumulateMaxPool, CountSpikes, DecodeOutputs, NormaliseOutputs, apply
from transpike.recipe import STRUCTURE
from transpike.simulation import Record, counting_nodes

RATE = tp.recipes["rate"]
COUNTED = RATE.with_output(CountSpikes(), DecodeOutputs())
CLASSIFIERS = ["mlp", "lenet", "vgg-bn", "resnet"]


@pytest.mark.parametrize("name", quick(MODELS))
def test_outputs_that_fire_are_the_same_function(name):
    """ReLU(y) - ReLU(-y) = y: rounding of one subtraction only."""
    _, inputs, network = subject(name)
    passes = [*STRUCTURE[:3], CountSpikes(), DecodeOutputs()]
    changed = apply(passes, network, Samples([Batch(inputs)]))
    assert largest_difference(answers(changed.analogue(), inputs), answers(network, inputs)) <= 1e-9
    assert changed.having(Integrator)


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("recipe", [COUNTED, RATE.with_output(CountSpikes(), DecodeOutputs(FirstToMargin(0.7)))])
def test_engine_agrees_with_reference(name, recipe):
    inputs, network = converted(name, recipe)
    few = tuple(x[:2] for x in inputs)
    run = tp.simulate(network, few, 7, record=Record(spikes=counting_nodes(network)))
    outputs, spikes = simulate_literally(network, few, 7)
    for node, train in spikes.items():
        assert torch.equal(run.spikes[node], torch.from_numpy(train)), node
    torch.testing.assert_close(run.outputs, torch.from_numpy(outputs["output"]), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_counted_answer_is_a_multiple_of_the_threshold(name):
    """The answer after T steps is threshold/T times a whole number of at most T: the counts that the two neurons report."""
    inputs, network = converted(name, COUNTED)
    pair = [node.name for node in network.having(IntegrateAndFire) if ".fired." in node.name]
    (threshold,) = {float(network.nodes[one].op.threshold) for one in pair}
    run = tp.simulate(network, inputs[0][:5], 11, record=Record(counts=pair))
    positive, negative = (run.counts[one] for one in pair)
    torch.testing.assert_close(run.outputs[-1], threshold / 11 * (positive - negative), rtol=0, atol=1e-12)
    assert (positive + negative).sum() > 0


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_counted_answer_approaches_the_model(name):
    """The threshold is the largest answer of these samples, so nothing is clipped, and the error falls as 1/T."""
    inputs, network = converted(name, RATE.with_percentile(100).with_output(CountSpikes(), DecodeOutputs()))
    wanted = answers(network.analogue(), inputs)[0]
    outputs = tp.simulate(network, inputs[0], 512).outputs
    early, late = (float((outputs[t - 1] - wanted).square().mean().sqrt()) for t in (16, 512))
    assert late < early / 8


def test_an_output_that_is_a_relu_fires_without_a_second_neuron():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval()
    network = tp.convert(model, torch.rand(40, 4), COUNTED)
    assert [node.name for node in network.having(IntegrateAndFire)] == ["1"]


seeds = st.integers(0, 10_000)


@given(seeds, st.floats(0.1, 8), st.integers(1, 20))
def test_first_to_margin_with_a_delay_is_the_race_that_starts_after_it(seed, margin, delay):
    """Until the delay is over the running mean and no decision; then as if the steps before had never been."""
    x = torch.randn(30, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 0.3 * torch.arange(5)
    late, fresh = FirstToMargin(margin, delay=delay), FirstToMargin(margin)
    states = late.start(x[0]), fresh.start(x[0])
    early = torch.stack([late.step(states[0], now) for now in x[:delay]])
    means = x[:delay].cumsum(0) / torch.arange(1, delay + 1, dtype=torch.float64)[:, None, None]
    torch.testing.assert_close(early, means, rtol=0, atol=1e-12)
    assert not states[0].decided.any()
    for now in x[delay:]:
        assert torch.equal(late.step(states[0], now), fresh.step(states[1], now))
    assert torch.equal(states[0].decided, states[1].decided + delay * (states[1].decided > 0))


@given(seeds, st.floats(0.1, 8))
def test_first_to_margin_decides_once_and_stays(seed, margin):
    """Before the decision the running mean; the decision is the first step at which the lead is at least the margin."""
    x = torch.randn(30, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 0.3 * torch.arange(5)
    op = FirstToMargin(margin)
    state = op.start(x[0])
    sent = torch.stack([op.step(state, now) for now in x])
    sums = x.cumsum(0)
    steps = torch.arange(1, 31, dtype=torch.float64)[:, None, None]
    ordered = sums.sort(2).values
    reached = ordered[..., -1] - ordered[..., -2] >= margin
    for sample in range(4):
        times = reached[:, sample].nonzero().flatten()
        stop = int(times[0]) if len(times) else 29
        assert state.decided[sample] == (stop + 1 if len(times) else 0)
        torch.testing.assert_close(sent[: stop + 1, sample], (sums / steps)[: stop + 1, sample], rtol=0, atol=1e-12)
        assert (sent[stop:, sample] == sent[stop, sample]).all()


def test_recording_tells_when_each_sample_was_decided_whatever_the_blocks():
    inputs, network = converted("lenet", RATE.with_output(DecodeOutputs(FirstToMargin(2.0))))
    (decoder,) = network.having(Decoder)
    whole = tp.simulate(network, inputs[0], 40)
    parts = tp.simulate(network, inputs[0], 40, block=5)
    times = whole.decided[decoder.name]
    assert torch.equal(times, parts.decided[decoder.name])
    assert times.shape == (32,)
    assert len(set(times.tolist())) > 2
    plain = tp.simulate(converted("lenet", RATE)[1], inputs[0], 40)
    assert plain.decided == {}
    for sample, time in enumerate(times.tolist()):
        if time:
            assert torch.equal(whole.outputs[-1, sample], plain.outputs[time - 1, sample])


def test_larger_margins_decide_later_and_never_undecide():
    inputs, network = converted("lenet", RATE)
    (node,) = network.having(Integrator)
    previous = torch.zeros(32)
    for margin in (0.5, 1.0, 4.0, 1000.0):
        decided = network.map_ops(lambda n, m=margin: FirstToMargin(m) if n.name == node.name else n.op)
        times = tp.simulate(decided, inputs[0], 30).decided[node.name]
        assert (torch.where(times == 0, 31, times) >= previous).all()
        previous = torch.where(times == 0, 31, times)
    assert (times == 0).all()


@pytest.mark.parametrize("before", [(), (CountSpikes(),)])
def test_softmax_acts_on_either_answer(before):
    inputs, network = converted("lenet", RATE.with_output(*before, DecodeOutputs(), NormaliseOutputs()))
    _, plain = converted("lenet", RATE.with_output(*before, DecodeOutputs()))
    ours, theirs = (tp.simulate(one, inputs[0][:4], 9).outputs for one in (network, plain))
    torch.testing.assert_close(ours, theirs.softmax(2), rtol=0, atol=1e-12)


def test_softmax_is_not_put_behind_a_softmax_and_not_into_other_readers():
    model = nn.Sequential(nn.Linear(4, 3), nn.Softmax(1)).eval()
    network = tp.convert(model, torch.rand(40, 4), RATE.with_output(DecodeOutputs(), NormaliseOutputs()))
    assert len(network.having(Softmax)) == 1

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x):
            scores = self.layer(x)
            return scores, scores.softmax(1)

    x = torch.rand(40, 4)
    network = tp.convert(Both().eval(), x, RATE.with_output(DecodeOutputs(), NormaliseOutputs()))
    first, second = tp.simulate(network, x, 3).outputs.values()
    torch.testing.assert_close(first, second, rtol=0, atol=1e-6)


def test_default_output_is_the_recipe_itself():
    _, network = converted("resnet", RATE.with_output(DecodeOutputs()))
    assert same_network(network, converted("resnet", RATE)[1])
    assert RATE.with_output(DecodeOutputs()).name == "rate, output by accumulated potential"


def test_names_say_what_changed():
    recipe = RATE.with_output(CountSpikes(), DecodeOutputs(FirstToMargin(2.0)), NormaliseOutputs())
    assert recipe.name == "rate, output by spike count and first to a margin of 2 and softmax"
    again = recipe.with_output(DecodeOutputs())
    assert [type(step) for step in again.passes] == [type(step) for step in RATE.passes]


@pytest.mark.parametrize(
    "steps",
    [(), (CountSpikes(),), (DecodeOutputs(), CountSpikes()), (NormaliseOutputs(), DecodeOutputs()), (DecodeOutputs(),) * 2],
)
def test_outputs_in_another_order_are_refused(steps):
    with pytest.raises(ArgumentError, match="in this order"):
        RATE.with_output(*steps)


def test_a_recipe_without_a_decoder_says_so():
    bare = dataclasses.replace(RATE, passes=(AccumulateMaxPool(),))
    with pytest.raises(ArgumentError, match="has no step to change: it does not take output by accumulated potential"):
        bare.with_output(DecodeOutputs())


@pytest.mark.parametrize("margin", [0.0, -1.0, float("nan")])
def test_a_margin_of_nothing_is_refused(margin):
    with pytest.raises(ArgumentError, match="margin must be above 0"):
        FirstToMargin(margin)


def test_a_margin_needs_classes():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 1)).eval()
    with pytest.raises(ConversionError, match="one value for each class"):
        tp.convert(model, torch.rand(40, 1, 5, 5), RATE.with_output(DecodeOutputs(FirstToMargin(1.0))))


@pytest.mark.parametrize("steps", [(CountSpikes(), DecodeOutputs(FirstToMargin(0.3)), NormaliseOutputs())])
def test_outputs_come_back_from_disk(steps, tmp_path):
    inputs, network = converted("vgg-bn", RATE.with_output(*steps))
    tp.save(network, tmp_path / "net")
    loaded = tp.load(tmp_path / "net")
    assert same_network(loaded, network)
    before, after = (tp.simulate(one, inputs[0], 12) for one in (network, loaded))
    assert torch.equal(before.outputs, after.outputs)
    assert all(torch.equal(times, after.decided[node]) for node, times in before.decided.items())


def test_a_report_of_outputs_that_fire_counts_their_spikes():
    inputs, network = converted("mlp", COUNTED)
    report = tp.evaluate(None, network, (inputs[0], torch.zeros(32, dtype=torch.long)), 8)
    fired = [layer for layer in report.layers if ".fired." in layer.name]
    assert [layer.neurons for layer in fired] == [report.layers[-1].neurons] * 2
    assert sum(layer.synaptic_operations for layer in fired) > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("delay", [0, 1, 4, 9])
def test_read_out_of_all_steps_at_once_is_that_of_single_steps(delay, dtype):
    """To the bit: the sums are made in the same order."""
    torch.manual_seed(delay)
    op, x = Integrator(delay=delay), torch.randn(9, 3, 5, dtype=dtype)
    state = op.start(x[0])
    assert torch.equal(op.over_time(x), torch.stack([op.step(state, one) for one in x]))
