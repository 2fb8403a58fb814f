"""Early exit on the event engine: samples end at the same steps, with the same spikes, as on the engine that steps."""

from __future__ import annotations

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import transpike as tp
from helpers import examples
from random_networks import models
from test_early_exit import with_decoder
from test_event_engine import BUILDS, exact, forced, quiet
from transpike.data import Batch
from transpike.exits import leads
from transpike.neurons import EarlyExit, Integrator, Neuron
from transpike.simulation import Record, Snapshots, blocks
from transpike.simulation.engines import EventEngine, Task, engine_for
from transpike.simulation.engines.event.compiled import KERNELS
from transpike.simulation.engines.event.kernels import CHOICE

pytestmark = pytest.mark.skipif(not BUILDS, reason="the kernels are not compiled here")
STEPS = 70  # two whole chunks of the kernels, and a part of one
NETWORKS = [("resnet", "rate"), ("lenet", "rate"), ("mlp", "ftbc"), ("resnet", "ternary"), ("mlp", "thesis-extended")]


def wide():
    """A network whose weights do not fit the cache, so that samples take turns at them."""
    torch.manual_seed(4)
    model = nn.Sequential(nn.Linear(8, 600), nn.ReLU(), nn.Linear(600, 600), nn.ReLU(), nn.Linear(600, 5)).eval()
    with quiet():
        return (torch.rand(20, 8),), tp.convert(model, torch.rand(64, 8), "rate", exact=True)


@functools.cache
def hasty(name, recipe):
    """Return inputs, and a network in exact arithmetic that ends some of them early, others late or not at all."""
    inputs, network = wide() if name == "wide" else exact(name, recipe, STEPS)
    (end,) = network.having(Integrator)
    potentials = tp.simulate(network, inputs, STEPS, record=Record(potentials=[end.name])).potentials[end.name]
    margin = float(leads(end, potentials).amax(0).quantile(0.4)) / 2 + 0.01
    return inputs, with_decoder(network, EarlyExit(margin, delay=end.op.delay))


def run_of(network, inputs, engine, snapshots=(1, 20, 32, 40, 64, STEPS)):
    names = [node.name for node in network.having(Neuron)]
    seen = Snapshots(snapshots, lambda counts: {name: count.clone() for name, count in counts.items()})
    record = Record(spikes=names, counts=names)
    (block,) = blocks(network, iter([Batch(inputs)]), STEPS, snapshots=seen, record=record, engine=engine, block=len(inputs[0]))
    return block


def assert_same(network, inputs):
    wanted, found = (run_of(network, inputs, engine) for engine in ("stopping", "event"))
    for kind in ("outputs", "decided", "totals", "sums", "spikes"):
        for name, value in getattr(wanted, kind).items():
            if name in getattr(found, kind):  # sums of neurons alone
                assert torch.equal(getattr(found, kind)[name], value), (kind, name)
    assert set(found.totals) <= set(found.sums)
    for step, counts in wanted.snapshots.items():
        for name, count in found.snapshots[step].items():
            assert torch.equal(count, counts[name]), (step, name)
    return wanted


@pytest.mark.parametrize(("name", "recipe"), [*NETWORKS, ("wide", "rate")])
@pytest.mark.parametrize("threads", [1, 2])
def test_samples_end_as_on_the_engine_that_steps(name, recipe, threads):
    inputs, network = hasty(name, recipe)
    torch.set_num_threads(threads)
    try:
        block = assert_same(network, inputs)
    finally:
        torch.set_num_threads(1)
    (times,) = block.decided.values()
    assert len(set(times.tolist())) > 3
    assert ((times > 0) & (times < 32)).any()
    assert ((times > 32) | (times == 0)).any()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("build", BUILDS)
def test_every_kernel_gives_back_what_comes_late(build, kernel, monkeypatch):
    monkeypatch.setenv(CHOICE, build)
    for name, recipe in (("resnet", "rate"), ("mlp", "ternary")):
        inputs, network = hasty(name, recipe)
        few = tuple(x[:6] for x in inputs)
        forced(network, kernel, STEPS)
        assert_same(network, few)


@given(models(), st.sampled_from(["rate", "ternary"]), st.floats(0.01, 3.0), st.sampled_from(BUILDS), st.sampled_from(KERNELS))
@settings(max_examples=examples(15), deadline=None)
def test_random_networks_end_alike(drawn, recipe, margin, build, kernel):
    model, shape = drawn
    with quiet(), pytest.MonkeyPatch.context() as patch:
        patch.setenv(CHOICE, build)
        network = tp.convert(model, torch.rand(40, *shape), recipe, exact=True)
        network = with_decoder(network, EarlyExit(margin))
        if EventEngine().refusal(Task(network, STEPS)) is None:
            forced(network, kernel, STEPS)
            assert_same(network, (1.2 * torch.rand(3, *shape),))


def test_it_is_taken_where_samples_end_early():
    inputs, network = hasty("resnet", "rate")
    assert isinstance(engine_for(Task(network, STEPS)), EventEngine)
    whole = tp.simulate(network, inputs, STEPS)
    parts = tp.simulate(network, inputs, STEPS, block=3)
    assert torch.equal(whole.outputs, parts.outputs)
    for name, count in whole.spike_counts.items():
        assert torch.equal(parts.spike_counts[name], count)


def test_several_outputs_are_left_to_the_engine_that_steps():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.below, self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 3), nn.Linear(8, 3)

        def forward(self, x):
            hidden = self.below(x).relu()
            return self.first(hidden), self.second(hidden)

    with quiet():
        network = tp.convert(Two().eval(), torch.rand(40, 4), "rate", exact=True)
    first = network.having(Integrator)[0].name
    early = network.map_ops(lambda node: EarlyExit(1.0) if node.name == first else node.op)
    assert "by one of several outputs" in EventEngine().refusal(Task(early, 40))
    run = tp.simulate(early, torch.rand(5, 4), 40)
    assert set(run.decided) == {first}
