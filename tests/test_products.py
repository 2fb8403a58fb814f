"""Products of gates: of values or of numbers of spikes, and encoded anew before weights read them."""

from __future__ import annotations

import pytest
import torch

import transpike as tp
from helpers import answers, largest_difference, quick, recurrent, spiking_loop
from transpike.analysis.operations import count_work
from transpike.errors import ArgumentError
from transpike.network import shapes
from transpike.network.grammar import Carried, carried
from transpike.neurons import CountProduct, Levels, MeanFunction, Neuron, Population
from transpike.ops import Linear, Multiply
from transpike.passes import CalibratedThresholds, InsertPopulations, MultiplyCounts, MultiplyMeans, QuantileThresholds
from unrolled import unrolled

POPULATIONS = ("population-normal", "population-quantile")
GATED = ("lstm", "lstm-projected", "gru", "packed", "tagged", "cells", "convolved", "normal-lstm")
UNGATED = ("elman", "elman-relu", "normal-rnn")


def with_relays(name, recipe):
    recipe = tp.recipes[recipe]
    return spiking_loop(name, (recipe.with_window(3) if recipe.name == "few-spike" else recipe).with_relays())


@pytest.mark.parametrize("recipe", ["few-spike", "binary-value", *POPULATIONS])
@pytest.mark.parametrize("name", quick(GATED))
def test_behind_relays_weights_read_spikes_alone(name, recipe):
    """And the network is still that of the ANN; without relays the recurrent weights read numbers."""
    model, inputs, network = with_relays(name, recipe)
    kinds = carried(network)
    assert {kinds[node.inputs[0]] for node in network.having(Linear)} <= {Carried.SPIKES, Carried.STATIC}
    assert (count_work(network).current_macs, count_work(network).current_nodes) == (0, ())
    assert largest_difference(answers(network.analogue(), inputs), [model(*inputs)]) < 1e-12


@pytest.mark.parametrize("name", quick(GATED))
def test_relays_in_a_loop_are_those_of_its_elements(name):
    _, inputs, network = with_relays(name, "population-quantile")
    run, other = tp.simulate(network, inputs, block=8), tp.simulate(unrolled(network), inputs, block=8)
    torch.testing.assert_close(run.outputs[-1], other.outputs[-1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", quick(GATED))
def test_error_of_relays_falls_as_their_populations_grow(name):
    """As 1/N, from 10 to 1,000 neurons: at least by a factor of 20, the gates having 10,000."""
    model, inputs, _ = recurrent(name)
    recipe, errors = tp.recipes["population-quantile"], []
    for size in (10, 1000):
        network = spiking_loop(name, recipe.with_population(10_000, {"*.relay": size}).with_relays())[2]
        errors.append(float((tp.simulate(network, inputs).outputs[-1] - model(*inputs)).detach().square().mean().sqrt()))
    assert errors[1] < errors[0] / 20


def test_one_relay_serves_all_weights_behind_a_state():
    _, _, network = with_relays("lstm", "binary-value")
    assert [name for name in network.nodes if name.endswith(".relay")] == ["layer.hidden_state.relay"]
    held = {"layer.previous_h.relayed": "layer.hidden_state.relay", "layer.previous_c": "layer.cell_state"}
    assert network.previous == held


def test_a_state_that_is_kept_stays_a_number_beside_what_weights_read():
    _, _, network = with_relays("gru", "binary-value")
    held = {"layer.previous_h.relayed": "layer.hidden_state.relay", "layer.previous_h": "layer.hidden_state"}
    assert network.previous == held


@pytest.mark.parametrize("name", UNGATED)
def test_networks_without_products_get_no_relays(name):
    assert set(with_relays(name, "binary-value")[2].nodes) == set(spiking_loop(name, "binary-value")[2].nodes)


@pytest.mark.parametrize("recipe", POPULATIONS)
@pytest.mark.parametrize("name", quick(GATED))
def test_products_of_counts_are_those_of_values(name, recipe):
    """Whole numbers in between: only the last bits differ. Every product of an LSTM or GRU has a population for a factor."""
    _, inputs, network = spiking_loop(name, recipe)
    _, _, counting = spiking_loop(name, tp.recipes[recipe].with_products(MultiplyCounts()))
    assert len(counting.having(CountProduct)) == len(counting.having(MeanFunction)) == len(network.having(MeanFunction))
    torch.testing.assert_close(tp.simulate(counting, inputs).outputs, tp.simulate(network, inputs).outputs, rtol=0, atol=1e-12)
    work = count_work(counting)
    assert (work.products, work.multiplications, len(work.count_products)) == ((), 0, len(counting.having(CountProduct)))


def test_a_product_of_counts_is_repeated_addition():
    """Literally: each spike of one population adds the whole number of spikes of the other."""
    generator = torch.Generator().manual_seed(0)
    base, up, down, size = 0.125, 1 / 300, 1 / 700, 1000
    a, b = (torch.randint(-size, size, (50,), generator=generator) for _ in range(2))
    first, second = Levels(0.0, 1 / 512, 1 / 512), Levels(base, up, down)
    values = a.double() / 512, torch.where(b > 0, base + up * b.double(), base + down * b.double())
    found = CountProduct(Multiply(), (), first, second).of_means(*values)
    for i in range(50):
        total = 0
        for _ in range(abs(int(a[i]))):
            total += int(b[i]) * (1 if a[i] > 0 else -1)
        expected = base * int(a[i]) / 512 + (up if b[i] > 0 else down) / 512 * total
        assert float(found[i]) == pytest.approx(expected, abs=1e-12)
    swapped = CountProduct(Multiply(), (), None, first).of_means(values[1], values[0])
    torch.testing.assert_close(swapped, values[0] * values[1], rtol=0, atol=1e-12)


def test_counts_of_whole_levels_are_exact_in_float32():
    """2^24 and beyond, where float32 alone would round: 10,000 times 9,999."""
    step = Levels(0.0, 1.0, 1.0)
    product = CountProduct(Multiply(), (), step, step).of_means(
        torch.tensor([10_000.0, 9_999.0]), torch.tensor([9_999.0, -9_999.0])
    )
    assert product.tolist() == torch.tensor([99_990_000, -99_980_001], dtype=torch.float64).float().tolist()


def test_neurons_with_weights_of_their_own_are_no_counts():
    recipe = tp.recipes["population-calibrated"].with_products(MultiplyCounts())
    assert not spiking_loop("lstm", recipe)[2].having(CountProduct)
    shifted = CalibratedThresholds(QuantileThresholds(), calibrated=False)
    mismatched = spiking_loop("lstm", recipe.with_pass(InsertPopulations(shifted, 20)))[2]
    pairs = {node.name for node in mismatched.having(CountProduct)}
    assert pairs == {"layer.kept", "layer.written", "layer.hidden_state"}
    tanh = mismatched.nodes["layer.cell_output"].op
    assert isinstance(tanh, Population)
    assert mismatched.nodes["layer.hidden_state"].op.second is None  # neurons of either sign may fire at once


def test_report_says_which_operations_are_spikes():
    model, inputs, network = spiking_loop("lstm", "population-quantile")
    _, _, counting = spiking_loop("lstm", tp.recipes["population-quantile"].with_products(MultiplyCounts()).with_relays())
    labelled = (*inputs, torch.zeros(8, dtype=torch.long))
    plain, spiked = tp.evaluate(model, network, labelled), tp.evaluate(model, counting, labelled)
    words = {finding.kind: finding.message for finding in plain.findings}
    assert "multiply what two signals stand for, which no spikes do: 60 multiplications per sample" in words["products"]
    assert "dense-currents" in words
    words = {finding.kind: finding.message for finding in spiked.findings}
    assert "multiply numbers of spikes: each spike adds the other factor once" in words["count-products"]
    assert not {"products", "dense-currents"} & set(words)
    assert plain.current_macs > 0 == spiked.current_macs
    assert {layer.name for layer in spiked.layers} - {layer.name for layer in plain.layers} == {"layer.hidden_state.relay"}
    assert spiked.final.synaptic_operations > plain.final.synaptic_operations
    assert spiked.turns.windows == plain.turns.windows + 5


def test_networks_with_relays_and_counts_are_kept_on_disk(tmp_path):
    _, inputs, network = spiking_loop("gru", tp.recipes["population-normal"].with_products(MultiplyCounts()).with_relays())
    tp.save(network, tmp_path / "out")
    again = tp.load(tmp_path / "out")
    assert torch.equal(tp.simulate(network, inputs).outputs, tp.simulate(again, inputs).outputs)
    assert shapes(again) == shapes(network)
    stream = tp.Stream(again)
    for element in inputs[0].unbind(1):
        answer = stream.feed(element)
    torch.testing.assert_close(answer, tp.simulate(network, inputs).outputs[-1], rtol=0, atol=1e-12)
    assert all(isinstance(node.op, Neuron) for node in again.nodes.values() if node.name.endswith(".relay"))


def test_recipes_that_cannot_say_what_to_take():
    with pytest.raises(ArgumentError, match=r"'rate' has no neurons for y = x: take few-spike, binary-value"):
        tp.recipes["rate"].with_relays()
    with pytest.raises(ArgumentError, match="In recipe 'few-spike' a number of spikes is no value"):
        tp.recipes["few-spike"].with_products(MultiplyCounts())
    back = tp.recipes["population-normal"].with_products(MultiplyCounts()).with_products(MultiplyMeans())
    assert back.passes == tp.recipes["population-normal"].passes
