"""Forms of max-pool: each does what its equation says, and costs what the theory says."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import transpike as tp
from helpers import answers, converted, same_network
from reference import simulate_literally
from transpike.analysis.connections import fan_outs
from transpike.errors import ArgumentError, ConversionError
from transpike.network import forward
from transpike.neurons import MAX_POOLS, AccumulatedMaxPool, GatedMaxPool, IntegrateAndFire, StepMaxPool, WinnerTakeAll
from transpike.neurons.winner_take_all import windows
from transpike.ops import AdaptiveMaxPool, MaxPool
from transpike.passes import AccumulateMaxPool, CompeteForMax, GateMaxPool, PoolEachStep
from transpike.simulation import Record, counting_nodes

RATE = tp.recipes["rate"]
FORMS = {
    "exact": AccumulateMaxPool(),
    "step": PoolEachStep(),
    "gated": GateMaxPool(),
    "circuit": CompeteForMax(),
    "forgetful circuit": CompeteForMax(inhibition=2.0, rest=1.0),
}
POOLED = ["lenet", "vgg-bn", "u-net", "signals-1d"]
POOLS = {
    "tiles": MaxPool((2, 2), (2, 2), (0, 0), (1, 1)),
    "overlap": MaxPool((3, 3), (2, 2), (1, 1), (1, 1)),
    "ceil": MaxPool((3, 2), (2, 2), (0, 0), (1, 1), ceil_mode=True),
    "dilated": MaxPool((2, 2), (1, 1), (0, 0), (2, 2)),
    "adaptive": AdaptiveMaxPool((2, 3)),
}
ONE = torch.tensor(1.0, dtype=torch.float64)
seeds = st.integers(0, 10_000)


def trains(seed, steps, rates):
    """Poisson spike trains of height 1 with `rates` [..., *sample], as [time, batch, ...]."""
    draws = torch.rand(steps, *rates.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return (draws < rates).double()


def sent_by(op, received):
    state = op.start(received[0])
    return torch.stack([op.step(state, x).clone() for x in received]), state


def circuit(pool, **settings):
    return WinnerTakeAll(pool, ONE, **settings)


@pytest.mark.parametrize("name", POOLED)
@pytest.mark.parametrize("form", FORMS)
def test_engine_agrees_with_reference(name, form):
    inputs, network = converted(name, RATE.with_max_pool(FORMS[form]))
    few = tuple(x[:2] for x in inputs)
    run = tp.simulate(network, few, 7, record=Record(spikes=counting_nodes(network)))
    outputs, spikes = simulate_literally(network, few, 7)
    assert spikes.keys() == run.spikes.keys()
    for node, train in spikes.items():
        assert torch.equal(run.spikes[node], torch.from_numpy(train)), node
    torch.testing.assert_close(run.outputs, torch.from_numpy(outputs["output"]), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", POOLED)
@pytest.mark.parametrize("form", FORMS)
def test_the_analogue_stays_the_model(name, form):
    inputs, network = converted(name, RATE.with_max_pool(FORMS[form]))
    _, plain = converted(name, RATE)
    torch.testing.assert_close(answers(network.analogue(), inputs), answers(plain.analogue(), inputs), rtol=0, atol=1e-10)


@pytest.mark.parametrize("form", FORMS)
def test_forms_come_back_from_disk(form, tmp_path):
    inputs, network = converted("vgg-bn", RATE.with_max_pool(FORMS[form]))
    tp.save(network, tmp_path / "net")
    loaded = tp.load(tmp_path / "net")
    assert same_network(loaded, network)
    assert torch.equal(*(tp.simulate(one, inputs[0], 10).outputs for one in (network, loaded)))


@pytest.mark.parametrize("name", POOLS)
@given(seed=seeds)
def test_constant_input_is_pooled_exactly_by_every_form_without_a_threshold(name, seed):
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    for kind in (StepMaxPool, GatedMaxPool):
        sent, _ = sent_by(kind(POOLS[name]), x.expand(5, *x.shape))
        assert torch.equal(sent, POOLS[name](x).expand(5, *sent.shape[1:]))


@pytest.mark.parametrize("name", POOLS)
def test_a_gate_passes_only_spikes_that_came(name):
    """Each output is an input of its window: never a sum, never made up."""
    received = trains(1, 30, torch.rand(2, 3, 5, 6, dtype=torch.float64))
    sent, _ = sent_by(GatedMaxPool(POOLS[name]), received)
    assert ((sent == 0) | (sent == 1)).all()
    for t in range(30):
        assert (sent[t] <= POOLS[name](received[t])).all()


@given(seeds, st.floats(0.0, 0.4), st.floats(0.15, 0.5))
def test_a_gate_is_right_once_one_input_leads(seed, low, gap):
    """After the leader has settled, the output is the leader's train; the rest is an error of at most the steps before."""
    rates = torch.tensor([low, low + gap], dtype=torch.float64).reshape(1, 1, 1, 2)
    received = trains(seed, 400, rates)
    sent, _ = sent_by(GatedMaxPool(MaxPool((1, 2), (1, 2), (0, 0), (1, 1))), received)
    sums = received.cumsum(0)[:, 0, 0, 0]
    leads = sums[:, 1] > sums[:, 0]
    settled = 400 - int((~leads).nonzero().max() + 1) if (~leads).any() else 400
    assert torch.equal(sent[400 - settled :, 0, 0, 0, 0], received[400 - settled :, 0, 0, 0, 1])
    assert abs(sent.sum() - sums[-1, 1]) <= 400 - settled


def test_a_gate_passes_both_trains_of_inputs_that_lead_by_turns():
    """Firing in turn, each has the larger sum when it fires: the output fires at every step, twice the maximum."""
    turns = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]).repeat(5, 1).reshape(20, 1, 1, 1, 2).double()
    pool = MaxPool((1, 2), (1, 2), (0, 0), (1, 1))
    sent, _ = sent_by(GatedMaxPool(pool), turns)
    exact, _ = sent_by(AccumulatedMaxPool(pool), turns)
    assert exact.sum() == 10
    assert sent.sum() == 15


@given(seeds, st.integers(1, 8), st.integers(10, 200))
def test_the_circuit_counts_the_maximum(seed, inputs, steps):
    """With inhibition 1 and no rest: v_i = X_i - S up to the inhibition under way, so that the count S of the window is
    the largest accumulated input within the spikes of a step, K at most, and never more than K above it.
    """
    rates = torch.rand(2, 1, inputs, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    received = trains(seed, steps, rates)
    sent, state = sent_by(circuit(MaxPool((inputs,), (inputs,), (0,), (1,))), received)
    maximum = received.cumsum(0).amax(3)
    assert ((sent.cumsum(0)[..., 0] - maximum).abs() <= inputs).all()
    assert torch.equal(state.count, sent.sum(0))


def test_the_winner_silences_the_losers():
    """Constant trains of 3/4 and 1/4: after a transient all spikes are the winner's, at its own rate."""
    steps = torch.arange(80)
    received = torch.stack([(steps % 4 != 3).double(), (steps % 4 == 2).double()], 1).reshape(80, 1, 1, 2)
    op = circuit(MaxPool((2,), (2,), (0,), (1,)), inhibition=2.0)
    state = op.start(received[0])
    fired = torch.zeros(80, 2)
    for t, x in enumerate(received):
        op.step(state, x)
        fired[t] = state.fired[0, 0, 0]
    assert fired[20:, 1].sum() == 0
    assert fired[20:, 0].sum() == 45


def test_a_circuit_that_forgets_lets_losers_fire_again():
    """A loser cannot fall below -rest: it fires when the winner pauses, and the count exceeds the maximum."""
    received = trains(3, 400, torch.full((1, 1, 4), 0.5, dtype=torch.float64))
    pool = MaxPool((4,), (4,), (0,), (1,))
    most = received.sum(0).max()
    remembers, forgets = (sent_by(circuit(pool, rest=rest), received)[0].sum() for rest in (math.inf, 0.5))
    assert remembers <= most + 4
    assert forgets > 1.2 * most


@pytest.mark.parametrize("name", POOLS)
@given(seed=seeds)
def test_windows_hold_the_inputs_that_the_pool_sees(name, seed):
    """The maximum over the listed inputs is what the pool gives, for every border, step and dilation."""
    x = torch.rand(5, 7, generator=torch.Generator().manual_seed(seed))
    places = windows(POOLS[name], (5, 7))
    listed = x.flatten()[places.clamp(min=0)].masked_fill(places < 0, -1).amax(1)
    assert torch.equal(listed, POOLS[name](x[None, None]).flatten())


def test_connections_within_a_circuit_are_counted():
    """Window of 2 x 2: one spike excites the inhibitory neuron, which answers to 3 others; then 5 outputs read it."""
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4, 5)).eval()
    network = tp.convert(model, torch.rand(40, 1, 4, 4), RATE.with_max_pool(CompeteForMax()))
    found = fan_outs(network)
    assert (found["2"] == 4 + 5).all()
    assert (found["1"] == 1).all()
    model[2] = nn.MaxPool2d(3, 2, 1)
    network = tp.convert(model.eval(), torch.rand(40, 1, 4, 4), RATE.with_max_pool(CompeteForMax()))
    assert fan_outs(network)["2"][0].tolist() == [[4 + 5, 6 + 5], [6 + 5, 9 + 5]]


def test_circuit_thresholds_are_the_heights_of_the_spikes():
    _, network = converted("vgg-bn", RATE.with_max_pool(CompeteForMax()))
    for node in network.having(WinnerTakeAll):
        source = network.nodes[node.inputs[0]].op
        assert isinstance(source, IntegrateAndFire)
        assert torch.equal(node.op.threshold, source.threshold)


def test_each_form_stands_where_it_belongs():
    """Forms of currents before the neurons, forms of spikes behind them."""
    for form, before in (("exact", True), ("step", True), ("gated", False), ("circuit", False)):
        _, network = converted("vgg-bn", RATE.with_max_pool(FORMS[form]))
        for node in network.having(*MAX_POOLS):
            assert isinstance(network.nodes[node.inputs[0]].op, IntegrateAndFire) is not before
            assert (("count" in node.op.keeps) is not before) or isinstance(node.op, WinnerTakeAll)


@pytest.mark.parametrize(("form", "law"), [("exact", 1 / 8), ("gated", 1 / 2), ("circuit", 1 / 8)])
def test_limit_error(form, law):
    """Exact pools and the circuit lose nothing in the limit (error as 1/T, 16 to 512 steps); a gate may keep some."""
    inputs, network = converted("lenet", RATE.with_percentile(100).with_max_pool(FORMS[form]))
    wanted = forward(network.analogue(), inputs)["output"]
    outputs = tp.simulate(network, inputs[0], 512).outputs
    early, late = (float((outputs[t - 1] - wanted).square().mean().sqrt()) for t in (16, 512))
    assert late < early * law


def test_pooling_each_step_stays_wrong_however_long_it_runs():
    inputs, network = converted("lenet", RATE.with_percentile(100).with_max_pool(PoolEachStep()))
    wanted = forward(network.analogue(), inputs)["output"]
    outputs = tp.simulate(network, inputs[0], 512).outputs
    errors = [float((outputs[t - 1] - wanted).square().mean().sqrt()) for t in (256, 512)]
    assert errors[1] > 0.8 * errors[0]
    assert errors[1] > 0.05 * float(wanted.square().mean().sqrt())


def test_a_circuit_refuses_currents():
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, 1), nn.MaxPool2d(2), nn.Conv2d(2, 1, 1)).eval()
    with pytest.raises(ConversionError, match=r"'3' pools currents, but a winner-take-all circuit needs spikes"):
        tp.convert(model, torch.rand(40, 1, 4, 4), RATE.with_max_pool(CompeteForMax()))


@pytest.mark.parametrize("settings", [{"inhibition": 0.0}, {"rest": -1.0}, {"rest": float("nan")}])
def test_a_circuit_that_suppresses_nothing_is_refused(settings):
    with pytest.raises(ArgumentError, match="nothing would be suppressed"):
        circuit(POOLS["tiles"], **settings)


def test_a_recipe_with_a_max_pool_of_its_own_refuses_another():
    with pytest.raises(ArgumentError, match="Recipe 'dcgs' has no step to change: it does not take gated max-pool"):
        tp.recipes["dcgs"].with_max_pool(GateMaxPool())


def test_names_say_which_form():
    assert RATE.with_max_pool(CompeteForMax(rest=1.0)).name == "rate, winner-take-all max-pool, inhibition 1, rest 1"
