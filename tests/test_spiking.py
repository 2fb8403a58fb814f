"""The laws of every kind of spiking neuron, over one table: agreement with literal code, charge, closed forms, bounds."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import transpike as tp
from helpers import same_op
from literal_neurons import LITERAL
from transpike.errors import ArgumentError
from transpike.network import Network, Node
from transpike.neurons import (
    SPIKING,
    Burst,
    EulerLeaky,
    Graded,
    IntegerIntegrateAndFire,
    IntegrateAndFire,
    Integrator,
    LeakyCell,
    LeakyIntegrateAndFire,
    LookAhead,
    MultiThreshold,
    OffsetCalibrated,
    PreciseLeaky,
    Refractory,
    ResetToZero,
    ResidualSilenced,
    Saturating,
    SignedGraded,
    Ternary,
    Wrapping,
)
from transpike.ops import Input, Relu
from transpike.passes import InvertRateCurve

THRESHOLDS = (0.5, 1.0, 2.0)
seeds = st.integers(0, 10_000)


def subtracting(low, high):
    """The count of neurons that conserve charge: clip(floor(z T / threshold + initial), low T, high T)."""

    def count(op, z, steps):
        return (z * steps / op.threshold + op.initial).floor().clamp(low * steps, high * steps)

    return count


def zeroing(op, z, steps):
    """First spike after ceil((1 - initial) / ratio) steps, then one every ceil(1 / ratio)."""
    ratio = (z / op.threshold).clamp(min=1e-9)
    first, interval = ((1 - op.initial) / ratio).ceil().clamp(min=1), (1 / ratio).ceil()
    return torch.where(z > 0, ((steps - first) / interval).floor() + 1, 0.0).clamp(min=0)


def resting(op, z, steps):
    """Without the limit up to threshold / (period + 1); above it one every period + 1 steps from the first on."""
    ratio = (z / op.threshold).clamp(min=1e-9)
    first = ((1 - op.initial) / ratio).ceil().clamp(min=1)
    saturated = ((steps - first) / (op.period + 1)).floor().clamp(min=-1) + 1
    return torch.minimum(subtracting(0, 1)(op, z, steps), saturated)


def silenced(op, z, steps):
    """As without the trial, in the steps after it, but 0 where the trial left a potential of at most 0.001 threshold."""
    trial = op.initial + z * op.length / op.threshold - subtracting(0, 1)(op, z, op.length)
    return subtracting(0, 1)(op, z, op.counted(steps)).where((steps <= op.length) | (trial > 1e-3), 0.0)


def listening(op, z, steps):
    """A constant current causes no offset spike: as without windows, in the steps after the last one."""
    return subtracting(0, 1)(op, z, op.counted(steps))


def waiting(op, z, steps):
    """What is expected of a constant current comes: as without looking ahead, after the delay."""
    return subtracting(0, 1)(op, z, max(steps - op.delay, 0))


@dataclass(frozen=True)
class Case:
    """A kind with its settings: bits of a spike, what it sends net of a constant current, and its bound.

    `count` is None where no closed form is known. The mean of what is sent lies within `bound(op, z, T)` of
    clip(z, low, ceiling), for currents of both signs.
    """

    make: object
    bits: int
    count: object = None
    bound: object = lambda op, z, steps: op.threshold / steps

    def __call__(self, thresholds=THRESHOLDS, initial=0.5):
        return self.make(
            torch.tensor(thresholds, dtype=torch.float64), torch.tensor(initial, dtype=torch.float64), activation=Relu()
        )


def lossy(op, z, steps):
    """Reset to zero sends at least 1 / (1 + z / threshold) of a current, up to one spike."""
    value = torch.minimum(z.clamp(min=0), op.threshold)
    return value * value / (op.threshold + value) + op.threshold / steps


def after_restart(op, z, steps):
    return op.threshold / op.counted(steps)


CASES = {
    "integrate-and-fire": Case(IntegrateAndFire, 1, subtracting(0, 1)),
    "reset to zero": Case(ResetToZero, 1, zeroing, lossy),
    "refractory": Case(partial(Refractory, period=2), 1, resting, lambda op, z, steps: 3 * op.threshold / steps),
    "leaky": Case(partial(LeakyIntegrateAndFire, cell=LeakyCell(refractory=3e-3), largest_rate=200.0), 1, None, None),
    "leaky without refractory period": Case(partial(LeakyIntegrateAndFire, cell=LeakyCell(refractory=0.0)), 1, None, None),
    "leaky within the step": Case(partial(PreciseLeaky, cell=LeakyCell(refractory=0.4e-3)), 1, None, None),
    "leaky by slope": Case(partial(EulerLeaky, cell=LeakyCell(refractory=1.5e-3)), 1, None, None),
    "leaky, driven by the inverse": Case(InvertRateCurve(), 1, None, lambda op, z, steps: op.threshold * (0.022 + 1 / steps)),
    "signed with memory": Case(partial(Ternary, retract=-1.0), 2, subtracting(0, 1)),
    "signed without debt": Case(partial(Ternary, retract=-1.0, forgives_debt=True), 2, subtracting(0, 1)),
    "ternary": Case(Ternary, 2, None),
    "burst": Case(partial(Burst, limit=3), 1, subtracting(0, 3)),
    "graded": Case(Graded, 4, subtracting(0, 15)),
    "graded, signed": Case(partial(SignedGraded, limit=7), 4, subtracting(-7, 7)),
    "multi-threshold": Case(partial(MultiThreshold, levels=3), 3, None, lambda op, z, steps: op.most * op.threshold / steps),
    "silenced by residual": Case(partial(ResidualSilenced, length=3), 1, silenced, None),
    "looking ahead": Case(partial(LookAhead, delay=3, ahead=2, window=500), 1, waiting, after_restart),
    "saturating": Case(partial(Saturating, bits=4), 1, None, lambda op, z, steps: (1 + op.threshold / 2) / steps),
    "wrapping": Case(partial(Wrapping, bits=3), 1, None, None),
    "offset calibrated": Case(partial(OffsetCalibrated, length=4, windows=3, layer=2), 1, listening, after_restart),
}
LOSSY = (ResetToZero, ResidualSilenced, OffsetCalibrated, LookAhead, IntegerIntegrateAndFire)
LEAKY = (LeakyIntegrateAndFire, PreciseLeaky, EulerLeaky)
EVEN = [name for name, case in CASES.items() if case.count]
BOUND = [name for name, case in CASES.items() if case.bound]


def received_by(seed, steps, mean=0.4, spread=1.0, period=None):
    """Random currents [time, batch, 3]; with a period the same in each of its windows."""
    generator = torch.Generator().manual_seed(seed)
    currents = mean + spread * torch.randn(steps, 4, 3, dtype=torch.float64, generator=generator)
    return currents if period is None else currents[torch.arange(steps) % period]


def run(op, received):
    """Return what `op` sent, [time, ...], and its state."""
    state = op.start(received[0])
    return torch.stack([op.step(state, x).clone() for x in received]), state


def run_literally(op, received):
    """Return what the literal neurons sent, and the neurons themselves."""
    thresholds = op.threshold.expand(received.shape[1:]).flatten().tolist()
    neurons = [LITERAL[type(op)](op, threshold, float(op.initial)) for threshold in thresholds]
    sent = [[n.step(x) for n, x in zip(neurons, step.flatten().tolist(), strict=True)] for step in received]
    return torch.tensor(sent, dtype=torch.float64).reshape(received.shape), neurons


def gathered(neurons, what, like):
    return torch.tensor([getattr(neuron, what) for neuron in neurons], dtype=torch.float64).reshape(like.shape)


def test_every_kind_is_in_the_table():
    assert {type(case()) for case in CASES.values()} == set(SPIKING) == set(LITERAL)


@pytest.mark.parametrize("name", CASES)
@given(seed=seeds, steps=st.integers(1, 40), initial=st.sampled_from([0.0, 0.3, 0.5]))
def test_spikes_and_potentials_are_those_of_the_literal_code(name, seed, steps, initial):
    op = CASES[name](initial=initial)
    received = received_by(seed, steps, period=getattr(op, "length", None))
    sent, state = run(op, received)
    expected, neurons = run_literally(op, received)
    torch.testing.assert_close(sent, expected, rtol=1e-13, atol=0)
    torch.testing.assert_close(state.potential, gathered(neurons, "v", state.potential), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not isinstance(case(), LEAKY)])
@given(seed=seeds, steps=st.integers(1, 60), initial=st.floats(0, 1))
def test_charge_is_conserved_but_for_what_the_kind_says_it_loses(name, seed, steps, initial):
    """v[0] + sum of I = v[T] + sum of what was sent + lost: lost by reset to zero, forgiven, or left behind at a restart."""
    op = CASES[name](initial=initial)
    received = received_by(seed, steps)
    sent, state = run(op, received)
    lost = gathered(run_literally(op, received)[1], "lost", state.potential)
    torch.testing.assert_close(
        op.start(received[0]).potential + received.sum(0), state.potential + sent.sum(0) + lost, rtol=0, atol=1e-11
    )
    conserving = not isinstance(op, LOSSY) and not getattr(op, "forgives_debt", False)
    assert not (conserving and lost.any())


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if isinstance(case(), LEAKY)])
@given(seed=seeds, steps=st.integers(1, 40))
def test_charge_of_a_leaky_cell_flows_in_leaks_or_leaves_with_a_spike(name, seed, steps):
    """C (V[T] - V[0]) = sum of I - g integral of (V - rest) - lost by spikes; per spike C (threshold - reset) or more.

    Exactly that where spikes are placed within the step and currents stay in the range, so that none has to wait.
    """
    op = CASES[name]()
    received = torch.minimum(received_by(seed, steps), 0.95 * op.ceiling())
    sent, state = run(op, received)
    _, neurons = run_literally(op, received)
    flowed, leaked, lost = (gathered(neurons, what, state.potential) for what in ("received", "leaked", "lost"))
    cell = op.cell
    stored = cell.capacitance * (state.potential - gathered(neurons, "start", state.potential))
    unit = cell.capacitance * (cell.threshold - cell.reset)
    torch.testing.assert_close(stored / unit, (flowed - leaked - lost) / unit, rtol=0, atol=1e-9)
    excess = lost / unit - (sent != 0).sum(0)
    assert (excess > -1e-9).all()
    if isinstance(op, PreciseLeaky):
        assert (excess < 1e-9).all()


@pytest.mark.parametrize("name", CASES)
@given(seed=seeds, steps=st.integers(1, 40))
def test_spikes_are_whole_thresholds_and_counted(name, seed, steps):
    op = CASES[name]()
    sent, state = run(op, received_by(seed, steps))
    levels = sent / op.threshold
    assert torch.equal(levels, levels.round())
    reach = max(1, op.most)
    assert (levels <= reach).all()
    assert (levels >= op.least).all()
    spikes = levels.sum(0) if type(op) is Burst else (sent != 0).double().sum(0)
    assert torch.equal(state.count, spikes)
    counted = op.counted(steps)
    torch.testing.assert_close(state.transmitted(), sent[steps - counted :].sum(0), rtol=1e-12, atol=0)
    assert op.bits_per_spike == CASES[name].bits
    values = {abs(level) for level in levels.unique().tolist()} - {0.0}
    assert type(op) is Burst or math.ceil(math.log2(max(1, len(values)))) <= op.bits_per_spike


@pytest.mark.parametrize("name", EVEN)
@given(st.lists(st.integers(-2048, 4096), min_size=3, max_size=3), st.integers(1, 40), st.sampled_from([0.0, 0.25, 0.5, 0.75]))
def test_constant_current_has_a_closed_form(name, numerators, steps, initial):
    """Exactly: currents and thresholds are multiples of 2^-10, so that no sum rounds and the floor is the right one.

    Signed neurons leave 0 only where a current is negative: those with memory never send less than 0 in sum.
    """
    op = CASES[name](initial=initial)
    current = torch.tensor([numerators], dtype=torch.float64) / 1024
    _, state = run(op, current.expand(steps, 1, 3).clone())
    expected = CASES[name].count(op, current, steps)
    torch.testing.assert_close(state.transmitted(), expected * op.threshold, rtol=0, atol=0)


@pytest.mark.parametrize("name", BOUND)
@given(seed=seeds, steps=st.integers(1, 64), sure=st.booleans())
def test_decoded_value_lies_within_the_stated_bound(name, seed, steps, sure):
    """Of the clipped value, for a constant current: `sure` ones lie in the range, others beyond it as well."""
    op = CASES[name](initial=0.0 if name == "multi-threshold" else 0.5)
    generator = torch.Generator().manual_seed(seed)
    z = torch.rand(1, 3, dtype=torch.float64, generator=generator) * op.ceiling()
    z = z if sure or name == "multi-threshold" else 4 * z - 2 * op.ceiling()
    _, state = run(op, z.expand(steps, 1, 3).clone())
    low = op.least * op.threshold if isinstance(op, SignedGraded) else torch.zeros(())
    clipped = torch.minimum(torch.maximum(z, low), op.ceiling())
    error = state.transmitted() / op.counted(steps) - clipped
    assert (error.abs() <= CASES[name].bound(op, z, steps) * (1 + 1e-9)).all()


@pytest.mark.parametrize("name", CASES)
def test_neurons_come_back_bit_for_bit(name, tmp_path):
    op = CASES[name]()
    nodes = [Node("x", Input((3,), "float64")), Node("n", op, ("x",)), Node("y", Integrator(delay=2), ("n",))]
    network = Network({node.name: node for node in nodes}, {"output": "y"})
    tp.save(network, tmp_path / "net")
    loaded = tp.load(tmp_path / "net")
    assert same_op(loaded.nodes["n"].op, op)
    x = received_by(0, 1)[0]
    before, after = (tp.simulate(n, x, 20, record=tp.Record(potentials=["n"])) for n in (network, loaded))
    assert torch.equal(before.outputs, after.outputs)
    assert torch.equal(before.potentials["n"], after.potentials["n"])


@pytest.mark.parametrize("name", ["integrate-and-fire", "reset to zero", "ternary", "graded", "refractory"])
def test_heights_biases_and_clamps_differ_from_step_to_step(name):
    """Against the literal neuron, fed with current plus bias from the end of the delay on, its spikes weighed anew."""
    case = CASES[name]()
    steps, delay = 12, 3
    tables = torch.Generator().manual_seed(1)
    height = torch.rand(steps, 3, generator=tables, dtype=torch.float64)
    bias = torch.rand(steps, 3, generator=tables, dtype=torch.float64) - 0.5
    op = dataclasses.replace(case, height=height, bias=bias, delay=delay)
    received = received_by(3, steps)
    sent, state = run(op, received)
    literal, _ = run_literally(case, received[delay:] + bias[delay:, None])
    expected = literal / case.threshold * height[delay:, None]
    assert not sent[:delay].any()
    torch.testing.assert_close(sent[delay:], expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(state.transmitted(), sent.sum(0), rtol=1e-12, atol=0)


@given(st.integers(1, 400), st.integers(1, 50))
def test_reset_to_zero_follows_equation_4_1(numerator, steps):
    """Rate = (z - V(t)/t) / (threshold + epsilon) with epsilon = n z - threshold: V(t) is what is left at the end."""
    op = CASES["reset to zero"]((1.0,), 0.0)
    z = numerator / 256
    _, state = run(op, torch.full((steps, 1, 1), z, dtype=torch.float64))
    epsilon = math.ceil(1 / z) * z - 1
    rate = (z - float(state.potential) / steps) / (1 + epsilon)
    assert float(state.count) / steps == pytest.approx(rate, rel=1e-12, abs=1e-15)


def test_memory_takes_back_what_came_too_early():
    """The current 2, -2, 0 ... has the mean 0. Binary neurons sent a spike and cannot take it back; those with memory do."""
    received = torch.tensor([2.0, -2.0, 0.0, 0.0], dtype=torch.float64)[:, None, None]
    totals = {name: run(CASES[name]((1.0,), 0.5), received)[0].sum().item() for name in ("integrate-and-fire", "ternary")}
    assert totals == {"integrate-and-fire": 1.0, "ternary": 0.0}


@given(seed=seeds, steps=st.integers(1, 20))
def test_settled_ternary_neurons_have_no_unevenness_error(seed, steps):
    """After any currents, once the input pauses, the net count is floor(sum of I / threshold + initial), at least 0."""
    op = CASES["ternary"]()
    received = torch.cat([received_by(seed, steps), torch.zeros(10 * steps + 20, 4, 3, dtype=torch.float64)])
    _, state = run(op, received)
    assert torch.equal(state.net, (received.sum(0) / op.threshold + op.initial).floor().clamp(min=0))


def test_a_debt_is_forgiven_even_in_the_step_that_takes_the_last_spike_back():
    """m = -1.5 takes the one spike back: v = -0.5, and nothing is left to take back."""
    received = torch.tensor([1.0, -2.5], dtype=torch.float64)[:, None, None]
    debts = [
        run(CASES[name]((1.0,), 0.0), received)[1].potential.item() for name in ("signed with memory", "signed without debt")
    ]
    assert debts == [-1.5, 0.0]


def test_impossible_settings_are_refused():
    one = torch.ones(())
    with pytest.raises(ArgumentError, match="refractory period is a number of steps from 0 on, not -1"):
        Refractory(one, one, Relu(), period=-1)
    with pytest.raises(ArgumentError, match="at most one spike per step"):
        LeakyIntegrateAndFire(one, one, Relu(), time_step=1e-2, largest_rate=400.0)
    with pytest.raises(ArgumentError, match="Euler's method diverges in steps of 2 tau"):
        EulerLeaky(one, one, Relu(), time_step=0.04, largest_rate=20.0)
    with pytest.raises(ArgumentError, match="needs a reset potential below the threshold"):
        LeakyCell(reset=0.0)
