"""The sequential schedule against a literal one that sends every spike, window by window."""

from __future__ import annotations

import gc
import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import transpike as tp
from helpers import anew, quick
from random_networks import models
from reference import evaluate
from transpike.data import Batch
from transpike.errors import ArgumentError
from transpike.network import forward, value
from transpike.neurons import AccumulatedMaxPool, EvenFiring, Integrator, Phase, sent_by
from transpike.ops import Input, Relu
from transpike.parts import Method
from transpike.passes import AccumulateMaxPool, InsertNeurons, Percentile
from transpike.recipe import STRUCTURE, Recipe
from transpike.simulation import blocks
from zoo import ZOO

EVEN = Recipe(
    Method("even", "Even", "here", schedule="sequential"),
    (*STRUCTURE, InsertNeurons(Percentile(99.5, active=True), 0.5, EvenFiring), AccumulateMaxPool()),
)


def even_train(count, steps):
    """Send `count` spikes evenly, step by step: a spike whenever the share that is due is half ahead of what was sent."""
    train, sent = [], torch.zeros_like(count)
    for step in range(1, steps + 1):
        spike = ((count * step * 2 + steps) >= (sent + 1) * 2 * steps).to(count.dtype)
        train.append(spike)
        sent = sent + spike
    return torch.stack(train)


def simulate_windows(network, inputs, steps):
    """Return (outputs [time, ...], spike trains by node [time, ...]) of one sample; every layer hears every spike."""
    trains, given = {}, iter(inputs)
    spikes = {}
    for name, node in network.nodes.items():
        sources = [trains[source] for source in node.inputs]
        if isinstance(node.op, Input):
            trains[name] = [next(given)] * steps
        elif isinstance(node.op, EvenFiring):
            potential = node.op.initial * node.op.threshold + sum(sources[0])
            count = (potential / node.op.threshold).floor().clamp(0, steps)
            spikes[name] = even_train(count, steps)
            trains[name] = [spike * node.op.threshold for spike in spikes[name]]
        elif isinstance(node.op, Integrator):
            trains[name] = [sum(sources[0][: t + 1]) / (t + 1) for t in range(steps)]
        elif isinstance(node.op, AccumulatedMaxPool):
            totals = [torch.from_numpy(evaluate(node.op.pool, [sum(sources[0][: t + 1]).numpy()])) for t in range(steps)]
            trains[name] = [total - (totals[t - 1] if t else 0) for t, total in enumerate(totals)]
        else:
            trains[name] = [
                torch.from_numpy(evaluate(node.op, [source[t].numpy() for source in sources])) for t in range(steps)
            ]
    return {key: torch.stack(trains[name]) for key, name in network.outputs.items()}, spikes


@given(models(), st.integers(1, 9))
def test_the_engine_agrees_with_the_literal_windows(drawn, steps):
    model, shape = drawn
    network = tp.convert(model.double(), torch.rand(40, *shape, dtype=torch.float64), EVEN)
    inputs = 1.2 * torch.rand(3, *shape, dtype=torch.float64)
    names = [node.name for node in network.having(EvenFiring)]
    run = tp.simulate(network, inputs, steps, record=tp.Record(spikes=names, counts=names))
    for sample in range(3):
        outputs, spikes = simulate_windows(network, [inputs[sample]], steps)
        for name in names:
            assert torch.equal(run.spikes[name][:, sample], spikes[name] != 0)
            assert torch.equal(run.counts[name][sample], spikes[name].sum(0))
        torch.testing.assert_close(run.outputs[:, sample], outputs["output"], rtol=1e-9, atol=1e-12)


@given(st.integers(0, 40), st.integers(1, 40))
def test_even_spikes_are_single_complete_and_never_half_a_spike_away_from_even(count, steps):
    count = min(count, steps)
    sent = [float(sent_by(torch.tensor(float(count), dtype=torch.float64), t, steps)) for t in range(steps + 1)]
    assert sent[0] == 0
    assert sent[-1] == count
    assert all(after - before in {0, 1} for before, after in itertools.pairwise(sent))
    assert all(abs(value - count * t / steps) <= 0.5 for t, value in enumerate(sent))


@pytest.mark.parametrize("name", quick(ZOO))
def test_there_is_no_unevenness_error(name):
    """Layer by layer the answer is that of the quantised network: quantiser = closed form of constant current."""
    inputs, network = anew(name, EVEN, dtype=torch.float64)
    quantised = network.map_ops(lambda node: Quantiser(node.op, 8) if isinstance(node.op, EvenFiring) else node.op.analogue())
    expected = next(iter(forward(quantised, inputs).values()))
    outputs = tp.simulate(network, inputs, 8).outputs
    torch.testing.assert_close(outputs[-1], expected, rtol=1e-9, atol=1e-11)


class Quantiser(Relu):
    """threshold/T clip(floor(z T / threshold + initial), 0, T)."""

    def __new__(cls, *_):
        return object.__new__(cls)

    def __init__(self, neuron, steps):
        self.__dict__.update(neuron=neuron, steps=steps)

    def __call__(self, z):
        neuron, steps = self.neuron, self.steps
        return neuron.threshold / steps * (z * steps / neuron.threshold + neuron.initial).floor().clamp(0, steps)


def test_a_report_of_windows_adds_up():
    model, samples = ZOO["resnet"]()
    network = tp.convert(model, samples, EVEN)
    report = tp.evaluate(model, network, samples, 8, block=len(samples))
    run = tp.simulate(network, samples, 8, block=len(samples))
    total = sum(float(counts.double().mean()) for counts in run.spike_counts.values())
    assert report.final.spikes == pytest.approx(total, rel=1e-6)
    assert [point.time_steps for point in report.checkpoints] == [1, 2, 4, 8]
    spikes = [point.spikes for point in report.checkpoints]
    assert spikes == sorted(spikes)


def test_a_sequential_network_cannot_be_streamed():
    model, samples = ZOO["mlp"]()
    with pytest.raises(ArgumentError, match="runs window by window"):
        tp.Stream(tp.convert(model, samples, EVEN))


def test_a_sequential_network_survives_saving(tmp_path):
    model, samples = ZOO["vgg-bn"]()
    network = tp.convert(model, samples, EVEN)
    tp.save(network, tmp_path / "out")
    again = tp.load(tmp_path / "out")
    assert torch.equal(tp.simulate(again, samples, 5).outputs, tp.simulate(network, samples, 5).outputs)


def test_the_shapes_of_a_network_are_found_once_and_forgotten_with_it(monkeypatch):
    """They cost as much as a pass of a small network; a window of few samples should not pay for them each time."""
    model, samples = ZOO["mlp"]()
    network, calls = tp.convert(model, samples, EVEN, time_steps=4), []
    real = value.found_shapes
    monkeypatch.setattr(value, "found_shapes", lambda one: calls.append(1) or real(one))
    for _ in range(3):
        tp.simulate(network, samples[:2], 4)
    assert len(calls) <= 1
    known = id(network)
    assert known in value.KNOWN
    del network
    gc.collect()
    assert known not in value.KNOWN


def test_spikes_and_sums_are_computed_only_when_they_are_asked_for(monkeypatch):
    model, samples = ZOO["mlp"]()
    network, asked = tp.convert(model, samples, "phase"), []
    real = Phase.value
    monkeypatch.setattr(Phase, "value", lambda self, *rest: asked.append(1) or real(self, *rest))
    tp.simulate(network, samples[:2])
    plain = len(asked)
    (block,) = blocks(network, iter([Batch((samples[:2],))]), 31)
    assert len(asked) == 2 * plain
    for node in network.having(Phase):
        assert block.sums[node.name].shape == block.totals[node.name].shape
    assert len(asked) == 2 * plain + len(network.having(Phase))
