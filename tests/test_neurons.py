"""Laws of the parts that keep state: charge is conserved, closed forms hold, maxima are exact."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transpike.neurons import (
    FIRST_SPIKES,
    FUNCTIONS,
    NEURONS,
    SPIKING,
    WINDOWED,
    AccumulatedMaxPool,
    Announcement,
    CountProduct,
    Delayed,
    DifferenceDecoder,
    DifferenceMaxPool,
    DifferenceNeuron,
    EarlyExit,
    FirstToMargin,
    GatedMaxPool,
    IntegrateAndFire,
    Integrator,
    Late,
    Levels,
    Phase,
    Pulse,
    SpikeProduct,
    StepMaxPool,
    WinnerTakeAll,
    with_fault,
)
from transpike.ops import TRAITS, AdaptiveMaxPool, MaxPool, Multiply, Relu

seeds = st.integers(0, 10_000)


def currents(seed, steps, *shape, mean=0.4, spread=1.0):
    """Random currents [time, batch, ...] in float64."""
    generator = torch.Generator().manual_seed(seed)
    return mean + spread * torch.randn(steps, *shape, dtype=torch.float64, generator=generator)


def sent_by(op, received):
    """Step `op` through `received`; return what it sent and its state at the end."""
    state = op.start(received[0])
    return torch.stack([op.step(state, x).clone() for x in received]), state


def neuron(thresholds=(0.5, 1.25, 3.0), initial=0.5):
    return IntegrateAndFire(torch.tensor(thresholds, dtype=torch.float64), torch.tensor(initial, dtype=torch.float64), Relu())


@given(seeds, st.integers(1, 60), st.floats(0, 1))
def test_charge_is_conserved(seed, steps, initial):
    """v[0] + sum of I = v[T] + sum of what was sent: 60 sums of numbers below 200 round by less than 1e-11."""
    op = neuron(initial=initial)
    received = currents(seed, steps, 4, 3)
    sent, state = sent_by(op, received)
    before = initial * op.threshold
    torch.testing.assert_close(before + received.sum(0), state.potential + sent.sum(0), rtol=0, atol=1e-11)


@given(seeds, st.integers(1, 60), st.floats(0, 1))
def test_spikes_are_all_or_nothing_and_counted(seed, steps, initial):
    op = neuron(initial=initial)
    sent, state = sent_by(op, currents(seed, steps, 4, 3))
    assert ((sent == 0) | (sent == op.threshold)).all()
    assert torch.equal((sent != 0).sum(0).double(), state.count)


@given(st.lists(st.integers(-2048, 4096), min_size=3, max_size=3), st.integers(1, 40), st.sampled_from([0.0, 0.25, 0.5, 0.75]))
def test_constant_current_has_a_closed_form(numerators, steps, initial):
    """Spikes in T steps = clip(floor(z T / threshold + initial), 0, T), exactly.

    Currents and thresholds are multiples of 2^-10, so that every sum is exact and the floor is the right one.
    """
    op = neuron((0.5, 1.0, 2.0), initial)
    current = torch.tensor([numerators], dtype=torch.float64) / 1024
    sent, state = sent_by(op, current.expand(steps, 1, 3).clone())
    expected = (current * steps / op.threshold + initial).floor().clamp(0, steps)
    assert torch.equal(state.count, expected)
    torch.testing.assert_close(sent.mean(0), expected * op.threshold / steps, rtol=1e-12, atol=0)


def test_a_neuron_fires_when_the_threshold_is_reached_exactly():
    sent, state = sent_by(neuron((1.0,), 0.5), torch.tensor([[[0.5]], [[0.5]]], dtype=torch.float64))
    assert sent.flatten().tolist() == [1.0, 0.0]
    assert state.potential.item() == 0.5


def test_thresholds_belong_to_channels():
    op = IntegrateAndFire(torch.tensor([1.0, 4.0]).reshape(2, 1, 1), torch.tensor(0.0), Relu())
    sent, _ = sent_by(op, torch.ones(4, 3, 2, 5, 6))
    assert torch.equal(sent.sum(0)[:, 0], torch.full((3, 5, 6), 4.0))
    assert torch.equal((sent != 0).sum(0)[:, 1], torch.ones(3, 5, 6, dtype=torch.long))


def test_input_is_not_changed():
    received = currents(1, 5, 2, 3)
    before = received.clone()
    for op in (neuron(), Integrator()):
        sent_by(op, received)
        assert torch.equal(received, before)


@given(seeds, st.integers(1, 30))
def test_integrator_is_the_running_mean(seed, steps):
    received = currents(seed, steps, 2, 3)
    sent, _ = sent_by(Integrator(), received)
    count = torch.arange(1, steps + 1, dtype=torch.float64)[:, None, None]
    torch.testing.assert_close(sent, received.cumsum(0) / count, rtol=0, atol=1e-13)


POOLS = {
    "tiles": MaxPool((2, 2), (2, 2), (0, 0), (1, 1)),
    "overlap": MaxPool((3, 3), (2, 2), (1, 1), (1, 1)),
    "ceil": MaxPool((3, 2), (2, 2), (0, 0), (1, 1), ceil_mode=True),
    "dilated": MaxPool((2, 2), (1, 1), (0, 0), (2, 2)),
    "adaptive": AdaptiveMaxPool((2, 3)),
}


@pytest.mark.parametrize("name", POOLS)
@given(seed=seeds, steps=st.integers(1, 20))
def test_mean_of_pooled_is_the_maximum_of_means(name, seed, steps):
    """Exactly: inputs are multiples of 1/8, so that no sum rounds; signed, as currents before neurons are."""
    received = (8 * currents(seed, steps, 2, 3, 5, 6)).round() / 8
    sent, _ = sent_by(AccumulatedMaxPool(POOLS[name]), received)
    for t in range(1, steps + 1):
        assert torch.equal(sent[:t].sum(0), POOLS[name](received[:t].sum(0)))


def test_maximum_of_spikes_is_spikes():
    """Increments of the maximum of spike counts are 0 or 1: pooling spikes gives spikes."""
    spikes = (torch.rand(30, 2, 3, 6, 6, generator=torch.Generator().manual_seed(0)) < 0.3).double()
    sent, _ = sent_by(AccumulatedMaxPool(POOLS["tiles"]), spikes)
    assert set(sent.unique().tolist()) == {0.0, 1.0}


def test_pooling_each_step_by_itself_would_be_biased():
    """Two inputs that fire in turn have the mean 1/2 each, and so has their maximum; the mean of maxima is 1."""
    turns = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(4, 1).reshape(8, 1, 1, 1, 2)
    pool = MaxPool((1, 2), (1, 2), (0, 0), (1, 1))
    sent, _ = sent_by(AccumulatedMaxPool(pool), turns)
    assert sent.mean().item() == 0.5
    assert torch.stack([pool(x) for x in turns]).mean().item() == 1.0


def test_states_do_not_share_memory():
    for op, shape in ((neuron(), (2, 3)), (Integrator(), (2, 3)), (AccumulatedMaxPool(POOLS["tiles"]), (2, 1, 4, 4))):
        received = currents(2, 6, *shape)
        first, _ = sent_by(op, received)
        again, _ = sent_by(op, received)
        assert torch.equal(first, again)


def test_every_stateful_op_names_the_op_that_it_approaches():
    spiking = {kind: kind(torch.ones(1), torch.zeros(()), Relu()) for kind in SPIKING}
    tiles, one = POOLS["tiles"], torch.ones(1)
    others = [
        Integrator(),
        FirstToMargin(1.0),
        EarlyExit(1.0),
        DifferenceDecoder(),
        DifferenceMaxPool(tiles),
        WinnerTakeAll(tiles, one),
        Delayed(2),
    ]
    others += [kind(tiles) for kind in (AccumulatedMaxPool, StepMaxPool, GatedMaxPool)]
    others += [kind(one, torch.zeros(()), Relu()) for kind in (*FIRST_SPIKES, *WINDOWED, DifferenceNeuron)]
    others += [Pulse(), Announcement(one), CountProduct(Multiply(), first=Levels(0.0, 1.0, 1.0))]
    others += [kind(Multiply()) for kind in (*FUNCTIONS, SpikeProduct)]
    others += [with_fault(op, Late(1.0), 0, 0) for op in (spiking[IntegrateAndFire], Phase(one, torch.zeros(()), Relu()))]
    examples = spiking | {type(op): op for op in others}
    assert set(examples) == set(NEURONS)
    assert all(type(op.analogue()) in TRAITS for op in examples.values())
