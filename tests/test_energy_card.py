"""The energy card: literal counts, ranges in order, chips by their published energies, and words that say what it means."""

from __future__ import annotations

import dataclasses
import json
import math
from functools import cache

import pytest
import torch
from torch import nn

import transpike as tp
from helpers import REPRESENTATIVE_RECIPES, quick
from transpike.analysis.budgets import Activity, energy_card, on_chip, priced
from transpike.analysis.card import Budget, card_from
from transpike.analysis.operations import count_work
from transpike.analysis.saving import saving, verdict
from transpike.analysis.traffic import FLOAT32, INT8, Estimate, access, dense, matched, plan, spiking
from transpike.chips import chip_names, find_chip
from transpike.recipe import RECIPES
from transpike.report import FIGURES
from transpike.report.card import break_evens, budgets, counts, on_chips
from transpike.report.document import page

TRAINED = {"qcfs", "ttfs-clamped"}  # these need activations that were trained for them
UNTRAINED = [name for name in RECIPES if name not in TRAINED]
T = 8


@pytest.fixture(scope="module")
def cnn():
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 6, 3, padding=1), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(6 * 16, 3)).eval()
    x = torch.rand(300, 1, 8, 8)
    return model, tp.convert(model, x), x[:40]


@pytest.fixture(scope="module")
def report(cnn):
    model, network, x = cnn
    return tp.evaluate(model, network, (x, model(x).argmax(1)), T)


def test_access_is_linear_between_published_sizes():
    assert access(1000, 64) == pytest.approx(10)
    assert access(4000, 64) == pytest.approx(20)
    assert access(125_000, 64) == pytest.approx(100)
    assert access(2500, 64) == pytest.approx(15)
    sizes = [access(10**n, 8) for n in range(8)]
    assert sizes == sorted(sizes)
    assert access(1000, 8) < access(1000, 16)  # a wider word of a larger memory


def test_memory_is_the_literal_count(report):
    """Every access of the CNN written out: first layer once, then spikes of 4 x 8 x 8 and of 6 x 4 x 4 neurons."""
    card = report.card
    neurons = {layer.name: layer for layer in report.layers}
    first, second = neurons.values()
    linear = 6 * 16 * 3

    def read(count, bits):
        return access(count, bits)

    taps = (3 * 8 - 2) ** 2  # of a 3 x 3 kernel on 8 x 8, that lie inside
    static = taps * 4 * (INT8.mac + read(36, 8) + read(64, 8)) + 256 * read(256, 8)
    spikes_1, spikes_2 = first.spikes_per_neuron * 256, second.spikes_per_neuron * 96
    sops_1, sops_2 = first.synaptic_operations, second.synaptic_operations
    queue = 2 * read(4000, 16)  # a queue of 8 kB: written and read
    events = sops_1 * (read(4 * 6 * 9, 8) + 2 * read(96, 16) + INT8.ac) + sops_1 / 6 * INT8.ac
    events += spikes_1 * (queue + 2 * INT8.mac)
    events += sops_2 * (read(linear, 8) + 2 * read(3, 16) + INT8.ac) + sops_2 * INT8.ac + spikes_2 * queue
    updates = 256 * T * (INT8.ac + 2 * read(256, 16)) + 96 * (T * INT8.ac + 2 * read(96, 16))
    assert card.memory.snn.value == pytest.approx((static + events + updates) * 1e-6, rel=1e-6)
    always = 96 * (T - 1) * 2 * read(96, 16)
    assert card.memory.snn.high - card.memory.snn.value == pytest.approx(always * 1e-6, rel=1e-6)


def test_an_ann_reads_each_operand_for_every_product(cnn):
    _, network, _ = cnn
    (linear,) = (one for one in plan(network).synapses if one.channels == 1)
    for precision in (FLOAT32, INT8, matched(15)):
        found = dense([linear], precision)
        weights, values = access(288, precision.weights), access(96, precision.values)
        literal = 288 * (precision.mac + weights) + 96 * values + 3 * access(3, precision.values)
        assert found.value == pytest.approx(literal * 1e-6)
        assert found.low == pytest.approx(found.value)  # each weight of a linear layer is used once anyway


def test_arithmetic_is_that_of_the_table(report):
    for point, known in zip(report.card.points, report.checkpoints, strict=True):
        float32, bits8, _ = point.budgets
        assert float32.snn.value == pytest.approx(known.energy[0].snn)
        assert float32.snn.high == pytest.approx(known.energy[0].snn_recomputed)
        assert float32.float32.value == pytest.approx(known.energy[0].ann)
        assert bits8.int8.value == pytest.approx(0.23e-6 * report.ann_connections)
        assert bits8.matched.value <= bits8.int8.value
        assert point.bits == math.ceil(math.log2(point.time_steps + 1))
        assert point.spikes_per_neuron == pytest.approx(known.spikes_per_neuron)


def test_break_even_is_where_both_need_as_much(cnn, report):
    _, network, _ = cnn
    work = count_work(network)
    for point in report.card.points:
        if point.break_even is None:
            continue
        share = point.break_even / point.spikes_per_neuron
        layers = report.layers if point.time_steps == T else ()
        operations = {layer.name: share * layer.synaptic_operations for layer in layers}
        spikes = {layer.name: share * layer.spikes_per_neuron * layer.neurons for layer in layers}
        if layers:
            found = spiking(plan(network), operations, operations, spikes, T)
            assert found.value == pytest.approx(point.budgets[-1].matched.value, rel=1e-6)
            card = energy_card(network, work, (Activity(T, operations, operations, spikes, sum(spikes.values())),), 352, 1)
            assert card.memory.ratio("matched").value == pytest.approx(1)


@cache
def evaluated(recipe):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    x = torch.rand(200, 6)
    steps = None if RECIPES[recipe].has_window else T
    return tp.evaluate(model, tp.convert(model, x, recipe, time_steps=steps), x[:4], steps)


@pytest.mark.parametrize("recipe", quick(UNTRAINED, REPRESENTATIVE_RECIPES))
def test_every_recipe_has_a_card(recipe):
    found = evaluated(recipe)
    for point in found.card.points:
        for budget in point.budgets:
            for one in (budget.snn, budget.float32, budget.int8, budget.matched):
                assert one is None or 0 <= one.low <= one.value <= one.high < math.inf
    assert 1 <= found.card.final.bits <= 32


@pytest.mark.parametrize("recipe", quick(UNTRAINED, {"rate", "phase-binary", "population-calibrated"}))
def test_every_recipe_has_a_page(recipe):
    assert page(evaluated(recipe))


def test_chips_cost_what_is_published(report):
    priced_chips = {name for name in chip_names() if priced(find_chip(name))}
    assert {one.chip for one in report.card.chips} == priced_chips
    costs = {one.chip: one for one in report.card.chips}
    sops, neurons = report.final.synaptic_operations, report.neurons
    assert costs["truenorth"].energy.value == pytest.approx(26e-6 * sops)
    assert costs["truenorth"].energy.low == pytest.approx(2.5e-6 * sops)
    assert costs["truenorth"].latency_ms == T
    loihi = 23.6 * sops + 81 * neurons * T + 1.7 * report.final.spikes
    assert costs["loihi"].energy.value == pytest.approx(1e-6 * loihi)
    assert costs["loihi"].energy.low == pytest.approx(1e-6 * (loihi - 29 * neurons * T))


def test_idle_power_counts_where_a_step_has_a_duration(report):
    known = find_chip("loihi")
    one = next(iter(known.quantities.values()))
    more = {"idle_power": dataclasses.replace(one, value=2, low=None, high=None), "step": dataclasses.replace(one, value=500)}
    chip = dataclasses.replace(known, quantities={**known.quantities, **more})
    activity = Activity(T, {"a": 0.0}, {"a": 0.0}, {"a": 0.0}, 0.0)
    cost = on_chip(chip, activity, 0, 3)
    assert cost.latency_ms == T * 3 * 0.5
    assert cost.energy.value == pytest.approx(2 * cost.latency_ms)
    assert "idle power" in cost.counts


def test_neurobench_counts_are_literal(cnn, report):
    _, network, _ = cnn
    found = report.card.neurobench
    assert found["parameter_count"] == 36 + 216 + 288
    assert found["connection_sparsity"] == 0
    assert found["effective_acs"] == pytest.approx(report.final.synaptic_operations)
    assert found["effective_macs"] == report.static_macs
    assert found["membrane_updates"] == 352 * T
    assert found["activation_sparsity"] == pytest.approx(1 - report.spikes_per_neuron / T)
    assert found["footprint"] == sum(x.numel() * x.element_size() for n in network.nodes.values() for _, x in n.op.tensors())


def test_graded_spikes_are_multiply_accumulates(cnn):
    model, _, x = cnn
    network = tp.convert(model, torch.rand(300, 1, 8, 8), "graded")
    found = tp.evaluate(model, network, x, T)
    assert found.card.neurobench["effective_acs"] == 0
    assert found.card.neurobench["effective_macs"] == pytest.approx(found.static_macs + found.final.synaptic_operations)
    assert found.card.final.budgets[0].snn.value == pytest.approx(found.final.energy[0].snn)


def with_ratio(report, snn):
    points = report.card.points
    one = Estimate(1.0, 1.0, 1.0)
    budget = Budget("with memory", "", snn, one, one, one)
    final = dataclasses.replace(points[-1], budgets=(*points[-1].budgets[:-1], budget))
    return dataclasses.replace(report, card=dataclasses.replace(report.card, points=(*points[:-1], final)))


@pytest.mark.parametrize(
    ("snn", "words", "severity"),
    [
        (Estimate(0.1, 0.2, 0.5), "saves energy, whatever", "note"),
        (Estimate(2.0, 3.0, 9.0), "does NOT save energy", "warning"),
        (Estimate(0.1, 0.5, 2.0), "by the published count", "note"),
        (Estimate(0.5, 2.0, 3.0), "depends on the ANN", "warning"),
    ],
)
def test_words_say_whether_energy_is_saved(cnn, report, snn, words, severity):
    changed = with_ratio(report, snn)
    (finding,) = saving(changed, count_work(cnn[1]))
    assert words in finding.message
    assert verdict(changed.card) in finding.message
    assert finding.severity == severity
    assert ("MORE" in finding.message) == (snn.value > 1)


def test_the_report_has_the_finding_the_tables_and_the_figure(report):
    assert "energy-card" in {one.kind for one in report.findings}
    for table in (budgets(report), break_evens(report), on_chips(report), counts(report)):
        assert all(len(row.cells) == len(table.columns) for row in table.rows)
    text = page(report)
    assert "Energy card" in text
    assert "Effective_ACs" in text
    assert "Davidson and Furber 2021" in text
    assert FIGURES["energy_break_even"].applies(report)


def test_a_card_survives_its_file_and_old_reports_have_none(report, tmp_path):
    report.save(tmp_path / "report.json")
    assert tp.Report.load(tmp_path / "report.json") == report
    assert card_from(json.loads(report.to_json())["card"]) == report.card
    values = json.loads(report.to_json())
    del values["card"]
    (tmp_path / "old.json").write_text(json.dumps(values))
    old = tp.Report.load(tmp_path / "old.json")
    assert old.card is None
    assert 'id="card"' not in page(old)
    assert not FIGURES["energy_break_even"].applies(old)
