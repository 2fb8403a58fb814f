"""Recurrent networks: a loop is its elements written out, for every model of the list and every way to look at it."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

import transpike as tp
from helpers import answers, largest_difference, quick, recurrent, spiking_loop
from reference import simulate_literally
from transpike.analysis.connections import connections, fan_outs
from transpike.analysis.operations import count_work
from transpike.capture import capture
from transpike.errors import ArgumentError, CaptureError, ConversionError
from transpike.network import forward, shapes
from transpike.network.grammar import Carried, carried
from transpike.network.loops import loops, membership
from transpike.network.turns import turns
from transpike.neurons import IntegrateAndFire, MeanFunction, Neuron, Population
from transpike.ops import Linear, Multiply
from unrolled import at, unrolled
from zoo.recurrent import ELEMENTS, RECURRENT

IN_WINDOWS = ("few-spike", "binary-value", "population-normal", "population-quantile", "population-calibrated")
WHOLE = [name for name in RECURRENT if name != "crossed"]
SPIKES = Carried.SPIKES
RECTIFIED = ("elman-relu", "elman-relu-both")


def beside(counts, name, loop_nodes):
    """Return the values of all elements of a node of a loop from those of the network written out."""
    if name not in loop_nodes:
        return counts[name]
    return torch.stack([counts[at(name, element)] for element in range(ELEMENTS)], 1)


@pytest.mark.parametrize("name", RECURRENT)
def test_captured_network_computes_what_the_model_does(name):
    model, inputs, network = recurrent(name)
    expected = [model(*inputs)]
    assert largest_difference(answers(network, inputs), expected) < 1e-12
    assert bool(loops(network)) == (name != "crossed")


@pytest.mark.parametrize("name", RECURRENT)
def test_a_loop_is_its_elements_written_out(name):
    _, inputs, network = recurrent(name)
    assert largest_difference(answers(network, inputs), answers(unrolled(network), inputs)) < 1e-12


@pytest.mark.parametrize("recipe", IN_WINDOWS)
@pytest.mark.parametrize("name", quick(WHOLE))
def test_windows_of_a_loop_are_those_of_its_elements(name, recipe):
    """Same answers, the same spikes of every neuron at every element, and as many windows as the longest path has layers."""
    _, inputs, network = spiking_loop(name, recipe)
    flat, inside = unrolled(network), membership(network)
    names = [node.name for node in network.having(Neuron)]
    run = tp.simulate(network, inputs, record=tp.Record(counts=names), block=8)
    other = tp.simulate(flat, inputs, record=tp.Record(counts=[node.name for node in flat.having(Neuron)]), block=8)
    torch.testing.assert_close(run.outputs[-1], other.outputs[-1], rtol=0, atol=1e-12)
    for one in names:
        assert torch.equal(run.counts[one], beside(other.counts, one, inside))
    assert max(turns(network).values()) == max(turns(flat).values())


@pytest.mark.parametrize("name", RECTIFIED)
def test_integrate_and_fire_neurons_in_a_loop_are_those_of_its_elements(name):
    """Elman networks after Diehl et al. 2016: a window of steps for each element, its spikes a window later at the next."""
    _, inputs, network = spiking_loop(name, "rate")
    flat, inside = unrolled(network), membership(network)
    outputs, spikes = simulate_literally(flat, inputs, 12)
    names = [node.name for node in network.having(IntegrateAndFire)]
    run = tp.simulate(network, inputs, 12, record=tp.Record(counts=names))
    torch.testing.assert_close(run.outputs, torch.from_numpy(outputs["output"]), rtol=0, atol=1e-12)
    for one in names:
        literal = {key: torch.from_numpy(train.sum(0)).double() for key, train in spikes.items()}
        assert torch.equal(run.counts[one], beside(literal, one, inside))


def test_rate_coding_of_an_elman_network_converges():
    model, inputs, network = spiking_loop("elman-relu", "rate")
    errors = [(tp.simulate(network, inputs, steps).outputs[-1] - model(*inputs)).abs().max().item() for steps in (32, 512)]
    assert errors[1] < 0.02
    assert errors[1] < errors[0] / 4


@pytest.mark.parametrize("recipe", [*IN_WINDOWS, "rate"])
@pytest.mark.parametrize("name", quick(WHOLE))
def test_connections_of_a_loop_are_those_of_its_elements(name, recipe):
    if recipe == "rate" and name not in RECTIFIED:
        return
    _, _, network = spiking_loop(name, recipe)
    flat, inside = unrolled(network), membership(network)
    found, expected = fan_outs(network), fan_outs(flat)
    for one, reach in found.items():
        wanted = [expected[at(one, element)] for element in range(ELEMENTS)] if one in inside else [expected[one]]
        torch.testing.assert_close(reach, torch.stack(wanted) if one in inside else wanted[0])
    work, other = count_work(network), count_work(flat)
    assert (work.ann_macs, work.ann_connections) == (other.ann_macs, other.ann_connections)
    # written out, what the first element does with its constant states counts as static, also where spikes follow
    sizes, kinds = shapes(network), carried(network)
    spiked = [node for node in network.having(Linear) if node.inputs[0] in network.previous and kinds[node.inputs[0]] is SPIKES]
    first = sum(connections(node.op, [sizes[node.inputs[0]]], sizes[node.name]) for node in spiked)
    assert work.static_macs + work.current_macs + first == other.static_macs + other.current_macs


@pytest.mark.parametrize("name", quick(WHOLE))
def test_network_is_kept_on_disk(name, tmp_path):
    _, inputs, network = spiking_loop(name, "population-normal")
    tp.save(network, tmp_path / "out")
    again = tp.load(tmp_path / "out")
    assert again.previous == network.previous
    assert torch.equal(tp.simulate(network, inputs).outputs, tp.simulate(again, inputs).outputs)


@pytest.mark.parametrize("name", quick(WHOLE))
def test_parts_of_the_loss_add_up_in_a_loop(name):
    """Each gate and state has a row; a layer that alone adds no error leaves the answer as it was where it added none."""
    model, inputs, network = spiking_loop(name, tp.recipes["population-quantile"].with_population(6))
    found = tp.diagnose(model, network, inputs)
    assert {layer.name for layer in found.layers} == {node.name for node in network.having(Neuron)}
    assert all(layer.unevenness.mean_square < 1e-20 for layer in found.layers)
    assert max(layer.cost for layer in found.layers) > 0


def test_a_layer_that_is_made_exact_takes_its_share_of_the_loss():
    """The cost that the diagnosis states is what simulating with that gate as in the ANN would change."""
    model, inputs, network = spiking_loop("lstm", tp.recipes["population-quantile"].with_population(5))
    found = tp.diagnose(model, network, inputs)
    truth = model(*inputs)
    total = (tp.simulate(network, inputs).outputs[-1] - truth).square().sum()
    for layer in found.layers:
        fine = tp.recipes["population-quantile"].with_population(5, {layer.name: 200_000})
        mended = spiking_loop("lstm", fine)[2]
        left = (tp.simulate(mended, inputs).outputs[-1] - truth).square().sum()
        assert layer.cost == pytest.approx(float((1 - left / total).detach()), abs=0.35)


@pytest.mark.parametrize("name", ["elman", "lstm"])
def test_report_counts_spikes_over_the_whole_sequence(name):
    model, inputs, network = spiking_loop(name, "population-quantile")
    report = tp.evaluate(model, network, (*inputs, torch.zeros(8, dtype=torch.long)))
    counts = tp.simulate(network, inputs).spike_counts
    units = sum(layer.neurons for layer in report.layers)
    assert report.neurons == units
    assert report.spikes_per_neuron * units * 8 == pytest.approx(float(sum(count.sum() for count in counts.values())))
    inside = membership(network)
    assert all(layer.elements == (ELEMENTS if layer.name in inside else 1) for layer in report.layers)


def test_products_multiply_means_at_every_step():
    generator = torch.Generator().manual_seed(0)
    one, two = torch.rand(2, 9, 4, 3, generator=generator, dtype=torch.float64)
    op = MeanFunction(Multiply())
    state, total = op.start(one[0]), torch.zeros(4, 3, dtype=torch.float64)
    for t in range(9):
        total += op.step(state, one[t], two[t])
        torch.testing.assert_close(total / (t + 1), one[: t + 1].mean(0) * two[: t + 1].mean(0))


def test_rate_coding_with_a_gate_between_relus_converges():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.head = nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(8, 2)

        def forward(self, x):
            return self.head(torch.relu(self.a(x)) * torch.relu(self.b(x)))

    torch.manual_seed(0)
    model, x = Gated().eval(), torch.rand(64, 6)
    network = tp.convert(model, x)
    assert [type(node.op) for node in network.nodes.values()].count(MeanFunction) == 1
    assert not network.having(Multiply)
    assert (tp.simulate(network, x, 512).outputs[-1] - model(x)).abs().max() < 0.02


@pytest.mark.parametrize("recipe", ["rate", "phase", "graded", "ttfs-base", "dcgs"])
def test_recipes_without_a_rule_for_gates_say_what_to_take(recipe):
    model, inputs, _ = recurrent("lstm")
    with pytest.raises(
        ConversionError, match=r"Sigmoid 'layer.input_gate' .* stands in a recurrent layer.*population-quantile"
    ):
        tp.convert(model, inputs[0], recipe)


def test_recipes_that_correct_layer_by_layer_refuse_loops():
    model, inputs, _ = recurrent("elman-relu")
    with pytest.raises(ConversionError, match=r"recurrent"):
        tp.convert(model, inputs[0], "ls-tg", time_steps=4)


def test_padding_with_other_than_zero_is_refused():
    class Padded(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.GRU(3, 2, batch_first=True)

        def forward(self, x, lengths):
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            return nn.utils.rnn.pad_packed_sequence(self.layer(packed)[0], batch_first=True, padding_value=1.0)[0]

    with pytest.raises(CaptureError, match=r"pads sequences with 1\.0: only 0 can be captured"):
        capture(Padded().eval(), [torch.rand(4, 5, 3), torch.tensor([5, 2, 3, 1])])


def test_time_first_outputs_are_refused_with_what_to_do():
    with pytest.raises(CaptureError, match="has not the batch alone as axis 0: return it so"):
        capture(Turned().eval(), [torch.rand(4, 5, 3)])


class Turned(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.GRU(3, 2)

    def forward(self, x):
        return self.layer(x.transpose(0, 1))[0]


def test_batch_that_is_taken_for_time_is_refused():
    class Confused(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.GRU(3, 2)  # batch_first is missing

        def forward(self, x):
            return self.layer(x)[0][:, -1]

    with pytest.raises(CaptureError, match=r"takes the axis of the batch for that of time\. Set batch_first"):
        capture(Confused().eval(), [torch.rand(4, 5, 3)])


def test_two_loops_must_not_meet_inside():
    _, _, network = recurrent("packed")
    a, b = (loop.nodes[0] for loop in list(loops(network).values())[:2])
    node = dataclasses.replace(network.nodes["head"], name="bad", op=Linear(torch.zeros(1, 1)), inputs=(a, b))
    with pytest.raises(ArgumentError, match="collect their values first"):
        membership(dataclasses.replace(network, nodes={**network.nodes, "bad": node}))


def test_long_sequences_take_one_row_of_nodes():
    """Capture does not write out 300 elements, and the observed values are those of all elements."""
    model = RECURRENT["lstm"]()[0]
    network = capture(model, [torch.rand(3, 300, 3)])
    assert len(network.nodes) < 40
    seen = {}
    forward(network, [torch.rand(3, 300, 3)], seen.__setitem__)
    assert seen["layer.forget_gate"].shape == (900, 4)


def test_populations_in_a_gate_have_the_sizes_that_were_asked_for():
    _, _, network = spiking_loop("lstm", tp.recipes["population-quantile"].with_population(10, {"*.forget_gate": 40}))
    sizes = {node.name: node.op.members for node in network.having(Population)}
    assert sizes == {
        "layer.input_gate": 10,
        "layer.forget_gate": 40,
        "layer.output_gate": 10,
        "layer.candidate": 20,
        "layer.cell_output": 20,
    }
