"""The event engine against the literal simulator and the stepwise engine: bit for bit where arithmetic is exact."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import transpike as tp
from helpers import MODELS, anew, examples
from random_networks import models
from reference import simulate_literally
from transpike.errors import ArgumentError, ConversionError, SlowEngineWarning
from transpike.network.remembered import KEPT
from transpike.simulation import Record, Snapshots, blocks, counting_nodes, engines
from transpike.simulation.engines import EventEngine, Task
from transpike.simulation.engines.event.compiled import COLUMNS, DENSE, EVENT, KERNELS, PIXELS, TABLES
from transpike.simulation.engines.event.kernels import CHOICE, builds

pytestmark = pytest.mark.skipif(not builds(), reason="the kernels are not compiled here")
BUILDS = list(builds())
# Recipes of neurons that the engine knows, and what is special in each.
EXACT = {
    "rate": "channel-wise thresholds",
    "rate-basic": "one threshold per layer, no initial potential",
    "thesis-extended": "neurons that are held at the start, a late read-out",
    "light": "a bias per channel",
    "potential": "an initial potential per neuron",
    "ftbc": "a bias per step",
    "sbg": "heights of spikes",
    "ls": "other weights than the ANN",
    "ternary": "spikes that are taken back",
    "snm": "and debts",
    "ternary-sbg": "and heights",
}
TEMPLATES = ["resnet", "lenet", "mlp"]


def exact(name, recipe, time_steps):
    """Return (inputs, network in exact arithmetic) of a model in the lists."""
    with quiet():
        return anew(name, recipe, time_steps, exact=True)


@contextlib.contextmanager
def quiet():
    """Few calibration samples are enough here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tp.errors.TranspikeWarning)
        yield


def traced(network, inputs, time_steps, engine):
    run = tp.simulate(network, inputs, time_steps, engine=engine, record=Record(spikes=counting_nodes(network)))
    outputs = {"output": run.outputs} if isinstance(run.outputs, torch.Tensor) else run.outputs
    return run, outputs


def assert_identical(network, inputs, time_steps, engine="event"):
    wanted, answers = traced(network, inputs, time_steps, "stepwise")
    found, given_ = traced(network, inputs, time_steps, engine)
    for name, train in wanted.spikes.items():
        assert torch.equal(found.spikes[name], train), name
        assert torch.equal(found.spike_counts[name], wanted.spike_counts[name]), name
    for key, answer in answers.items():
        assert torch.equal(given_[key], answer), key


POOLED = {"lenet": {"thesis-extended", "ternary", "snm", "ternary-sbg"}}  # which do not fit max-pools before neurons


@pytest.mark.parametrize(("name", "recipe"), [(n, r) for n in TEMPLATES for r in EXACT if r not in POOLED.get(n, ())])
def test_exact_networks_send_the_same_bits(name, recipe):
    inputs, network = exact(name, recipe, 9)
    few = tuple(x[:3] for x in inputs)
    assert EventEngine().refusal(Task(network, 9)) is None
    assert_identical(network, few, 9)
    assert_identical(network, few, 9, engine="layerwise")


# Recipes whose neurons the event engine leaves to others, and whose arithmetic is sums all the same.
SUMS = ["reset-to-zero", "refractory", "burst", "graded", "graded-ls", "ls-tg", "look-ahead", "burst-ls", "any-time"]


@pytest.mark.parametrize("recipe", SUMS)
@pytest.mark.parametrize("name", TEMPLATES)
def test_exact_networks_of_other_neurons_send_the_same_bits_however_they_are_cut(name, recipe):
    inputs, network = exact(name, recipe, 8)
    few = tuple(x[:5] for x in inputs)
    assert_identical(network, few, 8, engine="layerwise")
    whole, cut = (tp.simulate(network, few, 8, engine="layerwise", block=block) for block in (5, 2))
    assert torch.equal(whole.outputs, cut.outputs)


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("recipe", ["rate", "ternary", "ftbc"])
def test_every_build_sends_the_same_bits(build, recipe, monkeypatch):
    monkeypatch.setenv(CHOICE, build)
    inputs, network = exact("resnet", recipe, 40)
    assert_identical(network, tuple(x[:3] for x in inputs), 40)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("name", TEMPLATES)
def test_kernels_send_the_same_bits(name, build, kernel, monkeypatch):
    monkeypatch.setenv(CHOICE, build)
    inputs, network = exact(name, "rate", 33)
    forced(network, kernel, 33)
    assert_identical(network, tuple(x[:2] for x in inputs), 33)


def forced(network, kernel, time_steps):
    """Let all stages of a network run on one kind of kernel, where they can; return the kernels that they have."""
    task = Task(network, time_steps, Record(spikes=counting_nodes(network)))
    compiled = EventEngine().prepare(task).compiled
    compiled.lay_out(compiled.possible(kernel))
    compiled.measured = True
    return compiled.kernels


@given(
    models(),
    st.sampled_from(["rate", "rate-basic", "ternary"]),
    st.integers(1, 40),
    st.sampled_from(BUILDS),
    st.sampled_from(KERNELS),
)
@settings(max_examples=examples(40), deadline=None)
def test_random_networks_send_the_same_bits(drawn, recipe, time_steps, build, kernel):
    model, shape = drawn
    calibration, inputs = torch.rand(40, *shape), 1.2 * torch.rand(3, *shape)
    with quiet():
        network = tp.convert(model.float(), calibration, recipe, exact=True)
    if EventEngine().refusal(Task(network, time_steps)) is not None:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CHOICE, build)
        forced(network, kernel, time_steps)
        assert_identical(network, (inputs,), time_steps)


@pytest.mark.parametrize("name", TEMPLATES)
def test_exact_networks_agree_with_the_literal_simulator_to_the_bit(name):
    inputs, network = exact(name, "rate", 12)
    few = tuple(x[:2] for x in inputs)
    _, outputs = traced(network, few, 12, "event")
    wanted, trains = simulate_literally(network.to(dtype=torch.float64), tuple(x.double() for x in few), 12)
    run, _ = traced(network, few, 12, "event")
    for node, train in trains.items():
        np.testing.assert_array_equal(run.spikes[node].numpy(), train, err_msg=node)
    for key, values in wanted.items():
        np.testing.assert_allclose(outputs[key].double().numpy(), values, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", TEMPLATES)
def test_networks_in_floats_agree_up_to_rounding(name):
    """Sums in another order may move a spike by a step: the answers of 64 steps differ by a few spikes at most."""
    model, samples = MODELS[name]()
    inputs = (samples if isinstance(samples, tuple) else (samples,))[0].float()
    network = tp.convert(model.float(), inputs, "rate")
    assert EventEngine().refusal(Task(network, 64)) is None
    these, those = (tp.simulate(network, inputs[:8], 64, engine=engine) for engine in ("event", "stepwise"))
    for node, count in those.spike_counts.items():
        assert (these.spike_counts[node] - count).abs().max() <= max(2, 0.01 * float(count.max())), node


def test_batches_threads_and_blocks_do_not_matter():
    inputs, network = exact("resnet", "rate", 20)
    whole = tp.simulate(network, inputs, 20, engine="event")
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        others = tp.simulate(network, inputs, 20, engine="event", block=3)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(whole.outputs, others.outputs)
    assert all(torch.equal(whole.spike_counts[name], count) for name, count in others.spike_counts.items())


def test_simulations_in_several_threads_do_not_disturb_each_other():
    inputs, network = exact("resnet", "rate", 20)
    wanted = tp.simulate(network, inputs, 20, engine="event").outputs
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: tp.simulate(network, inputs, 20, engine="event").outputs, range(12)))
    assert all(torch.equal(run, wanted) for run in runs)


def test_snapshots_count_what_the_stepwise_engine_counts():
    inputs, network = exact("resnet", "ternary", 70)
    steps = (1, 2, 31, 32, 33, 64, 70)
    measure = Snapshots(steps, lambda counts: {name: count.clone() for name, count in counts.items()})

    def run(engine):
        stream = iter([tp.simulation.recording.Batch((inputs[0][:3],))])
        return next(blocks(network, stream, 70, snapshots=measure, engine=engine))

    these, those = run("event"), run("stepwise")
    for step in steps:
        for name, count in those.snapshots[step].items():
            assert torch.equal(these.snapshots[step][name], count), (step, name)
    for name, sent in those.sums.items():
        assert torch.equal(these.sums[name], sent), name


def test_max_pools_before_neurons_run_on_events():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 40, 3, padding=1), nn.ReLU(), nn.Conv2d(40, 20, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(20, 33, 3), nn.MaxPool2d((2, 1)), nn.ReLU(), nn.Flatten(), nn.Linear(33 * 1 * 3, 5),
    ).eval()  # fmt: skip
    samples = torch.rand(200, 2, 10, 10)
    network = tp.convert(model, samples, "rate", exact=True)
    assert EventEngine().refusal(Task(network, 16)) is None
    for kernel in KERNELS:
        forced(network, kernel, 50)
        assert_identical(network, (samples[:3],), 50)


def test_grouped_dilated_and_strided_convolutions():
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(3, 24, 3), nn.ReLU(), nn.Conv2d(24, 24, 3, padding=1, groups=24), nn.ReLU(),
        nn.Conv2d(24, 36, 3, padding=2, dilation=2, groups=3), nn.ReLU(),
        nn.Conv2d(36, 70, (3, 2), stride=(2, 1), padding=(1, 0)), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(70, 4),
    ).eval()  # fmt: skip
    samples = torch.rand(200, 3, 11, 9)
    network = tp.convert(model, samples, "rate", exact=True)
    assert EventEngine().refusal(Task(network, 16)) is None
    for kernel in KERNELS:
        forced(network, kernel, 35)
        assert_identical(network, (samples[:3],), 35)


@pytest.mark.parametrize("kernel", [EVENT, COLUMNS])
@pytest.mark.parametrize("strength", [2.0, 9.0])
@pytest.mark.parametrize("time_steps", [20, 100])
def test_sums_beyond_sixteen_bits_are_right(kernel, strength, time_steps):
    """A neuron with a strong negative drive leaves the range of 16-bit potentials, or of sums: those tiles run in 32 bits."""
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3)).eval()
    with torch.no_grad():
        model[2].weight[::2] -= strength
        model[2].weight[1, ::2] += strength
    samples = torch.rand(200, 4)
    network = tp.convert(model, samples, "rate", exact=True)
    forced(network, kernel, time_steps)
    assert_identical(network, (samples[:4],), time_steps)


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("outputs", [16, 20, 40])
@pytest.mark.parametrize("strength", [0.0, 9.0])
def test_tables_take_few_channels_whose_sums_sixteen_bits_hold(strength, outputs, build, monkeypatch):
    monkeypatch.setenv(CHOICE, build)
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, outputs), nn.ReLU(), nn.Linear(outputs, 3)).eval()
    with torch.no_grad():
        model[2].weight.abs_()[::2] -= strength
    samples = torch.rand(200, 4)
    network = tp.convert(model, samples, "rate", exact=True)
    wanted = TABLES if outputs <= 32 and not strength else EVENT
    assert forced(network, TABLES, 40) == [EVENT, wanted, EVENT]
    assert_identical(network, (samples[:4],), 40)


class Joined(nn.Module):
    """Convolutions to 16 and 32 channels with strides of one and two, and two ways that join."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 13, 3, padding=1)
        self.second = nn.Conv2d(13, 13, 3, padding=1)
        self.wider = nn.Conv2d(13, 30, (3, 5), stride=2, padding=(1, 2))
        self.short = nn.Conv2d(13, 30, 1, stride=2)
        self.last = nn.Conv2d(30, 30, 3, stride=(1, 2))
        self.out = nn.Linear(30, 4)
        for layer in (self.second, self.wider, self.short, self.last):
            layer.weight.data *= 0.2  # far below thresholds, so that sixteen bits hold all sums
            nn.init.constant_(layer.bias, 0.5)

    def forward(self, x):
        x = self.first(x).relu()
        x = (x + self.second(x)).relu()
        x = (self.short(x) + self.wider(x)).relu()
        return self.out(self.last(x).relu().mean((2, 3)))


@pytest.mark.parametrize("time_steps", [6, 71])
@pytest.mark.parametrize("size", [(7, 8), (9, 32), (6, 37), (5, 70)])
@pytest.mark.parametrize("build", BUILDS)
def test_pixels_abreast_send_the_same_bits(build, size, time_steps, monkeypatch):
    """Tiles of one row and of two, wholly and partly inside of the map, with steps that fill no group."""
    monkeypatch.setenv(CHOICE, build)
    torch.manual_seed(5)
    samples = torch.rand(60, 2, *size)
    network = tp.convert(Joined().eval(), samples, "rate", exact=True)
    here = PIXELS if build in ("avx512", "amx") else EVENT
    assert forced(network, PIXELS, time_steps) == [EVENT, here, here, here, EVENT]
    assert_identical(network, (samples[:3],), time_steps)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("window", [(2, 2), (1, 2)])
def test_pixels_that_a_pool_leaves_far_behind_stay_there(kernel, window):
    """Each spike of a window is taken from all of its pixels, so that dark ones leave the range of 16-bit potentials."""
    torch.manual_seed(4)
    layers = nn.Conv2d(1, 5, 1), nn.ReLU(), nn.Conv2d(5, 20, 1), nn.MaxPool2d(window), nn.ReLU()
    model = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(3)).eval()
    samples = torch.rand(200, 1, 8, 8)
    samples[..., ::2] = 0
    model(samples)
    with torch.no_grad():
        [weight.abs_() for weight in (model[0].weight, model[2].weight)]
        model[0].bias.zero_()
        model[2].bias.fill_(-0.1)
    network = tp.convert(model, samples, "rate", exact=True)
    assert forced(network, kernel, 100)[1] in ((kernel, EVENT) if kernel in (DENSE, PIXELS) else (kernel,))
    assert_identical(network, (samples[:6],), 100)


def test_neurons_that_recover_from_a_deep_potential_fire_at_the_right_time():
    """Potentials of 16 bits stop at -32 thresholds: whoever fires after that is computed again in 32 bits."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1), nn.ReLU(), nn.Linear(1, 2)).eval()
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(8))
        model[0].bias.zero_()
        model[2].weight.copy_(torch.tensor([1.0, 1, 1, 1, -1, -1, -1, -1]))
        model[2].bias.zero_()
    half = 0.2 + 0.6 * torch.rand(200, 4)
    samples = torch.cat([half, half + 0.02 * torch.rand(200, 4) - 0.012], 1)
    network = tp.convert(model, samples, "rate-basic", exact=True)
    name = counting_nodes(network)[1]
    record = Record(spikes=[name], potentials=[name])
    wanted = tp.simulate(network, samples, 32, engine="stepwise", record=record)
    threshold = network.nodes[name].op.threshold.max()
    deep = (wanted.potentials[name] / threshold < -33).cummax(0).values
    assert (deep[:-1] & wanted.spikes[name][1:]).any()
    forced(network, COLUMNS, 32)
    found = tp.simulate(network, samples, 32, engine="event", record=Record(spikes=[name]))
    assert torch.equal(found.spikes[name], wanted.spikes[name])


REFUSED = {
    "overlapping pool": (nn.MaxPool2d(3, 2, 1), "rate", "no form for the max-pool"),
    "other neurons": (nn.ReLU(), "burst", "no form for Burst"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_engine_cannot_run_is_said(case):
    layer, recipe, words = REFUSED[case]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), layer, nn.Flatten(), nn.LazyLinear(3))
    samples = torch.rand(200, 1, 9, 9)
    model(samples)
    network = tp.convert(model.eval(), samples, recipe)
    with pytest.raises(ArgumentError, match=words):
        tp.simulate(network, samples[:2], 4, engine="event")
    assert tp.simulate(network, samples[:2], 4).outputs.shape == (4, 2, 3)


def test_potentials_are_left_to_other_engines():
    inputs, network = exact("mlp", "rate", 4)
    name = counting_nodes(network)[0]
    record = Record(potentials=[name])
    with pytest.raises(ArgumentError, match="keeps no potentials"):
        tp.simulate(network, inputs, 4, engine="event", record=record)
    assert tp.simulate(network, inputs, 4, record=record).potentials[name].shape[0] == 4


def test_without_kernels_another_engine_runs_and_the_reason_is_said(monkeypatch):
    inputs, network = exact("mlp", "rate", 4)
    monkeypatch.setattr("transpike.simulation.engines.event.library", lambda: None)
    with pytest.raises(ArgumentError, match="install a C\\+\\+ compiler and then transpike again"):
        tp.simulate(network, inputs, 4, engine="event")
    assert tp.simulate(network, inputs, 4).outputs.shape[0] == 4


def test_a_slower_engine_is_said_once(monkeypatch):
    inputs, network = exact("mlp", "rate", 4)
    for module in ("transpike.simulation.engines", "transpike.simulation.engines.event"):
        monkeypatch.setattr(f"{module}.library", lambda: None)
    engines.say_once.cache_clear()
    with pytest.warns(SlowEngineWarning, match="Simulating on the 'layerwise' engine.*install a C\\+\\+ compiler") as caught:
        [tp.simulate(network, inputs, 2) for _ in range(2)]
    assert len(caught) == 1


def test_nothing_is_kept_of_a_network_that_is_gone():
    inputs, network = exact("mlp", "rate", 4)
    tp.simulate(network, inputs, 4, engine="event")
    key = id(network)
    assert key in KEPT
    del network
    assert key not in KEPT


@pytest.mark.parametrize("recipe", ["lif", "dcgs", "sequential"])
def test_arithmetic_that_is_no_sum_cannot_be_exact(recipe):
    with pytest.raises(ConversionError, match="cannot be exact"):
        exact("mlp", recipe, 4)


@pytest.mark.parametrize("bits", [3, 15, 8.0, True])
def test_grid_bits_are_checked(bits):
    with pytest.raises(ArgumentError, match="from 4 to 14"):
        tp.passes.SnapToGrid(bits)


def test_the_change_is_reported():
    _, network = exact("lenet", "rate", 4)
    finding = next(finding for finding in network.findings if finding.kind == "exact-arithmetic")
    assert "multiples of 2^-10" in finding.message
    assert finding.node in network.nodes
    assert dataclasses.asdict(finding)["advice"].startswith("Sums are exact for")
