"""Layers that fire in staggered windows: what is joined belongs together, and a whole window of listening is exact."""

from __future__ import annotations

import pytest
import torch

import transpike as tp
from helpers import ZOO, anew
from transpike.errors import ArgumentError, ConversionError
from transpike.neurons import Delayed, EvenFiring, IntegrateAndFire, Integrator, LookAhead, Neuron, Ternary
from transpike.parts import Method
from transpike.passes import AccumulateMaxPool, InsertNeurons, Percentile, StaggerWindows
from transpike.recipe import STRUCTURE, Recipe

WINDOW = 8
PLAIN = [name for name in ("mlp", "resnet", "densenet", "inception", "signals-1d") if name in ZOO]


def recipe(*passes, neuron=IntegrateAndFire):
    insert = InsertNeurons(Percentile(99.0), 0.5, neuron)
    schedule = "sequential" if neuron is EvenFiring else "concurrent"
    return Recipe(Method("test", "test", "", schedule=schedule), (*STRUCTURE, insert, AccumulateMaxPool(), *passes))


def depth(network):
    """The neurons on the longest path."""
    found = {}
    for name, node in network.nodes.items():
        found[name] = max((found[s] for s in node.inputs), default=0) + isinstance(node.op, Neuron)
    return max(found.values())


@pytest.mark.parametrize("name", PLAIN)
def test_layers_that_hear_a_whole_window_first_send_what_the_sequential_schedule_sends(name):
    """With ahead = W a neuron knows its sum when it starts: floor(sum / threshold + initial) spikes, delayed skips included."""
    (samples,), taking_turns = anew(name, recipe(neuron=EvenFiring), WINDOW, dtype=torch.float64)
    layers = depth(taking_turns)
    _, staggered = anew(name, recipe(StaggerWindows(WINDOW)), WINDOW * layers, dtype=torch.float64)
    assert {node.op.window for node in staggered.having(LookAhead)} == {WINDOW}
    assert staggered.method.extra_steps == WINDOW * (layers - 1)
    expected = tp.simulate(taking_turns, samples, WINDOW).outputs[-1]
    found = tp.simulate(staggered, samples, WINDOW * layers).outputs[-1]
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_skips_are_held_back_by_what_the_longer_path_waits():
    model, samples = ZOO["resnet"]()
    network = tp.convert(model, samples, recipe(StaggerWindows(2)), time_steps=30)
    lines = network.having(Delayed)
    assert lines
    assert all(node.op.steps % 2 == 0 for node in lines)
    ends = {node.op.delay for node in network.having(Integrator)}
    assert ends == {2 * (depth(network) - 1)}


def test_a_delay_line_passes_on_each_signal_later():
    line = Delayed(2)
    state = line.start(torch.zeros(1, 2))
    sent = [line.step(state, torch.full((1, 2), float(t))).clone() for t in range(1, 6)]
    assert [float(x[0, 0]) for x in sent] == [0.0, 0.0, 1.0, 2.0, 3.0]
    with pytest.raises(ArgumentError, match="steps"):
        Delayed(0)


def test_the_network_is_for_its_time_steps_and_needs_enough_of_them():
    model, samples = ZOO["resnet"]()
    network = tp.convert(model, samples, recipe(StaggerWindows()), time_steps=20)
    with pytest.raises(ArgumentError, match="Simulate 20 steps, or convert it with a larger"):
        tp.simulate(network, samples, 21)
    with pytest.raises(ArgumentError, match=r"takes \d+ steps before the first answer, but the network is converted for 2"):
        tp.convert(model, samples, recipe(StaggerWindows()), time_steps=2)
    with pytest.raises(ArgumentError, match="time_steps="):
        tp.convert(model, samples, recipe(StaggerWindows()))


def test_only_integrate_and_fire_neurons_look_ahead():
    model, samples = ZOO["mlp"]()
    with pytest.raises(ConversionError, match="Ternary neurons"):
        tp.convert(model, samples, recipe(StaggerWindows(), neuron=Ternary), time_steps=20)


def test_a_staggered_network_survives_its_archive(tmp_path):
    model, samples = ZOO["resnet"]()
    network = tp.convert(model, samples, recipe(StaggerWindows()), time_steps=20)
    tp.save(network, tmp_path / "net")
    again = tp.load(tmp_path / "net")
    assert torch.equal(tp.simulate(again, samples, 20).outputs, tp.simulate(network, samples, 20).outputs)
