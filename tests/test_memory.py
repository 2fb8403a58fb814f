"""A memory budget changes how many samples run at once, and nothing else."""

from __future__ import annotations

import pytest
import torch

import transpike as tp
from helpers import converted
from transpike.errors import ArgumentError
from transpike.simulation import Record, counting_nodes
from transpike.simulation.engines import StepwiseEngine, Task
from transpike.simulation.memory import BLOCK, answer_bytes, block_size, bytes_per_sample

PLENTY = 10**12
STEPS = 6


def run(memory, name="lenet", samples=9):
    inputs, network = converted(name, tp.recipes["rate"])
    record = Record(spikes=counting_nodes(network))
    sizes = []
    recording = tp.simulate(network, inputs[0][:samples], STEPS, record=record, memory=memory, progress=sizes.append)
    return recording, sizes


def need(name="lenet"):
    network = converted(name, tp.recipes["rate"])[1]
    return bytes_per_sample(network) + answer_bytes(network, STEPS)


@pytest.mark.parametrize(("samples_that_fit", "sizes"), [(1, [1] * 9), (2, [2, 2, 2, 2, 1]), (4.9, [4, 4, 1]), (9, [9])])
def test_budget_sets_the_block(samples_that_fit, sizes):
    _, ran = run(int(samples_that_fit * need()))
    assert ran == sizes


def test_a_large_budget_does_not_make_large_blocks():
    """A working set that stays in the cache is faster than one that fills the memory."""
    _, network = converted("lenet", tp.recipes["rate"])
    runner = StepwiseEngine().prepare(Task(network, 4))
    assert block_size(runner, network.device, PLENTY, None) == BLOCK["cpu"] == block_size(runner, network.device, None, None)
    assert block_size(runner, network.device, None, 500) == 500


def test_plenty_of_memory_equals_the_default_exactly():
    given, _ = run(PLENTY)
    default, _ = run(None)
    assert torch.equal(given.outputs, default.outputs)
    assert all(torch.equal(given.spikes[name], train) for name, train in default.spikes.items())
    assert all(torch.equal(given.spike_counts[name], count) for name, count in default.spike_counts.items())


@pytest.mark.parametrize("samples_that_fit", [1, 3])
def test_little_memory_gives_the_same_spikes(samples_that_fit):
    given, _ = run(samples_that_fit * need())
    default, _ = run(None)
    assert all(torch.equal(given.spikes[name], train) for name, train in default.spikes.items())
    torch.testing.assert_close(given.outputs, default.outputs, rtol=0, atol=1e-12)


def test_too_little_memory_is_refused():
    with pytest.raises(ArgumentError, match=r"Simulating one sample needs about 0\.\d MB, but the memory budget is 0\.0 MB"):
        run(need() - 1)


def test_answers_that_are_kept_for_every_step_take_part():
    """A map of answers at 1,000 steps outweighs the states of a small network: memory for ten of them takes fewer than ten."""
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.ReLU(), torch.nn.Conv2d(2, 8, 1)).eval()
    x = torch.rand(30, 1, 4, 4)
    network, sizes = tp.convert(model, torch.rand(100, 1, 4, 4)), []
    kept = 1000 * 8 * 16 * 4
    tp.simulate(network, x, 1000, memory=10 * 2 * kept, engine="stepwise", progress=sizes.append)
    assert 5 <= max(sizes) < 10
    assert answer_bytes(network, 1000) >= kept


def test_need_grows_with_the_network_and_the_precision():
    _, network = converted("lenet", tp.recipes["rate"])
    assert need("lenet") > need("mlp")
    assert bytes_per_sample(network.to(dtype=torch.float32)) * 2 == bytes_per_sample(network)


def test_need_covers_what_the_states_hold():
    """At least potential, count and last spikes of every neuron, in eight bytes each."""
    inputs, network = converted("resnet", tp.recipes["rate"])
    recording = tp.simulate(network, inputs[0][:1], 1, record=Record(counts=counting_nodes(network)))
    neurons = sum(count[0].numel() for count in recording.counts.values())
    assert bytes_per_sample(network) >= 3 * 8 * neurons
