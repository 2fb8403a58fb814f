"""The leaky cell's closed forms against its differential equation, and what its time step and its drive cost."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transpike.errors import ArgumentError
from transpike.neurons import LeakyCell, LeakyIntegrateAndFire, PreciseLeaky, fitted_drive
from transpike.ops import Relu
from transpike.passes import InvertRateCurve

cells = st.builds(
    LeakyCell,
    capacitance=st.floats(50e-12, 500e-12),
    conductance=st.floats(2e-9, 50e-9),
    reset=st.floats(-80e-3, -55e-3),
    refractory=st.sampled_from([0.0, 1e-3, 5e-3]),
)
shares = st.floats(0.02, 0.9)


def neurons(kind, cell, time_step, initial=0.0, largest_rate=None):
    """Neurons whose current in ampere is their input times 1 nA."""
    rate = largest_rate or 1 / time_step
    one = torch.ones((), dtype=torch.float64)
    threshold = one / (rate * time_step)  # so that an activation of 1 is the largest
    return kind(threshold, initial * one, Relu(), cell=cell, time_step=time_step, offset=0.0, slope=1e-9, largest_rate=rate)


def spike_times(op, current, steps):
    """Return the steps, from 1, at which one neuron fires under a constant current in ampere."""
    state = op.start(x := torch.full((1, 1), current * 1e9, dtype=torch.float64))
    return [step for step in range(1, steps + 1) if op.step(state, x).item()]


@given(cells, shares)
def test_inverse_of_the_rate_curve(cell, share):
    rate = torch.tensor([share * min(cell.largest_rate, 500.0)], dtype=torch.float64)
    assert cell(cell.current(rate)).item() == pytest.approx(rate.item(), rel=1e-9)


@given(cells)
def test_rheobase_is_where_firing_starts(cell):
    around = torch.tensor([0.999, 1.0, 1.001], dtype=torch.float64) * cell.rheobase
    below, at, above = cell(around).tolist()
    assert below == 0 or around[1] == 0
    assert at < above
    assert cell.current(torch.zeros(1, dtype=torch.float64)).item() == pytest.approx(cell.rheobase)


def test_time_to_first_spike_solves_the_differential_equation():
    """Euler's method with steps of 1 us errs by about half a step in time: 1e-6 s of some 1e-2 s."""
    cell, current, start = LeakyCell(), 500e-12, -60e-3
    potential, steps = start, 0
    while potential < cell.threshold:
        potential += 1e-6 / cell.capacitance * (current - cell.conductance * (potential - cell.rest))
        steps += 1
    closed = cell.time_to_spike(torch.tensor(current, dtype=torch.float64), start).item()
    assert abs(closed - steps * 1e-6) < 2e-6
    quiet = torch.tensor([cell.rheobase / 2], dtype=torch.float64)
    assert cell.time_to_spike(quiet, start).item() == math.inf
    assert cell.time_to_spike(quiet, cell.threshold).item() == 0


def test_without_leak_the_rate_is_linear():
    """As g falls, f(I) -> I / (C (threshold - reset)): relative error about tau / 2 of the interval."""
    cell = LeakyCell(conductance=1e-15, refractory=0.0)
    currents = torch.tensor([1e-10, 1e-9], dtype=torch.float64)
    expected = currents / (cell.capacitance * (cell.threshold - cell.reset))
    torch.testing.assert_close(cell(currents), expected, rtol=1e-5, atol=0)


@given(cells, st.floats(1.05, 20), st.floats(0, 0.95))
def test_precise_neurons_fire_as_the_closed_forms_say(cell, times, initial):
    """Spike n comes in the step that holds t_1 + (n - 1) / f(I), if no interval is shorter than a step."""
    current, step = times * cell.rheobase, 0.5e-3
    exact = torch.tensor(current, dtype=torch.float64)
    start = cell.reset + initial * (cell.threshold - cell.reset)
    first, rate = cell.time_to_spike(exact, start).item(), cell(exact).item()
    if rate * step > 1:
        return
    found = spike_times(neurons(PreciseLeaky, cell, step, initial), current, 200)
    moments = [(first + n / rate) / step for n in range(len(found))]
    unsure = [n for n, moment in enumerate(moments) if abs(moment - round(moment)) < 1e-6]
    assert all(math.ceil(moment) == at or n in unsure for n, (moment, at) in enumerate(zip(moments, found, strict=True)))
    assert (first + len(found) / rate) / step > 200 - 1e-6


@given(cells, st.floats(1.5, 20), st.sampled_from([1e-3, 0.3e-3]))
def test_spikes_at_the_end_of_a_step_come_late_by_less_than_a_step_each(cell, times, step):
    """The interval between spikes is t_spike(I) rounded up to whole steps, then the refractory period."""
    current = times * cell.rheobase
    found = spike_times(neurons(LeakyIntegrateAndFire, cell, step), current, 400)
    interval = 1 / cell(torch.tensor(current, dtype=torch.float64)).item()
    late = [(b - a) * step - interval for a, b in itertools.pairwise(found)]
    # where the refractory period ends within a step, a second remainder of a step is waited for
    assert all(-1e-9 <= wait < 2 * step for wait in late)


def test_discretisation_error_falls_with_the_time_step():
    """The rate errs by up to rate * step, relatively; mean over currents, so that no single rounding decides."""
    cell = LeakyCell()
    currents = torch.linspace(1.3, 5, 40, dtype=torch.float64) * cell.rheobase
    errors = []
    for step in (4e-3, 1e-3, 0.25e-3):
        op = neurons(LeakyIntegrateAndFire, cell, step)
        state = op.start(x := 1e9 * currents[None])
        for _ in range(round(1 / step)):
            op.step(state, x)
        errors.append(float((state.count[0] / cell(currents) - 1).abs().mean()))
    assert errors[0] > 2.5 * errors[1] > 2.5 * 2.5 * errors[2]
    assert errors[2] < 0.25e-3 * float(cell(currents).max()) + 0.01


@given(cells, st.floats(0.1, 0.8))
def test_drive_is_silent_at_rest_and_errs_as_it_says(cell, share):
    largest = share * min(cell.largest_rate, 1000.0)
    drive = fitted_drive(cell, largest)
    assert drive.offset <= cell.rheobase * (1 + 1e-12)
    points = torch.linspace(0, 1, 500, dtype=torch.float64)
    assert (cell(drive.offset + drive.slope * points) / largest - points).abs().max() <= drive.error + 0.01


def test_inverse_is_exact_where_the_current_is_constant():
    """With the inverse itself the count is that of the wanted rate to one spike; with the affine fit the error is stated."""
    cell, step, steps = LeakyCell(refractory=0.0), 1e-3, 1000
    wanted = torch.linspace(5, 1000, 200, dtype=torch.float64)
    op = neurons(PreciseLeaky, cell, step, largest_rate=1000.0)
    state = op.start(x := 1e9 * cell.current(wanted)[None])
    for _ in range(steps):
        op.step(state, x)
    assert (state.count[0] - wanted * steps * step).abs().max() <= 1

    fitted = InvertRateCurve()(torch.ones((), dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64), Relu())
    state = fitted.start(x := wanted[None] / 1000)
    for _ in range(steps):
        fitted.step(state, x)
    error = (state.transmitted()[0] / steps - wanted / 1000).abs().max().item()
    stated = fitted_drive(cell, 1000.0).error
    assert 0.5 * stated < error <= stated + 1 / steps


@pytest.mark.parametrize("rate", [-1.0, 500.0, math.inf])
def test_rates_that_no_current_gives_are_refused(rate):
    with pytest.raises(ArgumentError, match="Rates must lie in 0 <= rate < 500 per second"):
        LeakyCell().current(torch.tensor([10.0, rate]))
