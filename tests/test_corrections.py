"""Corrections of layers: the walk sees what the simulator sees, and each correction does what its equation says."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import transpike as tp
from helpers import anew, quick
from transpike.calibration import layer as layers
from transpike.calibration import walk
from transpike.calibration.layer import Layer, Site, run
from transpike.calibration.patches import from_rows, kernel_rows
from transpike.errors import ArgumentError
from transpike.network import forward
from transpike.neurons import SPIKING, Burst, EvenFiring, IntegrateAndFire, Neuron, Ternary
from transpike.ops import Convolution, Linear, Relu
from transpike.parts import Method
from transpike.passes import AccumulateMaxPool, InsertNeurons, Percentile
from transpike.passes.correct_layers import CorrectLayers
from transpike.passes.corrections import (
    FitHeight,
    FitHeights,
    ForwardTemporalBias,
    MatchCurrent,
    MatchOutput,
    MatchPotential,
    RidgeWeights,
    SearchThreshold,
    ShiftDistribution,
)
from transpike.passes.corrections.weights import patches
from transpike.recipe import STRUCTURE, Recipe
from zoo import ZOO

STEPS = 6
CORRECTIONS = {
    "current": MatchCurrent(),
    "output": MatchOutput(),
    "potential": MatchPotential(),
    "temporal-bias": ForwardTemporalBias(),
    "threshold": SearchThreshold(),
    "threshold-fixed-height": SearchThreshold(free_height=False),
    "height": FitHeight(),
    "heights": FitHeights(),
    "weights": RidgeWeights(),
    "distribution": ShiftDistribution(),
}


def recipe(*corrections, neuron=IntegrateAndFire, shares=()):
    insert = InsertNeurons(Percentile(99), initial=0.5, neuron=neuron)
    return Recipe(
        Method("tried", "Tried", "here"), (*STRUCTURE, insert, AccumulateMaxPool(), CorrectLayers(corrections, shares))
    )


def layer(seed=0, samples=40, channels=3, steps=STEPS, neuron=IntegrateAndFire):
    """A layer of channels x 2 x 2 neurons with noisy currents, in float64."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape):
        return torch.randn(*shape, channels, 2, 2, dtype=torch.float64, generator=generator)

    z = 0.4 + 0.6 * noise(samples)
    currents = z + 0.3 * noise(1) + 0.5 * noise(steps, samples)
    threshold = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)[:channels, None, None]
    op = neuron(threshold, torch.tensor(0.5, dtype=torch.float64), Relu())
    return Layer(None, op, lambda: currents, z, z.relu(), 1, steps)


def error(given):
    return given.channel_mean((given.response(given.neuron) - given.activation).square())


class Spy:
    """A correction that changes nothing and keeps what it saw."""

    def __init__(self):
        self.seen = {}

    def __call__(self, given):
        self.seen[given.node.name] = given
        return given


@pytest.mark.parametrize("name", quick(ZOO))
def test_the_walk_sees_what_the_simulator_and_the_ann_see(name):
    """Spikes of every neuron in every step are those of the engine, in float64; activations are the ANN's."""
    spy = Spy()
    inputs, network = anew(name, recipe(spy), STEPS, dtype=torch.float64)
    record = tp.Record(spikes=list(spy.seen))
    spikes = tp.simulate(network, inputs, STEPS, record=record).spikes
    values = {}
    forward(network.analogue(), inputs, values.__setitem__)
    for node, seen in spy.seen.items():
        assert torch.equal(run(seen.neuron, seen.currents) != 0, spikes[node])
        torch.testing.assert_close(seen.activation, values[node], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(seen.pre_activation, values[network.nodes[node].inputs[0]], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["vgg-bn", "resnet", "u-net", "signals-1d"])
def test_the_walk_sees_the_same_in_pieces(name, monkeypatch):
    """How many samples are computed at once changes nothing, in float64 up to the order of sums."""
    seen = []
    for values in (2**20, 1):
        monkeypatch.setattr(walk, "CHUNK", values)
        monkeypatch.setattr(layers, "CHUNK", values)
        seen.append(Spy())
        anew(name, recipe(seen[-1], neuron=Burst), STEPS, dtype=torch.float64)
    for name_of_layer, one in seen[0].seen.items():
        torch.testing.assert_close(seen[1].seen[name_of_layer].currents, one.currents, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", [*SPIKING, EvenFiring])
def test_a_thinned_layer_is_the_layer_at_some_pixels(kind):
    """Every neuron that is left gets its own currents, thresholds, heights and biases, and sends the same."""
    given_layer = layer(neuron=kind, steps=1 if kind is EvenFiring else STEPS)
    each = torch.rand(2, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    given_layer = given_layer.with_neuron(initial=each[0], bias=each[1:] / 4)
    few = given_layer.thinned(3 * given_layer.currents.shape[1])
    assert few.activation.shape == (40, 3, 3, 1)
    for whole, part in ((given_layer.activation, few.activation), (given_layer.pre_activation, few.pre_activation)):
        assert torch.equal(whole.flatten(2)[:, :, :3], part[..., 0])
    expected = given_layer.response(given_layer.neuron).flatten(2)[:, :, :3]
    assert torch.equal(few.response(few.neuron)[..., 0], expected)
    assert given_layer.thinned(4 * given_layer.currents.shape[1]) is given_layer


@pytest.mark.parametrize("kind", CORRECTIONS)
@pytest.mark.parametrize("name", quick(["vgg-bn", "resnet", "densenet", "u-net", "signals-1d", "mlp"]))
def test_every_correction_works_on_every_kind_of_network(name, kind, tmp_path):
    """It runs, leaves the ANN what it was, keeps thresholds positive, and survives saving bit for bit."""
    (samples,), before = anew(name, recipe(), STEPS)
    _, network = anew(name, recipe(CORRECTIONS[kind]), STEPS)
    expected = forward(before.analogue(), (samples,))["output"]
    assert torch.equal(forward(network.analogue(), (samples,))["output"], expected)
    assert all((node.op.threshold > 0).all() for node in network.having(Neuron))
    tp.save(network, tmp_path / "out")
    outputs = tp.simulate(network, samples, STEPS).outputs
    assert torch.equal(tp.simulate(tp.load(tmp_path / "out"), samples, STEPS).outputs, outputs)
    assert torch.isfinite(outputs).all()


@given(st.integers(0, 1000))
def test_matched_currents_have_the_anns_mean(seed):
    corrected = MatchCurrent()(layer(seed))
    lacking = corrected.channel_mean(corrected.pre_activation - corrected.mean_current())
    assert float(lacking.abs().max()) < 1e-12


@given(st.integers(0, 1000))
def test_matched_outputs_shift_the_current_by_what_was_lacking(seed):
    given_layer = layer(seed)
    lacking = given_layer.channel_mean(given_layer.activation - given_layer.response(given_layer.neuron))
    corrected = MatchOutput()(given_layer)
    torch.testing.assert_close(corrected.neuron.bias[0].flatten(), lacking)


@given(st.integers(0, 1000))
def test_matched_potentials_add_the_missing_charge_of_each_neuron(seed):
    given_layer = layer(seed)
    corrected = MatchPotential()(given_layer)
    added = (corrected.neuron.initial - given_layer.neuron.initial) * given_layer.neuron.threshold
    lacking = STEPS * (given_layer.activation - given_layer.response(given_layer.neuron)).mean(0)
    torch.testing.assert_close(added, lacking)


@pytest.mark.parametrize("kind", [kind for kind in SPIKING if kind.most == 1])
@pytest.mark.parametrize("free", [True, False])
def test_a_searched_threshold_is_never_worse_than_the_one_it_starts_from(kind, free):
    given_layer = layer(neuron=kind)
    search = SearchThreshold(free_height=free)
    found = search(given_layer)

    def objective(one):
        whole = torch.ones(3, 2, 2)
        return search.error(one, *(one.channel_mean(v * whole) for v in (one.neuron.threshold, one.neuron.initial)))

    assert (objective(found) <= objective(given_layer)).all()
    assert (objective(found) < objective(given_layer)).any()


@given(st.integers(0, 1000))
def test_a_fitted_height_is_the_least_squares_factor(seed):
    """At the optimum the error is orthogonal to what is sent, unless the factor stands at a bound."""
    corrected = FitHeight()(layer(seed))
    sent = corrected.response(corrected.neuron)
    slope = corrected.channel_mean((sent - corrected.activation) * sent)
    factor = (corrected.neuron.height[0] / corrected.neuron.threshold).flatten()
    inside = (factor > 0.5) & (factor < 2)
    assert inside.any()
    assert float(slope[inside].abs().max()) < 1e-12


def test_heights_for_each_step_are_the_least_squares_solution_when_the_ridge_vanishes():
    given_layer = layer(samples=400)
    fitted = FitHeights(ridge=1e-12, most=1e6)(given_layer)
    for channel in range(3):
        trains = run(given_layer.neuron, given_layer.currents)[:, :, channel].flatten(1).T / STEPS
        wanted = given_layer.activation[:, channel].flatten()
        expected = torch.linalg.lstsq(trains, wanted[:, None]).solution[:, 0].clamp(min=0)
        factors = fitted.neuron.height[:, channel, 0, 0] / given_layer.neuron.threshold[channel, 0, 0]
        torch.testing.assert_close(factors, expected, rtol=1e-6, atol=1e-8)
    assert (error(fitted) <= error(given_layer)).all()


def test_temporal_biases_remove_the_mean_error_of_each_channel():
    given_layer = layer(samples=400)
    corrected = ForwardTemporalBias(rate=0.5, passes=6)(given_layer)
    assert corrected.neuron.bias.shape == (STEPS, 3, 1, 1)

    def bias_of(one):
        return one.channel_mean(one.response(one.neuron) - one.activation).abs()

    before, after = bias_of(given_layer), bias_of(corrected)
    assert (after < before).all()
    assert (after < 0.4 * before)[1:].all()  # the first channel is clipped: no bias lifts it above its threshold


OPS = {
    "linear": (Linear(torch.randn(3, 5).double()), (5,)),
    "convolution": (Convolution(torch.randn(3, 2, 3, 2).double(), torch.zeros(3).double(), (2, 1), (1, 0), (1, 2)), (2, 6, 7)),
    "convolution-1d": (Convolution(torch.randn(3, 2, 3).double(), None, (2,), (1,), (1,)), (2, 9)),
}


@pytest.mark.parametrize("kind", OPS)
def test_patches_times_weights_are_the_op(kind):
    op, shape = OPS[kind]
    x = torch.randn(4, *shape).double()
    out = op(x)
    rows = patches(op, x) @ kernel_rows(op).T
    assert torch.equal(from_rows(op, kernel_rows(op)), op.weight)
    kept = torch.tensor([1, 3])
    assert torch.equal(patches(op, x, kept), patches(op, x)[:, kept])
    expected = out[None] if isinstance(op, Linear) else out.flatten(2).mT
    torch.testing.assert_close(rows + (0 if op.bias is None else op.bias), expected)


@pytest.mark.parametrize("kind", OPS)
def test_ridge_weights_without_a_penalty_leave_an_error_orthogonal_to_the_input(kind):
    """The normal equations: X'(Y - X D) = 0, the column of ones included."""
    op, shape = OPS[kind]
    rates = torch.rand(50, *shape).double()
    wanted = op(rates) + 0.3 * torch.randn(op(rates).shape).double() + 0.1
    site = Site("op", op, rates, wanted, lambda changed: wanted - changed(rates), lambda changed: changed(rates)[None])
    blank = IntegrateAndFire(torch.ones(()), torch.zeros(()), Relu())
    given_layer = Layer(None, blank, lambda: op(rates)[None], wanted, wanted.relu(), 1, 1, site)
    corrected = RidgeWeights(strength=0.0, rounds=0)(given_layer)
    left = corrected.site.residual(corrected.site.op)
    left = left[None] if isinstance(op, Linear) else left.flatten(2).mT
    inputs = patches(op, rates)
    assert float((inputs.flatten(0, 1).T @ left.flatten(0, 1)).abs().max()) < 1e-8
    assert float(left.flatten(0, 1).sum(0).abs().max()) < 1e-8
    assert corrected.site.op.original is op
    assert torch.equal(corrected.currents[0], corrected.site.op(rates))


def test_errors_of_later_ends_count_more_with_emphasis():
    """Weights t^emphasis, 1 on average; the regression leaves an error orthogonal to the input under these weights."""
    op, shape = OPS["convolution"]
    rates = torch.rand(50, *shape).double()
    wanted = op(rates) + 0.3 * torch.randn(op(rates).shape).double()
    site = Site("op", op, rates, wanted, lambda changed: wanted - changed(rates), lambda changed: changed(rates)[None])
    blank = IntegrateAndFire(torch.ones(()), torch.zeros(()), Relu())
    given_layer = Layer(None, blank, lambda: op(rates)[None], wanted, wanted.relu(), 1, 8, site, ends=(2, 8), emphasis=2.0)
    each = given_layer.weighted(torch.ones(50, dtype=torch.float64))
    assert float(each.mean()) == pytest.approx(1)
    assert each[25:].tolist() == pytest.approx((16 * each[:25]).tolist())
    corrected = RidgeWeights(strength=0.0, rounds=0)(given_layer)
    left = corrected.site.residual(corrected.site.op).flatten(2).mT * each[:, None, None]
    assert float((patches(op, rates).flatten(0, 1).T @ left.flatten(0, 1)).abs().max()) < 1e-8


def test_ridge_weights_leave_a_shared_or_first_op_alone():
    """The first op reads the constant input; one that feeds two layers must not be bent to one of them."""

    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.shared, self.last = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 2)

        def forward(self, x):
            y = self.shared(torch.relu(self.first(x)))
            return self.last(torch.relu(y) + torch.relu(-y))

    samples = torch.rand(64, 4)
    network = tp.convert(Shared().eval(), samples, recipe(RidgeWeights()), time_steps=STEPS)
    assert [node.op.original for node in network.having(Linear)][:2] == [None, None]


def test_a_network_with_heights_for_each_step_runs_for_these_steps_only():
    model, samples = ZOO["mlp"]()
    network = tp.convert(model, samples, recipe(FitHeights()), time_steps=4)
    assert tp.simulate(network, samples, 3).outputs.shape[0] == 3
    with pytest.raises(ArgumentError, match=r"calibrated for 4 time steps.*Simulate 4 steps, or convert it with a larger"):
        tp.simulate(network, samples, 5)


def test_corrections_need_the_number_of_steps():
    model, samples = ZOO["mlp"]()
    with pytest.raises(ArgumentError, match="give time_steps= to convert"):
        tp.convert(model, samples, recipe(MatchCurrent()))


@pytest.mark.parametrize("correction", [FitHeights(), ForwardTemporalBias()], ids=["heights", "temporal-bias"])
def test_tables_of_steps_need_the_concurrent_schedule(correction):
    model, samples = ZOO["mlp"]()
    with pytest.raises(ArgumentError, match="needs the concurrent schedule"):
        tp.convert(model, samples, recipe(correction, neuron=EvenFiring), time_steps=4)


def test_reports_measure_what_heights_make_of_spikes():
    """The error of a layer compares the mean of what was sent, heights included, with the ANN's activation."""
    model, samples = ZOO["resnet"]()
    network = tp.convert(model, samples, recipe(RidgeWeights(), SearchThreshold(), FitHeights()), time_steps=8)
    report = tp.evaluate(model, network, samples, 8, block=len(samples))
    spy = Spy()
    tp.convert(model, samples, recipe(RidgeWeights(), SearchThreshold(), FitHeights(), spy), time_steps=8)
    for one in report.layers:
        seen = spy.seen[one.name]
        sent = seen.response(seen.neuron)
        expected = float((sent - seen.activation).norm() / seen.activation.norm())
        assert one.error == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_retracting_neurons_settle_on_the_closed_form():
    """With retract = 0 the net count after a settled window is floor(z T / threshold + initial), whatever the order."""
    generator = torch.Generator().manual_seed(0)
    threshold = torch.ones(1, dtype=torch.float64)
    neuron = Ternary(threshold, torch.tensor(0.5, dtype=torch.float64), Relu())
    currents = torch.randint(-1024, 1536, (20, 200, 1), generator=generator).double() / 1024
    settled = torch.cat([currents, torch.zeros(60, 200, 1, dtype=torch.float64)])
    state = neuron.start(settled[0])
    for current in settled:
        neuron.step(state, current)
    expected = (currents.sum(0) + 0.5).floor().clamp(min=0)
    assert torch.equal(state.net, expected)


def test_layers_are_values():
    one = layer()
    assert dataclasses.replace(one).neuron is one.neuron
    assert one.first(5).currents.shape[1] == 5


def test_rounds_of_the_regression_lower_the_error_behind_the_rectifier():
    """What lies below 0 need not be met: the error of relu(current) falls, while that of the current may rise."""
    generator = torch.Generator().manual_seed(0)
    op = Linear(torch.randn(5, 8, generator=generator).double())
    rates = torch.rand(600, 8, generator=generator).double()
    wanted = op(rates.square()) - 0.3
    site = Site("op", op, rates, wanted, lambda changed: wanted - changed(rates), lambda changed: changed(rates)[None])
    blank = IntegrateAndFire(torch.ones(()), torch.zeros(()), Relu())
    given_layer = Layer(None, blank, lambda: op(rates)[None], wanted, wanted.relu(), 1, 1, site)

    def errors(rounds):
        current = RidgeWeights(strength=0.0, margin=0.0, rounds=rounds)(given_layer).currents[0]
        return float((current.relu() - wanted.relu()).square().mean()), float((current - wanted).square().mean())

    plain, rectified = errors(0), errors(30)
    assert rectified[0] < 0.8 * plain[0]
    assert rectified[1] > plain[1]


def test_shares_of_the_time_steps_stand_side_by_side_as_samples():
    """The walk sees, at each read-out, the mean of what the simulator sends until then."""
    model, samples = ZOO["resnet"]()
    spy = Spy()
    network = tp.convert(model.double(), samples.double(), recipe(spy, shares=(1 / 3, 1 / 2, 1.0)), time_steps=STEPS)
    result = tp.simulate(network, samples.double(), STEPS, record=tp.Record(spikes=list(spy.seen)))
    for name, seen in spy.seen.items():
        assert seen.ends == (STEPS // 3, STEPS // 2, STEPS)
        assert seen.windows * seen.currents.shape[1] == len(seen.activation)
        sent = result.spikes[name][:, : seen.currents.shape[1]] * seen.neuron.threshold
        expected = torch.cat([sent[:end].mean(0) for end in seen.ends])
        torch.testing.assert_close(seen.response(seen.neuron), expected, rtol=1e-12, atol=1e-12)


def test_any_time_is_better_before_the_last_step_than_a_network_for_that_step_alone():
    model, samples = ZOO["resnet"]()
    steps = 32
    true = model(samples).detach().softmax(1)

    def distance_after_a_quarter(name):
        answers = tp.simulate(tp.convert(model, samples, name, time_steps=steps), samples, steps // 4).outputs.softmax(2)
        return float((answers[-1] - true).abs().mean())

    assert distance_after_a_quarter("any-time") < distance_after_a_quarter("ls")


def test_tables_of_steps_are_for_one_number_of_steps():
    model, samples = ZOO["mlp"]()
    with pytest.raises(ArgumentError, match="fits several at once"):
        tp.convert(model, samples, recipe(FitHeights(), shares=(0.5, 1.0)), time_steps=8)
