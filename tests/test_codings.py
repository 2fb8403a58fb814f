"""Input codes: how their sampling error falls; random ones repeatable, independent of blocks, and right on average."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import transpike as tp
from helpers import converted
from transpike.codings import CODINGS, RATE_CODES, BiasOnce, DifferenceInput, Poisson, Recorded, Regular
from transpike.errors import ArgumentError
from transpike.network import forward
from transpike.ops import TRAITS, Identity
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


def test_codes_of_inputs_are_the_identity_in_the_limit():
    assert set(CODINGS) == {*RATE_CODES, Recorded, DifferenceInput, BiasOnce}
    assert all(isinstance(code.analogue(), Identity) for code in (coding(), Regular(), DifferenceInput()))
    assert {type(BiasOnce(torch.ones(1)).analogue()), type(Recorded().analogue())} <= TRAITS.keys()


@given(st.lists(st.integers(-1500, 1500), min_size=1, max_size=6), st.integers(1, 60))
def test_regular_spikes_are_the_nearest_count(numerators, steps):
    """Spikes in T steps = round(T |x| / A), halves upwards, exactly (multiples of 2^-10): the error is at most A / (2 T)."""
    x = torch.tensor([numerators], dtype=torch.float64) / 1024
    sent, state = spikes(Regular(torch.tensor(1.0, dtype=torch.float64)), x, steps)
    wanted = (steps * x.abs().clamp(max=1) + 0.5).floor()
    assert torch.equal(state.count, wanted)
    assert torch.equal(sent.sum(0), wanted * torch.sign(x))


@given(st.integers(1, 1024))
def test_regular_spikes_are_evenly_spaced(numerator):
    """Intervals between spikes differ by at most one step."""
    rate = numerator / 1024
    sent, _ = spikes(Regular(torch.tensor(1.0, dtype=torch.float64)), torch.tensor([[rate]], dtype=torch.float64), 200)
    gaps = sent[:, 0, 0].nonzero().flatten().diff()
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


def slope(code, lengths):
    """Return the exponent with which the root mean square error of the mean falls with the number of spikes."""
    x = torch.rand(1, 2000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    sent, _ = spikes(code, x, max(lengths))
    errors = torch.tensor([float((sent[:t].mean(0) - x).square().mean().sqrt()) for t in lengths])
    counts = torch.tensor([float((sent[:t] != 0).sum()) / x.numel() for t in lengths])
    return float(
        torch.linalg.lstsq(torch.stack([counts.log(), torch.ones(len(lengths))], 1), errors.log()[:, None]).solution[0]
    )


def test_sampling_error_falls_as_the_root_for_poisson_and_as_the_number_for_regular_spikes():
    """Exponents -1/2 and -1. The error over 2,000 values is known to 1 part in 60, over a factor of 64 in length: 0.02."""
    lengths = (16, 32, 64, 128, 256, 512, 1024)
    assert abs(slope(coding(), lengths) + 1 / 2) < 0.03
    assert abs(slope(Regular(torch.tensor(1.0, dtype=torch.float64)), lengths) + 1) < 0.03


def test_regular_input_approaches_the_model_faster_than_poisson_input():
    """Its error falls as 1/T: 8 times from 64 to 512 steps; half of that is asked for. Poisson input gains 2.8 times."""
    inputs, network = converted("mlp", tp.recipes["rate"].with_percentile(100).with_input(Regular()))
    outputs = tp.simulate(network, inputs[0], 512).outputs
    wanted = forward(network.analogue(), inputs)["output"]
    early, late = (float((outputs[t - 1] - wanted).square().mean().sqrt()) for t in (64, 512))
    assert late < early / 4


def test_density_is_the_mean_of_runs_with_consecutive_seeds():
    inputs, network = converted("lenet", tp.recipes["rate"].poisson(seed=5))
    name = next(iter(network.inputs)) + ".spikes"
    mean = tp.density(network, inputs[0][:4], 6, runs=3, record=Record(spikes=[name]))
    runs = []
    for seed in (5, 6, 7):
        _, one = converted("lenet", tp.recipes["rate"].poisson(seed=seed))
        runs.append(tp.simulate(one, inputs[0][:4], 6, record=Record(spikes=[name])))
    outputs = torch.stack([run.outputs for run in runs])
    torch.testing.assert_close(mean.outputs, outputs.mean(0), rtol=0, atol=1e-12)
    torch.testing.assert_close(mean.standard_error, outputs.std(0) / 3**0.5, rtol=1e-9, atol=1e-12)
    shares = torch.stack([run.spikes[name].double() for run in runs]).mean(0)
    torch.testing.assert_close(mean.spikes[name], shares, rtol=0, atol=1e-12)
    assert (mean.runs, mean.time_steps) == (3, 6)
    counts = torch.stack([run.spike_counts[name].double() for run in runs]).mean(0)
    torch.testing.assert_close(mean.spike_counts[name], counts, rtol=0, atol=1e-9)


def test_standard_error_tells_how_far_the_mean_is_off():
    """A linear network: the mean answer is the model's, and its t-scores have variance 15/13 for 16 runs.

    Of 200 samples, so that the mean square of 200 to 1,200 scores is within 5 sqrt(2.6 / 200) = 0.57 of that.
    """
    model = torch.nn.Sequential(torch.nn.Linear(16, 6)).double().eval()
    x = torch.rand(200, 16, dtype=torch.float64)
    mean = tp.density(tp.convert(model, x, tp.recipes["rate"].poisson()), x, 20, runs=16)
    with torch.inference_mode():
        scores = (mean.outputs[-1] - model(x)) / mean.standard_error[-1]
    assert scores.square().mean().item() == pytest.approx(15 / 13, abs=0.57)


def test_density_of_several_outputs_has_their_keys():
    inputs, network = converted("outputs-dict", tp.recipes["rate"].poisson())
    mean = tp.density(network, tuple(x[:2] for x in inputs), 3, runs=2)
    assert mean.outputs.keys() == mean.standard_error.keys() == network.outputs.keys()


@pytest.mark.parametrize(
    ("recipe", "runs", "record", "words"),
    [
        (tp.recipes["rate"], 4, None, "no random part, so every run is the same"),
        (tp.recipes["rate"].with_input(Regular()), 4, None, "no random part"),
        (tp.recipes["rate"].poisson(), 1, None, "runs must be a whole number of at least 2, not 1"),
        (tp.recipes["rate"].poisson(), 2, Record(counts=["1"]), "density keeps spikes only"),
    ],
)
def test_density_refuses_what_has_no_spread(recipe, runs, record, words):
    inputs, network = converted("mlp", recipe)
    with pytest.raises(ArgumentError, match=words):
        tp.density(network, inputs[0], 2, runs, record=record)
