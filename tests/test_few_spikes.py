"""Few spikes for any network: gated neurons, functions written out, and products of spikes, each against literal loops."""

from __future__ import annotations

import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import transpike as tp
from helpers import answers, converted, largest_difference, quick, subject
from transpike import ops
from transpike.analysis.operations import count_work
from transpike.calibration import Samples
from transpike.errors import ConversionError
from transpike.network.grammar import Carried, before, carried
from transpike.neurons import FewSpike, FunctionOfSignals, GatedFewSpike, SpikeProduct, Windowed
from transpike.ops import DENSE
from transpike.passes import JitterSpikes, WriteOut, apply
from transpike.passes.encode_currents import carried_before
from transpike.passes.few_spike_ranges import gated
from transpike.passes.functions import LAYERS
from transpike.simulation.sequential import run_windows
from zoo import ANALOGUE

FUNCTIONS = {
    "exponential": (ops.Exponential(), (-1e9, 0.0), False),
    "gelu": (ops.Gelu(), (-9.0, 8.0), False),
    "silu": (ops.Silu(), (-8.0, 12.0), False),
    "mish": (ops.Mish(), (-8.0, 8.0), False),
    "elu": (ops.Elu(0.7), (-6.0, 3.0), False),
    "sigmoid": (ops.Sigmoid(), (-9.0, 9.0), False),
    "tanh": (ops.Tanh(), (-5.0, 5.0), False),
    "softplus": (ops.Softplus(), (-9.0, 9.0), False),
    "hardswish": (ops.Hardswish(), (-5.0, 5.0), False),
    "logarithm": (ops.Logarithm(), (1.0, 200.0), False),
    "root": (ops.Power(0.5), (0.0, 9.0), False),
    "reciprocal": (ops.Power(-1.0), (1.0, 200.0), True),
    "reciprocal root": (ops.Power(-0.5), (1e-3, 100.0), True),
    "negative reciprocal": (ops.Power(-1.0), (-7.0, -0.5), True),
}
SMALL = (nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 3))


def neurons(name, steps=8, ranges=16):
    op, span, relative = FUNCTIONS[name]
    programs, error, largest = gated(op, span, steps, ranges, relative)
    one, none = torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    return GatedFewSpike(one, none, op, None, None, 0, *programs), error, largest


def literally(op, x):
    """Run all programs for one input: those of the other parts of the range stay silent. Returns (train, value, potentials)."""
    bounds, widths, heights = op.bounds.tolist(), op.widths.tolist(), op.heights.tolist()
    mine = max([g for g, bound in enumerate(bounds) if x >= bound], default=0)
    if not any(heights[mine]):
        return [0] * len(heights[mine]), 0.0, [x] * len(heights[mine])
    v, train, value, potentials = x - bounds[mine], [], 0.0, []
    for k, height in enumerate(heights[mine], 1):
        fires = k == 1 or v >= widths[mine] * 2.0 ** (1 - k)
        v -= widths[mine] * 2.0 ** (1 - k) * (fires and k > 1)
        train.append(int(fires))
        value += height * fires
        potentials.append(v)
    return train, value, potentials


@pytest.mark.parametrize("name", FUNCTIONS)
@given(place=st.floats(-0.1, 1.1), steps=st.integers(2, 9), ranges=st.sampled_from([1, 2, 5, 16]))
@settings(max_examples=25)
def test_gated_neurons_equal_their_programs(name, place, steps, ranges):
    """Spikes, counts, first times, what arrived by each slot, and potentials, also outside of the range."""
    op, _, _ = neurons(name, steps, ranges)
    low, high = float(op.bounds[0]), float(op.bounds[-1] + op.widths[-1])
    x = low + place * (high - low)
    train, value, potentials = literally(op, x)
    message = op.encoded(torch.tensor([x], dtype=torch.float64), steps)
    assert [float(op.train(message, k, steps)) for k in range(1, steps + 1)] == train
    assert [float(op.spikes(message, steps, k)) for k in range(1, steps + 1)] == [sum(train[:k]) for k in range(1, steps + 1)]
    assert float(op.times(message, steps)) == (train.index(1) + 1 if any(train) else math.inf)
    assert float(op.value(message, steps)) == pytest.approx(value, abs=1e-9)
    assert float(op.delivered(message, steps, steps)) == pytest.approx(value, abs=1e-9)
    after = [float(op.transmitting(torch.tensor([x], dtype=torch.float64), message, k, steps)) for k in range(1, steps + 1)]
    assert after == pytest.approx(potentials, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_programs_fit_as_well_as_they_say(name):
    """In the root mean square over the range; 16 neurons of eight slots are within 1 % of a factor or 0.5 % of the largest."""
    function, _, relative = FUNCTIONS[name]
    op, error, largest = neurons(name)
    places = [torch.linspace(0, 1, 401, dtype=torch.float64)[:-1] * w + b for b, w in zip(op.bounds, op.widths, strict=True)]
    x, weight = torch.stack(places), op.widths / op.widths.sum()
    inside = (op.heights != 0).sum(1) > 1  # what is constant is exact
    x, weight = x[inside], op.widths[inside] / op.widths[inside].sum()
    wanted = function(x)
    off = (op.value(op.encoded(x, 8), 8) - wanted) / (wanted if relative else 1)
    assert float((off.square().mean(1) * weight).sum().sqrt()) == pytest.approx(error, rel=0.05)
    assert off.abs().max() <= largest * (1 + 1e-9)
    assert error < (0.011 if relative else 0.005 * float(wanted.abs().max()))


@pytest.mark.parametrize("name", ["exponential", "gelu", "tanh", "reciprocal"])
def test_errors_fall_with_the_square_of_the_number_of_neurons(name):
    errors = [neurons(name, 10, ranges)[1] for ranges in (8, 16, 32)]
    assert errors[0] > 3 * errors[1] > 9 * errors[2]


def test_nothing_is_spent_where_a_function_is_constant():
    """Masked scores are 1e9 below the others: silent, without a spike, and no neuron is there for them."""
    op, _, _ = neurons("exponential")
    assert -20 < float(op.bounds[0]) < -5
    message = op.encoded(torch.tensor([-1e9, -50.0], dtype=torch.float64), 8)
    assert op.spikes(message, 8).tolist() == [0, 0] == op.value(message, 8).tolist()


@pytest.mark.parametrize("name", quick(ANALOGUE))
def test_written_out_networks_compute_the_same(name):
    """In float64 to 1e-9; nothing is left but what is linear, of one value, a product, or the largest of a softmax."""
    _, inputs, network = subject(name)
    written = apply([WriteOut()], network, Samples())
    assert largest_difference(answers(written, inputs), answers(network, inputs)) < 1e-9
    followed, kinds = before(written, *LAYERS), carried_before(written)
    left = [node for node in written.having(ops.Softmax, ops.GroupNorm, ops.RMSNorm, ops.Divide) if node.name in followed]
    assert {kinds[source] for node in left for source in node.inputs} <= {Carried.STATIC}


@pytest.mark.parametrize("name", quick(ANALOGUE))
def test_the_answer_of_few_spikes_comes_near(name):
    """Within 5 % of the ANN's output, with random weights and eight slots."""
    inputs, network = converted(name, tp.recipes["few-spike"], 8)
    for found, wanted in zip(outputs_of(network, inputs), answers(network.analogue(), inputs), strict=True):
        assert float((found - wanted).norm() / wanted.norm()) < 0.05


def outputs_of(network, inputs):
    outputs = tp.simulate(network, inputs).outputs
    return [outputs[-1]] if isinstance(outputs, torch.Tensor) else [one[-1] for one in outputs.values()]


@pytest.mark.parametrize("name", ["vision-transformer", "decoder", "windows"])
def test_weights_and_products_read_spikes_alone(name):
    _, network = converted(name, tp.recipes["few-spike"], 8)
    kinds = carried(network)
    readers = [n for n in network.having(*DENSE, SpikeProduct) if kinds[n.name] is not Carried.ANSWER]
    assert {kinds[source] for node in readers for source in node.inputs} <= {Carried.SPIKES, Carried.STATIC}
    rest = {type(node.op.analogue()) for node in network.having(FunctionOfSignals) if not isinstance(node.op, SpikeProduct)}
    assert rest <= {ops.Largest}
    work = count_work(network)
    assert (work.current_macs, work.current_nodes) == (0, ())


@pytest.mark.parametrize("name", ["vision-transformer", "decoder"])
def test_each_value_is_the_function_of_what_its_neurons_received(name):
    """Every neuron on its own: within the largest error that its finding states, or half a bit."""
    inputs, network = converted(name, tp.recipes["few-spike"], 8)
    analogue = network.analogue()
    windows = run_windows(network, inputs, 8)
    for node in network.having(Windowed):
        received, sent = windows.received(node.name, 8), node.op.value(windows.messages[node.name], 8)
        wanted = analogue.nodes[node.name].op(received)
        if isinstance(node.op, FewSpike):
            wanted = wanted.clamp(max=node.op.threshold)
            assert ((sent - wanted).abs() <= node.op.threshold / 510 * (1 + 1e-6)).all()
            continue
        (said,) = [one.message for one in network.findings if one.node == node.name and one.kind == "few-spike-fit"]
        largest, unit = re.search(r"square, ([0-9.]+)( %)? at most", said).groups()
        bound = (float(largest) + 1e-4) * (0.01 * wanted.abs() if unit else 1.0)
        low, high = float(node.op.bounds[0]), float(node.op.bounds[-1] + node.op.widths[-1])
        inside = (received >= low) & (received <= high)
        assert ((sent - wanted).abs() <= bound)[inside].all(), said


def test_products_are_sums_over_pairs_of_spikes():
    """Of every pair of slots in which both have fired, and each is one synaptic operation."""
    inputs, network = converted("decoder", tp.recipes["few-spike"], 8)
    windows, work = run_windows(network, inputs, 8), count_work(network)
    met = work.meetings(windows.spikes_by())
    direct = [node for node in network.having(SpikeProduct) if all(source in windows.messages for source in node.inputs)]
    assert direct
    for node in direct:
        (a, one), (b, other) = [(windows.messages[source], network.nodes[source].op) for source in node.inputs]
        total, pairs = 0.0, 0.0
        for i in range(1, 9):
            for j in range(1, 9):
                left, right = one.train(a, i, 8), other.train(b, j, 8)
                first, second = (
                    op.delivered(m, k, 8) - (op.delivered(m, k - 1, 8) if k > 1 else 0)
                    for op, m, k in ((one, a, i), (other, b, j))
                )
                total = total + node.op.op(first, second)
                pairs += float(node.op.op(left, right).sum())
        torch.testing.assert_close(total, windows.before.get(node.name, node.op.op(one.value(a, 8), other.value(b, 8))))
        assert pairs == met[node.name]


def test_reports_name_the_level_and_its_shares():
    model, x = nn.Sequential(*SMALL).eval(), torch.randn(64, 6)
    network = tp.convert(model, x, "few-spike")
    report = tp.evaluate(model, network, (x, torch.zeros(64, dtype=torch.long)))
    work = count_work(network)
    spikes = tp.simulate(network, x).spike_counts
    met = work.meetings(run_windows(network, (x,), 8).spikes_by())
    assert report.level == "few-spike"
    assert report.shares.graded == 0
    assert report.final.synaptic_operations >= sum(met.values()) / 64
    assert set(met) == {node.name for node in network.having(SpikeProduct)}
    assert set(spikes) == {node.name for node in network.having(Windowed)}
    assert report.members == 16


def test_quotients_by_what_comes_near_0_are_refused():
    class Quotient(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 6), nn.Linear(3, 2)

        def forward(self, x):
            a, b = self.first(x).chunk(2, -1)
            return self.last(a / b)

    with pytest.raises(
        ConversionError, match=r"Power 'div.reciprocal'.* no program of spikes fits it. Take recipe differential"
    ):
        tp.convert(Quotient().eval(), torch.randn(64, 4), "few-spike")


def test_gated_neurons_come_back_from_disk_and_are_diagnosed(tmp_path):
    model, x = nn.Sequential(*SMALL).eval(), torch.randn(64, 6)
    network = tp.convert(model, x, "few-spike")
    assert {layer.name for layer in tp.diagnose(model, network, x).layers} <= {node.name for node in network.having(Windowed)}
    with pytest.raises(ConversionError, match="no rule for those that arrive in another slot"):
        JitterSpikes(0.5)(network, Samples())
    tp.save(network, tmp_path / "net")
    assert torch.equal(*(tp.simulate(one, x).outputs for one in (network, tp.load(tmp_path / "net"))))
