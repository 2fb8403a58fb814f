"""Poisson input: repeatable, independent of how samples are cut into blocks, and right on average."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import transpike as tp
from helpers import converted
from transpike.codings import CODINGS, Poisson
from transpike.network import forward
from transpike.ops import Identity
from transpike.simulation import Record

VALUES = torch.tensor([[0.0, 0.1, 0.5, 0.9, 1.0, 1.7, -0.3, -2.0]], dtype=torch.float64)


def spikes(op, x, steps, first_sample=0):
    state = op.start(x, first_sample)
    return torch.stack([op.step(state, x) for _ in range(steps)]), state


def coding(amplitude=1.0, **settings):
    return Poisson(torch.tensor(amplitude, dtype=torch.float64), **settings)


@given(st.integers(0, 1000), st.sampled_from([1.0, 0.4, 2.5]))
def test_mean_is_the_value_within_its_standard_error(seed, amplitude):
    """The mean over T steps has standard error sqrt(|x| (A - |x|) / T); 8 values x 25 runs exceed 5.5 of it with
    probability 200 x 4e-8 in all. Values beyond the amplitude are clipped to it; 0 and the amplitude are exact.
    """
    steps = 800
    sent, _ = spikes(coding(amplitude, seed=seed), VALUES, steps)
    wanted = VALUES.clamp(-amplitude, amplitude)
    error = (wanted.abs() * (amplitude - wanted.abs()) / steps).sqrt()
    assert ((sent.mean(0) - wanted).abs() <= 5.5 * error + 1e-12).all()


def test_spread_of_the_mean_is_what_the_theory_says():
    """The variance over 4,000 neurons, within 5 of its own standard errors sqrt(2 / 4,000)."""
    steps, value = 50, 0.3
    sent, _ = spikes(coding(), torch.full((1, 4000), value, dtype=torch.float64), steps)
    ratio = sent.mean(0).var().item() / (value * (1 - value) / steps)
    assert abs(ratio - 1) < 5 * (2 / 4000) ** 0.5


def test_spikes_have_one_height_the_sign_of_the_value_and_are_counted():
    sent, state = spikes(coding(1.5), VALUES, 40)
    assert set(sent.unique().tolist()) == {-1.5, 0.0, 1.5}
    assert (sent * VALUES >= 0).all()
    assert torch.equal(state.count, (sent != 0).sum(0).double())


def test_runs_are_repeatable_and_seeds_differ():
    x = torch.rand(4, 20, dtype=torch.float64)
    first, _ = spikes(coding(seed=1), x, 10)
    again, _ = spikes(coding(seed=1), x, 10)
    other, _ = spikes(coding(seed=2), x, 10)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_samples_lines_and_steps_are_independent():
    """Equal values do not fire together: not in another sample, nor on another line, nor at the next step."""
    x = torch.full((2, 2000), 0.5, dtype=torch.float64)
    sent, _ = spikes(coding(), x, 2)
    other, _ = spikes(coding(line=1), x, 2)
    pairs = [(sent[0, 0], sent[0, 1]), (sent[0, 0], sent[1, 0]), (sent[0, 0], other[0, 0])]
    for one, two in pairs:
        assert abs(torch.corrcoef(torch.stack([one, two]))[0, 1]) < 5 / 2000**0.5


def test_a_sample_fires_alike_wherever_its_block_begins():
    x = torch.rand(6, 20, dtype=torch.float64)
    whole, _ = spikes(coding(), x, 10)
    part, _ = spikes(coding(), x[4:], 10, first_sample=4)
    assert torch.equal(whole[:, 4:], part)


@pytest.mark.parametrize("block", [1, 2, 7])
def test_simulation_does_not_depend_on_the_blocks(block):
    inputs, network = converted("lenet", tp.recipes["rate"].poisson(seed=5))
    name = next(iter(network.inputs)) + ".spikes"
    record = Record(spikes=[name])
    whole = tp.simulate(network, inputs[0][:7], 8, record=record)
    parts = tp.simulate(network, inputs[0][:7], 8, record=record, block=block)
    assert torch.equal(parts.spikes[name], whole.spikes[name])
    torch.testing.assert_close(parts.outputs, whole.outputs, rtol=0, atol=1e-12)


def test_inputs_of_one_network_get_lines_and_amplitudes_of_their_own():
    inputs, network = converted("two-inputs", tp.recipes["rate"].poisson(seed=3))
    image, facts = network.having(Poisson)
    assert (image.op.seed, facts.op.seed) == (3, 3)
    assert image.op.line != facts.op.line
    assert [image.op.amplitude.item(), facts.op.amplitude.item()] == [x.max().item() for x in inputs]


def test_poisson_input_approaches_the_model():
    """The error of the answer falls as 1/sqrt(T): 4 times from 64 to 1,024 steps; half of that is asked for."""
    inputs, network = converted("mlp", tp.recipes["rate"].with_percentile(100).poisson())
    outputs = tp.simulate(network, inputs[0], 1024).outputs
    wanted = forward(network.analogue(), inputs)["output"]
    early, late = (float((outputs[t - 1] - wanted).square().mean().sqrt()) for t in (64, 1024))
    assert late < early / 2


def test_codings_are_the_identity_in_the_limit():
    assert (Poisson,) == CODINGS
    assert isinstance(coding().analogue(), Identity)
