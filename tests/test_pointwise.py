"""What codes in windows do to each value: compiled loops give the bits of plain torch, and both what they say."""

from __future__ import annotations

import math
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transpike import compiled, neurons
from transpike.neurons import FirstSpikeTime, pointwise
from transpike.ops import Relu

SLOTS = torch.tensor([0.5, 0.3, 0.125, -0.05])
BOUNDS = torch.tensor([0.001, 0.1, 0.11, 0.25, 0.9])


def channels_of(each, x):
    """Return one entry for each of the channels of x."""
    channels = x.shape[-3] if x.ndim > 2 else 1
    return each.flatten().repeat(2)[:channels, None, None].to(x.dtype)


def literal_spikes(value, thresholds, resets):
    """Return the message of one potential, slot by slot."""
    message, left = 0, torch.tensor(value)
    for threshold, reset in zip(thresholds, resets, strict=True):
        fires = bool(left >= threshold)
        left = left - reset if fires else left
        message = 2 * message + fires
    return message


def non_adjacent_digits(number):
    """Return how many digits of the non-adjacent form of a number are not 0."""
    count = 0
    while number:
        if number % 2:
            number -= 2 - number % 4
            count += 1
        number //= 2
    return count


EACH = torch.tensor([0.3, 0.9, 0.125, 2.0, 0.7])[:, None, None]  # a threshold for each channel
ONE, HEIGHTS = torch.ones(1), torch.tensor([8.0, 4.0, 2.0, 1.0])
HALF, FIRST = torch.tensor([0.5]), torch.linspace(0, 1, 5)[:, None, None]


def quantised(x, factor, threshold, initial, most, smallest=1, unit=HALF, bias=None):
    """Level and value, next to each other."""
    given = (each.to(x.dtype) for each in (threshold, initial))
    added = None if bias is None else bias.to(x.dtype)
    return torch.stack(pointwise.quantised(x, factor, *given, most, unit.to(x.dtype), smallest, added))


def reached(x, scale=HALF, unit=HALF, bounds=BOUNDS):
    given = (each.to(x.dtype) for each in (scale, bounds, bounds.flip(0), unit))
    return torch.stack(pointwise.reached(x, *given))


def fired(x, scale=HALF, unit=HALF, slots=SLOTS):
    given = (each.to(x.dtype) for each in (scale, slots, slots.flip(0), slots.square(), unit))
    return torch.stack(pointwise.fired(x, *given))


CASES = {
    "quantised": lambda x: quantised(x, 31, torch.tensor(0.7), HALF, 31),
    "quantised by channel": lambda x: quantised(x, 31, channels_of(EACH, x), HALF, 31, 3),
    "quantised with two": lambda x: quantised(x, 7, channels_of(EACH, x), channels_of(FIRST, x), 9),
    "quantised with three": lambda x: quantised(x, 7, channels_of(EACH, x), channels_of(FIRST, x), 9, 1, channels_of(EACH, x)),
    "quantised with a bias": lambda x: quantised(x, 31, HALF, HALF, 31, bias=FIRST[1:2]),
    "quantised with biases": lambda x: quantised(x, 7, channels_of(EACH, x), HALF, 9, bias=channels_of(FIRST, x)),
    "evenly": lambda x: pointwise.evenly((x * 9).floor(), HALF.to(x.dtype), range(2, 7), 9),
    "evenly by channel": lambda x: pointwise.evenly((x * 9).floor(), channels_of(EACH, x), range(1, 10), 9),
    "arrived with gaps": lambda x: pointwise.arrived(x, x, torch.tensor([-0.5, 0.0, 0.3]).to(x.dtype)),
    "arrived": lambda x: pointwise.arrived((x * 9).floor(), x, torch.tensor([-2.0, 0.0, 3.0]).to(x.dtype)),
    "reached": reached,
    "reached by channel": lambda x: reached(x, channels_of(EACH, x), channels_of(EACH, x)),
    "reached from below": lambda x: reached(x.abs() * 1e-3, scale=torch.tensor([1e-3]), unit=ONE),
    "reached among bounds too close": lambda x: reached(x, bounds=torch.tensor([1e-30, 0.1, 0.1 + 2**-24, 0.9])),
    "fired": fired,
    "fired in seven slots": lambda x: fired(x, slots=torch.linspace(0.5, -0.1, 7)),
    "fired by channel": lambda x: fired(x, HALF, channels_of(EACH, x)),
    "looked up": lambda x: pointwise.looked_up(torch.linspace(-1, 1, 9, dtype=x.dtype), (x * 4 + 4).floor().clamp(0, 8)),
    "ones": lambda x: pointwise.ones((x.abs() * 1e6).floor(), 2),
    "signed ones": lambda x: pointwise.ones((x.abs() * 1e6).floor(), signed=True),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_loops_give_the_bits_of_plain_torch_in_every_layout(name, dtype, monkeypatch):
    monkeypatch.setattr(pointwise, "FEW", 0)
    torch.manual_seed(2)
    x = 2 * torch.rand(3, 5, 8, 9, dtype=dtype) - 1
    x.view(-1)[: len(BOUNDS)] = BOUNDS
    for values in (x, x.contiguous(memory_format=torch.channels_last), x[:, :, ::2], x.expand(2, 3, *x.shape[1:])):
        looped = CASES[name](values)
        with monkeypatch.context() as patch:
            patch.setattr(pointwise, "compiled_loops", lambda: None)
            plain = CASES[name](values)
        assert torch.equal(looped, plain)
        assert looped.dtype == dtype


@pytest.mark.parametrize("name", CASES)
def test_pieces_on_several_threads_are_the_whole(name, monkeypatch):
    x = torch.rand(7, 11)
    monkeypatch.setattr(pointwise, "FEW", 0)
    whole = CASES[name](x)
    monkeypatch.setattr(compiled, "PIECE", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert torch.equal(CASES[name](x), whole)


def test_without_a_compiler_there_are_no_loops(monkeypatch):
    monkeypatch.delattr(neurons, "pointwise_loops", raising=False)
    monkeypatch.setitem(sys.modules, "transpike.neurons.pointwise_loops", None)
    assert pointwise.compiled_loops.__wrapped__() is None


@given(st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=40))
def test_messages_are_those_of_single_potentials(values):
    x = torch.tensor(values)
    message, value = pointwise.fired(x, ONE, SLOTS, SLOTS.flip(0), HEIGHTS, ONE)
    assert message.tolist() == [literal_spikes(v, SLOTS, SLOTS.flip(0)) for v in values]
    assert value.tolist() == [
        sum(h for h, digit in zip([8, 4, 2, 1], f"{int(m):04b}", strict=True) if digit == "1") for m in message
    ]
    count, worth = pointwise.reached(x, ONE, BOUNDS, torch.arange(1.0, 6), HALF)
    assert count.tolist() == [sum(v >= float(b) for b in BOUNDS) for v in x.tolist()]
    assert torch.equal(worth, count / 2)


@given(
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=40),
    st.lists(st.floats(2.0**-100, 2.0**100, width=32), min_size=1, max_size=9, unique=True),
)
def test_bounds_are_found_by_the_highest_bits(values, bounds):
    x = torch.tensor([*values, *bounds, *(b * (1 - 2**-24) for b in bounds), math.nan])
    count, worth = pointwise.reached(x, ONE, torch.tensor(sorted(bounds)), torch.arange(1.0, len(bounds) + 1), ONE)
    assert count.tolist() == [sum(v >= b for b in bounds) for v in x.tolist()]
    assert torch.equal(worth, count)


@given(st.lists(st.integers(0, 2**24), min_size=1, max_size=40), st.integers(0, 8))
def test_digits_are_counted(numbers, drop):
    x = torch.tensor(numbers, dtype=torch.float32)
    assert pointwise.ones(x, drop).tolist() == [(n >> drop).bit_count() for n in numbers]
    assert pointwise.ones(x, signed=True).tolist() == [non_adjacent_digits(n) for n in numbers]


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("compiled", [True, False])
def test_sums_over_samples_are_those_of_all_values(order, dtype, compiled, monkeypatch):
    if not compiled:
        monkeypatch.setattr(pointwise, "compiled_loops", lambda: None)
    generator = torch.Generator().manual_seed(3)
    values = torch.randint(0, 2**20, (5, 3, 4, 7), generator=generator).to(dtype).contiguous(memory_format=order)
    for each in (values, values[:, 1:], values.transpose(0, 1), values[:0]):  # some lie in memory with gaps, or samples inside
        over = (1, 2, 3)
        assert torch.equal(pointwise.reaching(each, 2**19), (each >= 2**19).sum(over))
        assert torch.equal(pointwise.ones_of_samples(each, 2), pointwise.ones(each, 2).sum(over).long())
        assert torch.equal(pointwise.ones_of_samples(each, signed=True), pointwise.ones(each, signed=True).sum(over).long())


def test_the_smallest_number_above_0_is_a_spike():
    tiny = torch.tensor([[0.0, 1e-45, 1e-38, 1.0], [0.0, 0.0, 0.0, 0.0]])
    op = FirstSpikeTime(torch.tensor(1.0), torch.tensor(0.0), Relu())
    assert op.spikes_of_samples(tiny, 1).tolist() == op.spikes(tiny, 1).sum(1).tolist()
