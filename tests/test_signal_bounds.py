"""Signal encodings, one by one: numbers of spikes, how errors fall, bounds that hold under a condition, optimality."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from test_signal_codes import QUICK, SHORT, waves
from transpike.codings import (
    BSA,
    HSA,
    Amplitude,
    BinaryHalves,
    BinaryPresence,
    Burst,
    DensityRate,
    FirstSpikeInverse,
    GAGamma,
    InterSpikeInterval,
    ModifiedHSA,
    MovingWindow,
    PoissonRate,
    PopulationRate,
    Regular,
    RegularRate,
    SparseDistributed,
    SpikeTrains,
    StepForward,
    ThresholdBased,
    TuningCurves,
    gamma_kernel,
    raised_cosine,
)

GRID = torch.arange(1025, dtype=torch.float64) / 1024


def random(*shape):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def rms(values):
    return float(values.square().mean().sqrt())


def exponent(sizes, errors):
    """Return the exponent with which errors fall with sizes."""
    x, y = torch.tensor(sizes).log(), torch.tensor(errors).log()
    return float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())


@pytest.mark.parametrize("steps", [1, 2, 7, 32, 50])
def test_regular_rate_sends_the_nearest_count(steps):
    """Exactly, halves upwards: multiples of 2^-10 have no rounding. The spikes are those of the input code `Regular`."""
    trains = RegularRate(time_steps=steps).encode(GRID)
    assert torch.equal(trains.counts(), (steps * GRID + 0.5).floor().long())
    op = Regular(torch.tensor(1.0, dtype=torch.float64))
    state = op.start(GRID[None])
    assert torch.equal(torch.stack([op.step(state, GRID[None])[0] for _ in range(steps)]), trains.spikes.double())


@pytest.mark.parametrize(("make", "wanted"), [(RegularRate, -1.0), (PoissonRate, -1 / 2)])
def test_the_error_falls_with_the_number_of_spikes_or_with_its_root(make, wanted):
    """Over 2,000 values an error is known to 1 part in 60, so over a factor of 32 in length the exponent to 0.02."""
    x, lengths = random(2000), (16, 32, 64, 128, 256, 512)
    coded = [make(time_steps=t) for t in lengths]
    trains = [code.encode(x) for code in coded]
    errors = [rms(code.decode(train) - x) for code, train in zip(coded, trains, strict=True)]
    assert abs(exponent([float(train.counts().double().mean()) for train in trains], errors) - wanted) < 0.03


@pytest.mark.parametrize("value", [0.1, 0.5, 0.9])
def test_the_spread_of_poisson_rates_is_as_stated(value):
    """The variance over 4,000 values, within 5 of its own standard errors sqrt(2 / 4,000); the mean within 5 as well."""
    code, x = PoissonRate(time_steps=40), torch.full((4000,), value)
    decoded, spread = code.decode(code.encode(x)), float(code.bound(x).spread[0])
    assert abs(float(decoded.var()) / spread**2 - 1) < 5 * (2 / 4000) ** 0.5
    assert abs(float(decoded.mean()) - value) < 5 * spread / 4000**0.5


def test_random_codes_do_not_depend_on_chunks():
    x = random(9, 4)
    whole = PoissonRate(time_steps=6, seed=3).encode(x).spikes
    assert torch.equal(whole[:, 5:], PoissonRate(time_steps=6, seed=3, first_sample=5).encode(x[5:]).spikes)
    assert not torch.equal(whole, PoissonRate(time_steps=6, seed=4).encode(x).spikes)
    runs = DensityRate(runs=9, seed=3).encode(x).spikes
    assert torch.equal(runs[..., 5:], DensityRate(runs=4, seed=3, first_run=5).encode(x).spikes)
    assert not torch.equal(runs, DensityRate(runs=9, seed=4).encode(x).spikes)


def test_density_falls_with_the_root_of_the_runs_and_of_the_window():
    """As above, 1,600 values: to 0.03. A window helps where the signal stays."""
    x = random(400, 1).expand(400, 4).reshape(-1)
    runs = (10, 20, 40, 80, 160)
    errors = [rms(DensityRate(runs=k).decode(DensityRate(runs=k).encode(x)) - x) for k in runs]
    assert abs(exponent([float(k) for k in runs], errors) + 1 / 2) < 0.04
    wide = DensityRate(runs=40, window=4)
    assert rms(wide.decode(wide.encode(x)) - x) == pytest.approx(errors[2] / 2, rel=0.1)


@given(waves(), st.integers(1, 30))
def test_population_rate_spreads_its_spikes_evenly(wave, neurons):
    spikes = PopulationRate(neurons=neurons).encode(wave).spikes
    assert torch.equal(spikes.sum(1), (wave * neurons + 0.5).floor().long())
    counts = spikes.sum(0)
    assert counts.max() - counts.min() <= 1


def test_decoders_of_tuning_curves_are_the_best():
    """Any other decoders raise what they minimise: its gradient is 0."""
    code = TuningCurves(neurons=9, time_steps=20)
    points = torch.linspace(0, 1, 1001, dtype=torch.float64)
    decoders = code.decoders().requires_grad_()
    loss = (points - code.activities(points) @ decoders).square().mean() + decoders.square().sum() / (12 * 20**2)
    loss.backward()
    assert decoders.grad.abs().max() < 1e-12


def test_tuning_curves_gain_with_time():
    bounds = [float(TuningCurves(time_steps=t).bound(torch.zeros(1)).exact) for t in (8, 32, 128, 512)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] < bounds[0] / 4


@given(waves())
def test_first_spikes_come_earlier_for_larger_values(wave):
    code = FirstSpikeInverse(shortest=4, time_steps=40)
    trains = code.encode(wave)
    assert torch.equal(trains.counts(), (wave >= 4 / 40.5).long())
    fired = wave[trains.counts() > 0]
    delays = trains.spikes[:, trains.counts() > 0].argmax(0) + 1
    assert (delays[fired.argsort(descending=True)].diff() >= 0).all()
    assert (delays - 4 / fired).abs().le(0.5 + 1e-12).all()


@given(waves(), st.integers(1, 12))
def test_binary_words_have_the_spikes_of_their_ones(wave, bits):
    ones = [math.floor(x * (2**bits - 1) + 0.5).bit_count() for x in wave.tolist()]
    assert BinaryPresence(bits=bits).encode(wave).counts().tolist() == ones
    assert (BinaryHalves(bits=bits).encode(wave).counts() == bits).all()


@given(st.floats(0, 1), st.integers(1, 6), st.integers(1, 5), st.integers(1, 8))
def test_intervals_are_even(value, intervals, shortest, spread):
    code = InterSpikeInterval(intervals=intervals, shortest=shortest, longest=shortest + spread)
    gaps = code.encode(torch.tensor([value])).spikes[:, 0].nonzero().flatten().diff()
    assert len(gaps) == intervals
    assert gaps.max() - gaps.min() <= 1
    assert shortest <= gaps.min() <= gaps.max() <= shortest + spread


@given(st.floats(0, 1), st.integers(2, 9))
def test_bursts_have_number_and_interval_as_stated(value, most):
    code = Burst(most=most, shortest=2, longest=7)
    steps = code.encode(torch.tensor([value], dtype=torch.float64)).spikes[:, 0].nonzero().flatten()
    assert len(steps) == math.ceil(most * value)
    assert set(steps.diff().tolist()) <= {math.ceil(7 - 5 * value)}


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 3))
def test_sparse_codes_share_neurons_by_nearness_and_bear_a_loss(one, two, lost):
    code = SparseDistributed(neurons=32, active=4)
    spikes = code.encode(torch.tensor([one, two], dtype=torch.float64)).spikes
    places = [math.floor(28 * x + 0.5) for x in (one, two)]
    assert int((spikes[0, 0] & spikes[0, 1]).sum()) == max(0, 4 - abs(places[0] - places[1]))
    spikes[0, 0, places[0] + lost] = 0
    read = code.decode(SpikeTrains(spikes))
    assert abs(float(read[0]) - one) <= 1.5 / 28 + 1e-12


@given(waves())
def test_amplitude_fires_when_the_level_changes_and_then_alone(wave):
    spikes = Amplitude(neurons=8).encode(wave.repeat_interleave(2)).spikes
    assert spikes.sum(1).max() <= 1
    assert int(spikes[1::2].sum()) == 0  # the second of two equal values


def test_hough_never_exceeds_the_signal_and_is_the_strict_case_of_the_modified():
    wave, code = random(24, 400), HSA(kernel=SHORT)
    trains = code.encode(wave)
    assert trains.counts().sum() > 400
    assert (code.decode(trains) <= wave + 1e-12).all()
    assert torch.equal(trains.spikes, ModifiedHSA(kernel=SHORT, threshold=0.0).encode(wave).spikes)


@given(waves(24), st.floats(0, 0.9))
def test_each_spike_of_bsa_lowers_the_error_by_its_threshold(wave, threshold):
    code = BSA(kernel=SHORT, threshold=threshold)
    trains = code.encode(wave)
    error = (wave - code.decode(trains)).abs().sum()
    assert error <= wave.sum() - threshold * trains.counts() + 1e-9


def ratio(code, wave):
    """Return signal to noise in dB, without the rims that the filter cannot reach."""
    inner = slice(len(code.kernel), -len(code.kernel))
    noise = (wave - code.decode(code.encode(wave)))[inner]
    return 10 * math.log10(float(wave[inner].var() / noise.square().mean()))


@pytest.mark.parametrize("period", [48, 64, 100])
def test_filter_codes_give_a_sine_back(period):
    """Signal to noise, asked for with 2 dB less than was measured."""
    wave = 0.5 + 0.4 * torch.sin(2 * math.pi * torch.arange(160, dtype=torch.float64) / period)
    ratios = {type(code).__name__: round(ratio(code, wave), 1) for code in (BSA(), ModifiedHSA(), HSA())}
    assert ratios["BSA"] > 23
    assert ratios["ModifiedHSA"] > 14.5
    assert ratios["HSA"] > 10


def test_kernels_sum_to_one():
    assert sum(raised_cosine(9)) == pytest.approx(1, abs=1e-12)
    assert sum(gamma_kernel(9, shape=3, scale=1.5)) == pytest.approx(1, abs=1e-12)


@settings(max_examples=8)
@given(waves(9), st.sampled_from([0.0, 0.02, 0.3]))
def test_the_optimiser_finds_the_best_of_all_spike_trains(wave, price):
    code = GAGamma(kernel=SHORT, price=price, gap=0.0)
    found = code.solve(wave)
    every = torch.tensor(list(itertools.product((0.0, 1.0), repeat=9)), dtype=torch.float64).T
    best = code.cost(every, wave[:, None].expand(9, 512)).min()
    assert float(found.objective) == pytest.approx(float(best), abs=1e-6)
    assert float(found.gap) == pytest.approx(0, abs=1e-5)
    assert float(found.objective) == pytest.approx(float(code.cost(found.trains.spikes.double(), wave)), abs=1e-12)


@settings(max_examples=8)
@given(waves(14), st.floats(0, 0.9))
def test_the_optimiser_is_never_worse_than_the_rules(wave, threshold):
    """HiGHS is optimal to 1e-6 of the objective."""
    objective = float(QUICK.solve(wave).objective)
    for rule in (HSA(kernel=SHORT), BSA(kernel=SHORT, threshold=threshold), ModifiedHSA(kernel=SHORT, threshold=threshold)):
        assert objective <= float(QUICK.cost(rule.encode(wave).spikes.double(), wave)) + 1e-6


def test_the_optimiser_says_how_far_it_came_when_time_is_short():
    wave = 0.5 + 0.4 * torch.sin(torch.arange(60.0).double() / 5)
    found = GAGamma(time_limit=1e-3, gap=0.0).solve(torch.stack([wave, 1 - wave], 1))
    assert (found.gap > 0.05).all()
    assert (found.limit <= found.objective).all()


def test_without_a_solution_in_time_the_best_rule_is_taken(monkeypatch):
    monkeypatch.setattr(GAGamma, "optimum", lambda self, line: (torch.zeros(len(line), dtype=torch.float64), 0.0))
    waves, code = random(40, 50), GAGamma(kernel=SHORT)
    found = code.solve(waves)
    costs = [code.cost(rule.encode(waves).spikes.double(), waves) for rule in code.rules()]
    assert torch.equal(found.objective, torch.stack(costs).amin(0))
    assert torch.equal(found.objective, code.cost(found.trains.spikes.double(), waves))
    assert (found.gap == 1).all()


def test_dearer_spikes_are_fewer():
    wave = random(14)
    counts = [int(GAGamma(kernel=SHORT, price=p, gap=0.0).solve(wave).trains.counts()) for p in (0.0, 0.1, 0.4, 1.0)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1] == 0


def test_the_threshold_of_tbr_is_mean_and_spread_of_the_differences():
    wave = random(40)
    trains = ThresholdBased(factor=0.7).encode(wave)
    steps = np.diff(wave.numpy())
    height = steps.mean() + 0.7 * steps.std()
    assert float(trains.height) == pytest.approx(height, abs=1e-12)
    assert trains.spikes.tolist() == [0, *np.where(steps > height, 1, np.where(steps < -height, -1, 0))]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40), st.floats(0.01, 2), st.floats(-50, 50))
def test_step_forward_stays_within_its_threshold_on_slow_signals(changes, threshold, start):
    wave = start + threshold * torch.tensor([0.0, *changes], dtype=torch.float64).cumsum(0)
    code = StepForward(threshold=threshold)
    assert (code.decode(code.encode(wave)) - wave).abs().max() <= threshold + 1e-9


def test_step_forward_falls_behind_fast_signals_and_catches_up():
    """After a jump of 1 with steps of 1/8 it takes 7 spikes to come within 1/8; the bound says so at every step."""
    wave = torch.tensor([0.0] + [1.0] * 10, dtype=torch.float64)
    code = StepForward(threshold=0.125)
    trains = code.encode(wave)
    errors = (code.decode(trains) - wave).abs()
    assert int(trains.counts()) == 7
    assert errors.tolist() == code.bound(wave).exact.tolist()


@pytest.mark.parametrize("window", [1, 2, 5])
def test_moving_window_compares_with_the_mean_of_the_last_values(window):
    lines = random(12, 100)
    spikes = MovingWindow(threshold=0.2, window=window).encode(lines).spikes
    for values, sent in zip(lines.T.tolist(), spikes.T.tolist(), strict=True):
        bases = [values[t - window : t] if t >= window else values[: window + 1] for t in range(12)]
        excess = [value - sum(base) / len(base) for value, base in zip(values, bases, strict=True)]
        assert sent == [0 if abs(one) <= 0.2 else int(math.copysign(1, one)) for one in excess]
