"""Neuron models against closed forms, published values and each other: laws over the list of all models."""

from __future__ import annotations

import dataclasses
import math
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from transpike.errors import ArgumentError
from transpike.neurons.models import (
    IF,
    IZHIKEVICH,
    LIF,
    METHODS,
    MODELS,
    QIF,
    AdEx,
    Euler,
    Exact,
    FitzHughNagumo,
    HindmarshRose,
    HodgkinHuxley,
    Izhikevich,
    MihalasNiebur,
    Model,
    MorrisLecar,
    Pulses,
    Quartic,
    Ramp,
    ResonateAndFire,
    RungeKutta4,
    Step,
    read_current,
    step_errors,
    strong_then_weak,
    three_pulses,
)

ROOT = Path(__file__).parent.parent
ALL = [pytest.param(kind(), id=name) for name, kind in MODELS.items()]
RESETTING = [case for case in ALL if case.values[0].resets]
LINEAR = [case for case in ALL if case.values[0].linear]
# model -> (a current that it does not answer, one that it fires under, for how long, a step short enough to show the order)
REGIMES = {
    "Hodgkin-Huxley": (2.0, 12.0, 60.0, 0.01),
    "Morris-Lecar": (60.0, 120.0, 400.0, 0.1),
    "FitzHugh-Nagumo": (0.1, 0.5, 150.0, 0.04),
    "Hindmarsh-Rose": (0.2, 2.0, 300.0, 0.02),
    "Izhikevich": (2.0, 10.0, 200.0, 0.04),
    "Mihalas-Niebur": (0.9, 1.5, 200.0, 0.1),
    "quartic": (0.1, 1.0, 20.0, 0.005),
    "IF": (0.0, 250.0, 100.0, 0.1),
    "LIF": (190.0, 300.0, 100.0, 0.1),
    "QIF": (60.0, 100.0, 200.0, 0.05),
    "AdEx": (500.0, 1000.0, 200.0, 0.05),
    "resonate-and-fire": (5.0, 12.0, 3.0, 0.001),
}


def stability(model, current):
    """The largest real part of the eigenvalues at rest: above 0, rest is unstable."""
    x = np.array(model.rest(current))
    widths = 1e-5 * np.maximum(1, np.abs(x))
    columns = [
        (np.array(model.derivative((x + w * e).tolist(), current)) - np.array(model.derivative((x - w * e).tolist(), current)))
        / (2 * w)
        for e, w in zip(np.eye(len(x)), widths, strict=True)
    ]
    return np.linalg.eigvals(np.stack(columns, 1)).real.max()


def spikes(model, amplitude, duration, **changes):
    return len(model.solve(Step(0.0, duration, amplitude), duration, **changes).spikes)


def test_every_model_is_in_the_table():
    kinds = {kind for kind in Model.__subclasses__() if kind.__module__.startswith("transpike.")}
    assert kinds == set(MODELS.values())
    assert {case.values[0].title for case in ALL} == set(REGIMES)


@pytest.mark.parametrize("model", ALL)
def test_rest_stays_and_is_silent(model):
    course = model.solve(Step(0.0, math.inf, 0.0), model.duration)
    assert len(course.spikes) == 0
    np.testing.assert_allclose(course.states.T, np.broadcast_to(model.rest(), course.states.T.shape), rtol=0, atol=1e-5)


@pytest.mark.parametrize("model", ALL)
def test_it_fires_above_its_rheobase_and_not_below(model):
    below, above, duration, _ = REGIMES[model.title]
    assert spikes(model, below, duration) == 0
    assert spikes(model, above, duration) >= 2


@pytest.mark.parametrize("model", ALL)
def test_more_current_does_not_mean_fewer_spikes(model):
    duration, factors = REGIMES[model.title][2], (1.0, 1.5) if model.title == "Hindmarsh-Rose" else (1.0, 1.4)
    counts = [spikes(model, REGIMES[model.title][1] * factor, duration, rtol=1e-6) for factor in factors]
    assert counts == sorted(counts)


@pytest.mark.parametrize("model", ALL)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_fixed_steps_approach_the_solution_with_their_order(model, method):
    """On the way to the first spike; a fitted exponent is within a fifth of the order once steps are short."""
    if not method.order and not model.linear:
        with pytest.raises(ArgumentError, match="is not linear: there is no exact step"):
            method.prepared(model, 0.1)
        return
    _, amplitude, duration, _ = REGIMES[model.title]
    current = Step(0.0, math.inf, amplitude)
    part = 0.8 * model.solve(current, duration / 2, rtol=1e-5).spikes[0]
    coarsest = 64 if model.title == "Hindmarsh-Rose" else 16
    dts = [part / (coarsest * count * (16 if method.order == 1 else 1)) for count in (1, 2, 4)]
    course, errors = step_errors(model, current, part, dts, (method,))
    sizes = [each.error for each in errors]
    floor = 1e-11 * np.abs(course.voltage).max()
    if not method.order or model.title == "IF":  # Euler's method is exact where nothing leaks
        assert max(sizes) < floor
        return
    above = [size for size in sizes if size > floor]
    assert len(above) > 1
    assert math.log2(above[-2] / above[-1]) == pytest.approx(method.order, rel=0.2)


@pytest.mark.parametrize("model", RESETTING)
def test_spikes_on_the_clock_are_late_by_the_order_of_a_step(model):
    _, amplitude, duration, dt = REGIMES[model.title]
    solution = model.solve(Step(0.0, math.inf, amplitude), duration / 2)
    found = model.run(Step(0.0, math.inf, amplitude).sampled(duration / 2, dt), dt).spikes()
    n = min(len(found), len(solution.spikes))
    assert n >= 1
    assert abs(len(found) - len(solution.spikes)) <= 1
    assert np.abs(found.numpy()[:n] - solution.spikes[:n]).max() <= 4 * dt * n  # each reset that waits shifts all that follow


@pytest.mark.parametrize("model", ALL)
@settings(max_examples=2, deadline=None)
@given(st.lists(st.floats(0.5, 1.2), min_size=2, max_size=3))
def test_a_batch_is_its_neurons_one_by_one(model, factors):
    _, amplitude, _, dt = REGIMES[model.title]
    currents = amplitude * torch.tensor(factors, dtype=torch.float64).expand(80, -1)
    whole = model.run(currents, dt)
    for k in range(len(factors)):
        alone = model.run(currents[:, k : k + 1], dt)
        torch.testing.assert_close(whole.states[:, :, k : k + 1], alone.states, rtol=1e-12, atol=1e-12)
        assert torch.equal(whole.fired[:, k], alone.fired[:, 0])


@pytest.mark.parametrize("model", ALL)
def test_a_run_is_its_steps_and_keeps_shapes_and_kinds_of_numbers(model):
    _, amplitude, _, dt = REGIMES[model.title]
    currents = torch.full((20, 2, 3), amplitude, dtype=torch.float32)
    whole = model.run(currents, dt, Euler())
    cells = model.start(currents[0])
    for current in currents:
        cells, _ = model.step(cells, current, dt)
    assert torch.equal(cells.variables, whole.states[-1])
    assert whole.states.shape == (21, len(model.variables), 2, 3)
    assert whole.fired.shape == (20, 2, 3)
    assert whole.states.dtype == torch.float32
    name = next(iter(model.variables))
    assert whole[name].shape == (21, 2, 3)


@pytest.mark.parametrize("model", ALL)
def test_numpy_and_torch_compute_the_same_derivative(model):
    state = np.array(model.rest()) + 0.01
    scalar = model.derivative(state.tolist(), 1.5)
    column = model.derivative(state[:, None], np.array([1.5]))
    tensor = model.derivative(torch.tensor(state), torch.tensor(1.5, dtype=torch.float64))
    np.testing.assert_allclose([float(np.squeeze(x)) for x in column], scalar, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose([float(x) for x in tensor], scalar, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("model", ALL)
def test_a_course_can_be_read_anywhere_and_starts_where_it_is_told(model):
    current = Step(0.0, math.inf, REGIMES[model.title][1])
    duration = REGIMES[model.title][2] / 5
    course = model.solve(current, duration)
    inner = course.times[1:-1:7]
    inner = np.array([t for t in inner if np.sum(course.times == t) == 1])  # not where it jumps
    places = np.searchsorted(course.times, inner)
    np.testing.assert_allclose(course.at(inner), course.states[:, places], rtol=1e-9, atol=1e-9)
    middle = 0.37 * duration
    later = model.solve(current, duration - middle, state=course.at([middle])[:, 0])
    np.testing.assert_allclose(later.states[:, -1], course.states[:, -1], rtol=1e-3, atol=1e-3)


# Closed forms


@settings(max_examples=4, deadline=None)
@given(st.floats(1.05, 6.0), st.sampled_from([0.0, 2.0, 5.0]))
def test_lif_has_its_rate_and_first_spike(factor, refractory):
    cell = LIF(refractory=refractory)
    current = factor * cell.rheobase
    found = cell.solve(Step(0.0, math.inf, current), 3.5 / cell.rate(current)).spikes
    tau, end = cell.capacitance / cell.conductance, cell.resting + current / cell.conductance
    assert found[0] == pytest.approx(tau * math.log((end - cell.resting) / (end - cell.threshold)), abs=1e-5)
    np.testing.assert_allclose(np.diff(found), 1 / cell.rate(current), rtol=0, atol=1e-5)
    assert cell.first_spike(current) == pytest.approx(found[0], abs=1e-5)


def test_lif_below_its_rheobase_settles_exponentially():
    cell = LIF()
    course = cell.solve(Step(0.0, math.inf, 150.0), 100.0)
    np.testing.assert_allclose(course["V"], -55 - 15 * np.exp(-course.times / 20), rtol=0, atol=1e-6)
    assert cell.rate(150.0) == 0.0
    assert cell.first_spike(150.0) == math.inf


@settings(max_examples=4, deadline=None)
@given(st.floats(10.0, 2000.0))
def test_if_counts_charge(current):
    cell = IF()
    found = cell.solve(Step(0.0, math.inf, current), 4.5 / cell.rate(current)).spikes
    np.testing.assert_allclose(found, np.arange(1, 5) / cell.rate(current), rtol=1e-6)


@settings(max_examples=4, deadline=None)
@given(st.floats(1.1, 10.0))
def test_qif_has_its_closed_form_and_the_law_of_the_circle(factor):
    cell = QIF()
    current = factor * cell.rheobase
    np.testing.assert_allclose(
        cell.solve(Step(0.0, math.inf, current), 2.5 / cell.rate(current)).intervals, 1 / cell.rate(current), atol=1e-5
    )
    wide = dataclasses.replace(cell, peak=1e7, after=-1e7)
    assert wide.rate(current) == pytest.approx(cell.circle_rate(current), rel=1e-4)
    assert cell.rate(cell.rheobase) == cell.circle_rate(cell.rheobase) == 0.0


def test_resonate_and_fire_swings_with_its_period_and_damping():
    """From (0, y0): y(t) = y0 e^(b t) cos(omega t)."""
    neuron = ResonateAndFire(b=-0.7, omega=8.0)
    course = neuron.solve(Step(0.0, 1.0, 0.0), 4 * neuron.period, state=(0.0, 0.9))
    np.testing.assert_allclose(course["y"], 0.9 * np.exp(-0.7 * course.times) * np.cos(8 * course.times), atol=1e-7)


def test_resonate_and_fire_leaves_its_threshold_before_it_fires_again():
    """A strong current makes it fire at once again and again, each time after a dip."""
    found = ResonateAndFire().solve(Step(0.0, math.inf, 60.0), 0.5)
    assert len(found.spikes) > 3
    assert found.intervals.min() > 1e-4


@pytest.mark.parametrize("model", LINEAR)
def test_exact_steps_compose(model):
    """Two steps of dt/2 are one of dt where nothing fires."""
    current = torch.full((8, 1), 0.5 * REGIMES[model.title][1], dtype=torch.float64)
    dt = REGIMES[model.title][3]
    long = model.run(current, dt, Exact()).states[-1]
    short = model.run(current.repeat(2, 1), dt / 2, Exact()).states[-1]
    torch.testing.assert_close(long, short, rtol=1e-12, atol=1e-12)


# Published values


def test_rest_of_hodgkin_and_huxley_loses_and_regains_stability_where_published():
    """9.78 and 154.5 µA/cm²: Hassard 1978, Rinzel and Miller 1980."""
    axon = HodgkinHuxley()
    assert axon.rest()[0] == pytest.approx(-65, abs=0.01)
    assert brentq(lambda current: stability(axon, current), 8, 12) == pytest.approx(9.78, abs=0.01)
    assert brentq(lambda current: stability(axon, current), 140, 170) == pytest.approx(154.5, abs=0.1)


def test_a_shock_of_seven_millivolt_makes_the_axon_fire_and_one_of_six_does_not():
    """Figure 12 of Hodgkin and Huxley 1952, at 6 degrees: initial depolarisations of 90, 15, 7 and 6 mV."""
    axon = HodgkinHuxley(temperature=6.0)
    courses = {shock: axon.solve(Pulses((0.0,), shock), 12.0) for shock in (90.0, 15.0, 7.0, 6.0)}
    assert [len(course.spikes) for course in courses.values()] == [1, 1, 1, 0]
    heights = [course["V"].max() - axon.rest()[0] for course in courses.values()]
    assert heights[:3] == sorted(heights[:3], reverse=True)
    assert all(95 < height < 115 for height in heights[:3])  # some 100 mV and more in the figure


def test_the_axon_fires_once_before_it_fires_on():
    """Onset of repetitive firing at 6.26 µA/cm² (Rinzel and Miller 1980); one spike at least from about 2.2 on."""
    counts = [spikes(HodgkinHuxley(), current, 300.0, rtol=1e-6) for current in (2.0, 3.0, 6.0, 6.5)]
    assert counts[0] == 0
    assert counts[1] == 1
    assert counts[2] <= 3
    assert counts[3] >= 14


def test_heat_makes_the_axon_quicker_and_its_spikes_lower():
    cold, warm = (HodgkinHuxley(temperature=t).solve(Pulses((0.0,), 20.0), 15.0) for t in (6.3, 18.5))
    assert warm["V"].max() < cold["V"].max()
    assert np.sum(np.diff(warm.times) * (warm["V"][1:] > -40)) < 0.5 * np.sum(np.diff(cold.times) * (cold["V"][1:] > -40))


def test_morris_and_lecar_change_where_published():
    """94 and 212 µA/cm², and 40 for the other set: Ermentrout and Terman 2010, chapter 3."""
    fibre = MorrisLecar()
    assert brentq(lambda current: stability(fibre, current), 80, 110) == pytest.approx(93.86, abs=0.05)
    assert brentq(lambda current: stability(fibre, current), 200, 230) == pytest.approx(212.0, abs=0.1)
    slow = MorrisLecar(calcium=4.0, v3=12.0, v4=17.4, phi=1 / 15)
    assert spikes(slow, 39.5, 1000.0, rtol=1e-6) == 0
    assert 1 <= spikes(slow, 40.5, 1000.0, rtol=1e-6) < spikes(slow, 45.0, 1000.0, rtol=1e-6)


def test_fitzhugh_and_nagumo_oscillate_between_two_currents():
    """v^2 = 1 - epsilon b at the ends: I = w - v + v^3 / 3 with w = (v + a) / b."""
    neuron = FitzHughNagumo()
    for sign, low, high in ((-1, 0.2, 0.5), (1, 1.2, 1.6)):
        v = sign * math.sqrt(1 - neuron.epsilon * neuron.b)
        expected = (v + neuron.a) / neuron.b - v + v**3 / 3
        assert brentq(lambda current: stability(neuron, current), low, high) == pytest.approx(expected, abs=1e-6)


def test_adex_and_quartic_lose_rest_where_theory_says():
    cell, quartic = AdEx(), Quartic()
    assert brentq(lambda i: stability(cell, i), 500, 627.25) == pytest.approx(cell.rheobase(), abs=1e-4)
    assert brentq(lambda i: stability(quartic, i), 0, 0.16) == pytest.approx(quartic.hopf(), abs=1e-6)
    saddle = AdEx(a=0.5)  # a / g below tau_m / tau_w: rest vanishes instead
    assert stability(saddle, saddle.rheobase() - 0.01) < 0
    with pytest.raises(ArgumentError, match="has no rest near"):
        saddle.rest(saddle.rheobase() + 1.0)
    with pytest.raises(ArgumentError, match="needs b > a, or rest vanishes"):
        Quartic(b=0.5).hopf()


def test_adex_adapts():
    found = AdEx().solve(Step(0.0, math.inf, 1000.0), 300.0).intervals
    assert found[-1] > 2 * found[0]


def test_types_of_cortical_cells_fire_in_their_patterns():
    """Izhikevich 2003, figure 2, under the step of 10 that it shows."""
    found = {name: cell.solve(Step(0.0, math.inf, 10.0), 300.0, rtol=1e-6).intervals for name, cell in IZHIKEVICH.items()}
    regular, fast = found["regular spiking"], found["fast spiking"]
    assert regular[-1] > 2 * regular[0]  # adapts
    np.testing.assert_allclose(np.diff(regular[-3:]), 0, atol=1)
    assert len(fast) > 3 * len(regular)
    np.testing.assert_allclose(fast[5:], fast[-1], rtol=0.02)  # does not adapt
    bursting = found["intrinsically bursting"]
    assert bursting[0] < 0.3 * bursting[-1]  # a burst, then single spikes
    np.testing.assert_allclose(bursting[-3:], bursting[-1], rtol=0.1)
    chattering = found["chattering"]
    pauses = chattering > 5 * chattering.min()
    assert pauses.sum() >= 3  # bursts again and again
    assert (~pauses).sum() > pauses.sum()
    low = found["low-threshold spiking"]
    assert low[0] < 0.5 * low[-1]


def test_thalamo_cortical_cells_rebound():
    """Izhikevich 2003, figure 2: a cell that was held down answers its release with spikes."""
    cell = IZHIKEVICH["thalamo-cortical"]
    course = cell.solve(Step(10.0, 110.0, -10.0), 200.0)
    assert len(course.spikes) >= 1
    assert course.spikes[0] > 110.0


def test_hindmarsh_and_rose_burst():
    found = HindmarshRose().solve(Step(0.0, math.inf, 2.0), 1000.0).intervals
    pauses = found[found > 5 * found.min()]
    assert len(pauses) >= 3


def test_mihalas_and_niebur_fire_in_their_patterns():
    """Their figure 1: evenly, ever more slowly, in bursts, and once only."""
    even = MihalasNiebur().solve(Step(0.0, 500.0, 1.5), 500.0).intervals
    np.testing.assert_allclose(even[1:], even[1], rtol=1e-4)
    adapting = MihalasNiebur(a=0.005).solve(Step(0.0, 500.0, 2.0), 500.0).intervals
    assert (np.diff(adapting) > 0).all()
    assert adapting[-1] > 1.5 * adapting[0]
    bursts = MihalasNiebur(a=0.005, first_kick=10.0, second_kick=-0.6).solve(Step(0.0, 500.0, 2.0), 500.0).intervals
    assert np.sum(bursts > 5 * bursts.min()) >= 2
    phasic = MihalasNiebur(a=0.005).solve(Step(0.0, 500.0, 1.5), 500.0).spikes
    assert 0 < len(phasic) < 10
    assert phasic[-1] < 250.0  # then it is silent
    rebound = MihalasNiebur(a=0.005).solve(Step(10.0, 760.0, -3.5), 1000.0)
    assert len(rebound.spikes) == 1
    assert rebound.spikes[0] > 760.0


# The thesis


def test_a_weak_current_makes_two_spikes_without_a_leak_and_none_with_one():
    """Thesis, figure 2.4: two spikes each at first; then one, none and two."""
    courses = strong_then_weak()
    parts = {name: (int((each.spikes < 40).sum()), int((each.spikes > 40).sum())) for name, each in courses.items()}
    assert parts == {"Hodgkin-Huxley": (2, 1), "LIF": (2, 0), "IF": (2, 2)}


def test_a_leaky_neuron_hears_three_spikes_only_when_they_come_together():
    """Thesis, figure 2.5: inputs at 2, 5, 8 ms and at 4, 5, 6 ms."""
    found = {key: course.spikes.tolist() for key, course in three_pulses().items()}
    assert found == {
        ("LIF", (2.0, 5.0, 8.0)): [],
        ("LIF", (4.0, 5.0, 6.0)): [6.0],
        ("IF", (2.0, 5.0, 8.0)): [8.0],
        ("IF", (4.0, 5.0, 6.0)): [6.0],
    }


# Currents


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 5), st.floats(0.5, 5), st.floats(-3, 3), st.floats(-3, 3), st.floats(0.01, 0.5))
def test_sampling_loses_no_charge(start, length, first, last, dt):
    duration = round(12 / dt) * dt
    current = Ramp(start, start + length, first, last) + Step(start, start + length, last) + Pulses((start, start + 1), first)
    charge = length * (first + last) / 2 + length * last + 2 * first
    assert float(current.sampled(duration, dt).sum() * dt) == pytest.approx(charge, abs=1e-9)
    assert current.charge(duration) == pytest.approx(charge, abs=1e-9)


def test_a_pulse_lifts_the_potential_by_its_charge_over_the_capacitance():
    for model in (LIF(), HodgkinHuxley(), AdEx()):
        course = model.solve(Pulses((1.0,), 500.0 if model.capacitance > 1 else 5.0), 2.0)
        size = 500.0 if model.capacitance > 1 else 5.0
        before, after = course["V"][course.times == 1.0][[0, -1]]
        assert after - before == pytest.approx(size / model.capacitance)


def test_a_neuron_that_pauses_hears_nothing():
    cell = LIF(refractory=5.0)
    course = cell.solve(Pulses((1.0, 3.0, 7.0), 5000.0), 10.0)
    assert course.spikes.tolist() == [1.0, 7.0]
    fixed = cell.run(Pulses((1.0, 3.0, 7.0), 5000.0).sampled(10.0, 0.5), 0.5, Exact())
    assert fixed.spikes().tolist() == [1.5, 7.5]


def test_texts_of_currents():
    assert read_current("5")(3.0) == 5.0
    assert read_current("step:1,2,3") == Step(1.0, 2.0, 3.0)
    assert read_current("ramp:1,2,3,4") == Ramp(1.0, 2.0, 3.0, 4.0)
    assert read_current("pulses:0.4,4,5,6") == Pulses((4.0, 5.0, 6.0), 0.4)
    both = read_current("step:1,2,3 + pulses:1,4")
    assert both(1.5) == 3.0
    assert both.pulses == ((4.0, 1.0),)
    for text in ("", "high", "step:1,2", "steps:1,2,3", "pulses:", "1,2"):
        with pytest.raises(ArgumentError, match="A current is a number or one of step:START,STOP,AMPLITUDE"):
            read_current(text)


# Mistakes


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda: HodgkinHuxley(capacitance=0.0), "Hodgkin-Huxley: capacitance must be a finite number above 0, not 0.0"),
        (lambda: LIF(refractory=-1.0), "LIF: refractory must be a finite number of at least 0, not -1.0"),
        (lambda: Izhikevich(a=math.nan), "Izhikevich: a must be a finite number above 0, not nan"),
        (lambda: MorrisLecar(v1="x"), "Morris-Lecar: v1 must be a finite number, not 'x'"),
        (lambda: Izhikevich(c=40.0), "Izhikevich needs a reset c below its peak"),
        (lambda: LIF(after=-50.0), "LIF needs rest and reset below the threshold"),
        (lambda: IF(after=-50.0), "IF needs a reset below the threshold"),
        (lambda: QIF(resting=-30.0), "QIF needs rest < critical < peak"),
        (lambda: AdEx(peak=-60.0), "AdEx needs E_L < V_T < peak"),
        (lambda: Quartic(after=10.0), "quartic needs a reset below its peak"),
        (lambda: ResonateAndFire(b=0.5), "resonate-and-fire needs a damping b below 0"),
        (lambda: MihalasNiebur(after=-55.0), "Mihalas-Niebur needs E_L, V_r < theta"),
        (lambda: Step(3.0, 2.0, 1.0), "A current needs 0 <= start < stop"),
        (lambda: Ramp(0.0, math.inf, 1.0, 2.0), "A current needs finite numbers"),
        (lambda: Pulses((3.0, 2.0), 1.0), "Pulses need increasing moments from 0 on"),
        (lambda: Step(0.0, 1.0, 1.0).sampled(1.0, 0.0), "A step and a duration must be above 0, not 0.0 and 1.0"),
        (lambda: LIF().solve(Step(0.0, 1.0, 1.0), 0.0), "The duration must be above 0 and finite, not 0.0"),
        (lambda: LIF().solve(Step(0.0, 1.0, 1.0), 1.0, resolution=0.0), "The resolution must be above 0"),
        (lambda: LIF().solve(Step(0.0, 1.0, 1.0), 1.0, rtol=1.0), "rtol must lie between 1e-13 and 0.01"),
        (lambda: LIF().solve(Step(0.0, 1.0, 1.0), 1.0, state=(1.0, 2.0)), "A state of LIF has a number for each of V"),
        (lambda: LIF().solve(Step(0.0, 1.0, 1.0), 1.0)["u"], "Variable 'u' is unknown. Choose one of 'V'"),
        (lambda: IF().solve(Step(0.0, math.inf, 1e12), 1000.0), "IF spikes more than"),
        (lambda: FitzHughNagumo().solve(Step(0.0, math.inf, 1e200), 10.0), "FitzHugh-Nagumo cannot be solved beyond"),
        (lambda: LIF().run(torch.ones(3, 2), 0.0), "A step must be above 0 and finite, not 0.0"),
        (lambda: LIF().run(torch.ones(3, 2, dtype=torch.long), 0.1), "Currents are a floating-point tensor"),
        (lambda: LIF().run(torch.ones(3, 2), 0.1, state=(1.0, 2.0)), "A state of LIF has a row for each of V"),
        (
            lambda: HodgkinHuxley().run(torch.full((400, 1), 10.0), 0.5, Euler()),
            "ran away in step .* too long a step for Euler",
        ),
        (lambda: step_errors(LIF(), Step(0.0, 1.0, 1.0), 1.0, (2.0,)), "Steps must lie above 0 and below the duration of 1"),
    ],
)
def test_mistakes_raise_sentences(mistake, words, monkeypatch):
    monkeypatch.setattr("transpike.neurons.models.solving.MOST_SPIKES", 20)
    with pytest.raises(ArgumentError, match=words):
        mistake()


def test_steps_that_run_away_are_told_in_the_table_of_errors():
    _, errors = step_errors(HodgkinHuxley(), Step(0.0, math.inf, 10.0), 5.0, (0.5, 0.02), (RungeKutta4(),))
    assert errors[0].error is None
    assert errors[1].error < 1


def test_the_page_says_what_the_models_say():
    written = runpy.run_path(str(ROOT / "benchmarks" / "neuron_page.py"))["page"]()
    assert written == (ROOT / "docs" / "neurons.md").read_text()
    assert all((ROOT / "docs" / "pictures" / "neurons" / f"{name}.svg").exists() for name in MODELS)
