"""Chips: files that are complete or refused with the reason, and networks that fit one or do not."""

from __future__ import annotations

import itertools
import json
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import transpike as tp
from helpers import converted, spiking_of
from transpike.analysis.operations import count_work
from transpike.analysis.traffic import plan
from transpike.capture import capture
from transpike.chips import CONFIDENCES, QUANTITIES, chip_names, chip_page, find_chip, read_chip
from transpike.cli import app
from transpike.errors import ArchiveError, ArgumentError, DataError, TranspikeWarning
from transpike.network.grammar import Carried
from transpike.neurons import Neuron
from transpike.placement import RULES
from transpike.placement.layers import demand
from transpike.placement.rules.convolution import as_core, bits
from transpike.placement.windows import Patch, seen
from transpike.recipe import RECIPES
from zoo.recurrent import Last

PAGE = Path(__file__).parent.parent / "docs" / "chips.md"


def convolution(inputs, outputs, kernel, padding=0, stride=1):
    return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding, bias=False)


def published_network(outputs=1):
    """Return the network of nine cores in the vendor tool's own tests (sinabs, tests/test_dynapcnn/test_large_net.py)."""
    return nn.Sequential(
        *(convolution(2, 16, 2, stride=2), nn.ReLU()),
        *(convolution(16, 16, 3, 1), nn.ReLU(), nn.AvgPool2d(2)),
        *(convolution(16, 32, 3, 1), nn.ReLU(), nn.AvgPool2d(2)),
        *(convolution(32, 32, 3, 1), nn.ReLU(), nn.AvgPool2d(2)),
        *(convolution(32, 64, 3, 1), nn.ReLU(), nn.AvgPool2d(2)),
        *(convolution(64, 64, 3, 1), nn.ReLU(), nn.AvgPool2d(2)),
        *(convolution(64, 256, 2), nn.ReLU()),
        *(convolution(256, 128, 1), nn.ReLU()),
        *(convolution(128, outputs, 1), nn.ReLU(), nn.Flatten()),
    ).eval()


def spiking(model, *shape, recipe="rate", time_steps=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TranspikeWarning)  # few samples: only shapes matter here
        return tp.convert(model.eval(), torch.rand(8, *shape), recipe, time_steps=time_steps)


@pytest.fixture(scope="module")
def nine():
    torch.manual_seed(0)
    return spiking(published_network(), 2, 128, 128)


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return spiking(nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3)), 16)


@pytest.mark.parametrize("name", chip_names())
def test_every_value_has_unit_source_year_and_confidence(name):
    chip = find_chip(name)
    assert chip.quantities
    assert chip.placement is None or chip.placement in RULES
    for key, one in chip.quantities.items():
        assert one.unit == QUANTITIES[key].unit
        assert one.source
        assert 1980 < one.year < 2100
        assert one.confidence in CONFIDENCES


def test_chips_with_a_rule_have_what_it_needs():
    chips = [find_chip(name) for name in chip_names()]
    assert set(RULES) == {chip.placement for chip in chips} - {None}
    for chip in chips:
        if chip.placement:
            assert set(RULES[chip.placement].needs) <= set(chip.quantities), chip.name


def test_the_page_is_that_of_the_files():
    assert PAGE.read_text() == chip_page(map(find_chip, chip_names()))


GOOD = """title: Mine
year: 2026
circuits: digital
placement: neurons-per-core
abilities: [programs]
quantities:
  cores: {value: 2, unit: "1", source: me, year: 2026, confidence: measured}
  neurons_per_core: {value: 8, unit: "1", source: me, year: 2026, confidence: measured}
"""


def written(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return path


def test_a_file_of_ones_own(tmp_path, small):
    found = tp.fit(small, str(written(tmp_path, GOOD)))
    assert found.fits
    assert (found.cores, found.available) == (2, 2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title: Mine\n", "", "title missing"),
        ("circuits: digital", "circuits: digitall", "Did you mean 'digital'"),
        ("neurons_per_core:", "neuron_per_core:", "Did you mean 'neurons_per_core'"),
        (
            'unit: "1", source: me, year: 2026, confidence: measured}\n  n',
            "unit: pJ, source: me, year: 2026, confidence: measured}\n  n",
            "the unit must be '1'",
        ),
        ("confidence: measured", "confidence: sure", "Confidence 'sure' is unknown"),
        ("value: 2,", "value: -2,", "no number of at least 0"),
        ("value: 2,", "value: two,", "no number"),
        ("value: 2,", "value: 0,", "whole number of at least 1"),
        ("value: 2,", "value: 2.5,", "whole number of at least 1"),
        (
            "quantities:\n",
            'quantities:\n  kernel_entries: {value: [1, 2, 3], unit: "1", source: me, year: 2026, confidence: measured}\n',
            "one entry for each core",
        ),
        ("value: 2,", "value: [2],", "one number"),
        ("value: 2,", "value: 2, low: 3,", "does not lie between"),
        ("source: me", "source: ' '", "source is empty"),
        ("year: 2026\ncircuits", "year: old\ncircuits", "no year"),
        ("abilities: [programs]", "abilities: [magic]", "Ability 'magic' is unknown"),
        ("abilities: [programs]", "abilities: programs", "must be a list"),
        ("year: 2026, confidence", "confidence", "year missing"),
        (GOOD[GOOD.index("quantities") :], "quantities: 3\n", "must be a mapping"),
        (GOOD, "3", "a mapping with title"),
    ],
)
def test_wrong_files_say_what_is_wrong_and_where(tmp_path, old, new, message):
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(DataError, match=message) as caught:
        read_chip(path)
    assert str(path) in str(caught.value)


def test_what_is_no_yaml_is_refused(tmp_path):
    with pytest.raises(ArchiveError, match="is not YAML"):
        read_chip(written(tmp_path, "a: [1"))
    with pytest.raises(ArchiveError, match="is not YAML"):
        read_chip(written(tmp_path, "!!python/object/apply:os.system ['true']"))
    with pytest.raises(ArchiveError, match="Cannot read the chip"):
        read_chip(tmp_path / "none.yaml")
    with pytest.raises(ArgumentError, match="Did you mean 'speck'"):
        find_chip("spekc")


def test_the_example_of_the_vendors_documents():
    """A convolution from 16 to 32 channels on 64 x 64: 8 Ki entries of kernels, 128 Ki of neurons, which no core has."""
    torch.manual_seed(0)
    model = nn.Sequential(convolution(16, 32, 3, 1), nn.ReLU(), nn.AvgPool2d(8), nn.Flatten(), nn.Linear(2048, 2))
    network = spiking(model, 16, 64, 64)
    wanted = demand(network)
    core, finding = as_core(wanted, wanted.layers[0])
    assert finding is None
    assert core.takes["kernel entries"] == 8 * 1024
    assert core.takes["neuron entries"] == 128 * 1024
    found = tp.fit(network, "speck")
    assert not found.fits
    assert {one.kind for one in found.obstacles} == {"memory", "pool"}
    (memory,) = (one for one in found.obstacles if one.kind == "memory")
    assert "131,072 neuron entries" in memory.message
    assert "larger stride" in memory.advice


def test_the_network_of_the_vendors_tests_fits_nine_cores(nine):
    found = tp.fit(nine, "speck")
    assert found.fits
    assert found.cores == 9
    cores = [place.on[0] for place in found.places]
    assert sorted(cores) == list(range(9))
    # The order that the tool is given there, and the one it refuses: layers on cores 0 to 8 as they come.
    speck = find_chip("speck")
    rooms = list(zip(*(speck.several(f"{kind}_entries") for kind in ("kernel", "neuron", "bias")), strict=True))

    def holds(order):
        return all(
            all(count <= most for count, most in zip(place.takes.values(), rooms[core], strict=True))
            for place, core in zip(found.places, order, strict=True)
        )

    assert holds([0, 1, 2, 7, 4, 5, 6, 3, 8])
    assert holds(cores)
    assert not holds(range(9))


def test_layers_are_matched_whenever_any_order_holds_them():
    torch.manual_seed(0)
    wide = [convolution(4, 64, 3, 1), nn.ReLU(), convolution(64, 64, 3, 1), nn.ReLU(), convolution(64, 64, 3, 1), nn.ReLU()]
    two = spiking(nn.Sequential(*wide, nn.AvgPool2d(4), nn.Flatten(), nn.Linear(64, 2)), 4, 4, 4)
    assert tp.fit(two, "speck").fits
    three = spiking(
        nn.Sequential(*wide, convolution(64, 64, 3, 1), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(64, 2)), 4, 4, 4
    )
    found = tp.fit(three, "speck")
    (finding,) = found.obstacles
    assert finding.kind == "cores"
    assert "[5, 6]" in finding.message


def test_entries_are_rounded_up_to_powers_of_two():
    for count in range(1, 70):
        assert 2 ** bits(count) >= count > 2 ** bits(count) / 2


class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = convolution(1, 4, 3, 1), convolution(4, 4, 3, 1)
        self.last = nn.Linear(4 * 8 * 8, 3)

    def forward(self, x):
        x = torch.relu(self.first(x))
        return self.last(torch.relu(self.second(x) + x).flatten(1))


def test_a_join_of_currents_is_named_with_its_place():
    torch.manual_seed(0)
    found = tp.fit(spiking(Skip(), 1, 8, 8), "speck")
    (finding,) = found.obstacles
    assert finding.kind == "joins"
    assert "relays" in finding.advice


def test_max_pools_and_graded_spikes_do_not_fit():
    torch.manual_seed(0)
    pooled = nn.Sequential(convolution(1, 4, 3, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 3))
    assert "operator" in {one.kind for one in tp.fit(spiking(pooled, 1, 8, 8), "speck").obstacles}
    graded = spiking(nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2)), 8, recipe="graded")
    assert {"spike-bits", "neurons"} <= {one.kind for one in tp.fit(graded, "speck").obstacles}
    assert tp.fit(graded, "loihi-2").fits


def literal_fan_in(model, shape, layer):
    """Return the most inputs that change an output of a stretch of layers: from gradients of random weights."""
    part = model[: layer + 1].double()
    x = torch.rand(1, *shape, dtype=torch.double)
    rows = torch.autograd.functional.jacobian(part, x).reshape(-1, x.numel())
    return int((rows != 0).sum(1).max()), int((rows != 0).sum())


@pytest.mark.parametrize(
    "first",
    [
        nn.Linear(8, 6),
        nn.Conv1d(2, 4, 3, padding=1),
        convolution(3, 6, 3, 1),
        convolution(3, 6, 3, 0, 2),
        nn.Conv2d(4, 8, 3, groups=2),
        nn.Sequential(nn.AvgPool2d(2), convolution(2, 3, 3, 1)),
        nn.ConvTranspose2d(2, 3, 2, stride=2),
    ],
    ids=lambda module: type(module).__name__,
)
def test_connections_are_those_of_the_jacobian(first):
    torch.manual_seed(0)
    weights = next(module for module in first.modules() if hasattr(module, "weight"))
    rank = {nn.Linear: (8,), nn.Conv1d: (2, 9)}.get(
        type(first), (weights.weight.shape[1] * getattr(weights, "groups", 1), 8, 8)
    )
    rank = (2, 8, 8) if isinstance(first, nn.ConvTranspose2d) else rank
    size = first(torch.zeros(2, *rank))[0].numel()
    model = nn.Sequential(first, nn.ReLU(), nn.Flatten(), nn.Linear(size, 2))
    layer = demand(spiking(model, *rank)).layers[0]
    assert (layer.fan_in, layer.synapses) == literal_fan_in(model, rank, 0)


def test_a_patch_sees_what_its_gradients_reach():
    torch.manual_seed(0)
    model = nn.Sequential(nn.AvgPool2d(2), convolution(2, 4, 3, 0, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 3 * 3, 2))
    wanted = demand(spiking(model, 2, 14, 14))
    (path,) = wanted.layers[0].paths
    x = torch.rand(1, 2, 14, 14, requires_grad=True)
    y = model[:2](x)[0]
    for rows, columns in itertools.product((1, 2, 3), repeat=2):
        (gradient,) = torch.autograd.grad(y[:, :rows, :columns].sum(), x, retain_graph=True)
        assert seen(wanted, path, Patch(4, (rows, columns))).units == int((gradient != 0).sum())


def test_crossbars_tile_what_the_formula_says():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(200, 600), nn.ReLU(), nn.Linear(600, 10))
    found = tp.fit(spiking(model, 200), "truenorth")
    hidden, readout = found.places
    assert hidden.cores == 3  # ceil(200 / 256) * ceil(600 / 256)
    assert readout.decides == "fan-in"  # 600 inputs do not fit 256 axons
    assert [one.kind for one in found.obstacles] == ["fan-in"]
    assert "3 groups" in found.obstacles[0].advice


def test_relays_carry_spikes_to_further_cores():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 100), nn.ReLU(), nn.Linear(100, 600), nn.ReLU())
    found = tp.fit(spiking(model, 20), "truenorth")
    assert found.fits
    assert found.relays == 300  # 100 neurons that three cores read
    assert found.cores == 1 + 3 + 2  # 85 neurons with three copies each stand on a core of 256


def test_one_core_is_shared(small):
    found = tp.fit(small, "odin")
    assert found.fits
    assert found.cores is None
    torch.manual_seed(0)
    large = spiking(nn.Sequential(nn.Linear(8, 255), nn.ReLU(), nn.Linear(255, 3)), 8)
    assert [one.kind for one in tp.fit(large, "odin").obstacles] == ["neurons"]


def test_the_tightest_need_decides_the_cores_of_loihi():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5000, 300), nn.ReLU(), nn.Linear(300, 2))
    found = tp.fit(spiking(model, 5000), "loihi")
    hidden, _ = found.places
    assert hidden.decides == "weight bits"
    assert hidden.cores == -(-5000 * 300 * 8 // 1_048_576)


def test_xylo_has_limits_on_everything(small):
    assert tp.fit(small, "xylo-audio-2").fits
    torch.manual_seed(0)
    kinds = {
        o.kind
        for o in tp.fit(
            spiking(nn.Sequential(nn.Linear(80, 1100), nn.ReLU(), nn.Linear(1100, 9)), 80), "xylo-audio-2"
        ).obstacles
    }
    assert {"inputs", "hidden", "outputs", "weights", "fan-in"} <= kinds


def test_neurons_are_joined_for_more_inputs():
    torch.manual_seed(0)
    network = spiking(nn.Sequential(nn.Linear(600, 100), nn.ReLU(), nn.Linear(100, 4)), 600, recipe="reset-to-zero")
    places = tp.fit(network, "brainscales-2").places
    assert [place.takes["circuits"] for place in places] == [300, 4]


def test_recurrent_networks_have_no_rule():
    torch.manual_seed(0)
    (finding,) = tp.fit(spiking(Last(nn.RNN(3, 4, nonlinearity="relu", batch_first=True)), 5, 3), "loihi-2").obstacles
    assert finding.kind == "loops"


KINDS = (  # one of each way in which spikes are routed
    *("mlp", "lenet", "densenet", "inception", "u-net", "signals-1d", "resnet", "convolution-3d", "transposed-groups"),
    *(
        "convolution-dilated",
        "padding-reflected",
        "max-pool-twice",
        "max-pool-of-input",
        "upsample-bilinear",
        "expand",
        "stack",
    ),
    *("mean-keepdim", "matmul", "one-number", "shared-modules", "two-inputs", "outputs-dict"),
)


@pytest.mark.parametrize("name", KINDS)
def test_every_network_is_judged_and_its_memory_known(name):
    _, network = converted(name, RECIPES["rate"])
    for chip in ("speck", "truenorth"):
        found = tp.fit(network, chip)
        assert found.neurons == sum(place.neurons for place in found.places) or not found.fits
    known, work = plan(network), count_work(network)
    assert sum(one.connections for one in known.synapses if one.in_ann) == work.ann_connections
    assert sum(one.connections for one in known.synapses if one.reads is Carried.STATIC) == work.static_macs
    assert all(bool(one.senders) == (one.reads is Carried.SPIKES) or one.reads is Carried.CURRENT for one in known.synapses)


@pytest.mark.parametrize("name", chip_names())
def test_every_chip_answers(name, small):
    found = tp.fit(small, name)
    assert found.fits == (not found.obstacles)
    assert found.verdict.endswith(".")
    assert all(one.message and one.advice for one in (*found.obstacles, *found.notes))
    assert json.loads(found.to_json())["verdict"] == found.verdict


@pytest.fixture(scope="module")
def analogue():
    torch.manual_seed(0)
    return capture(nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3)).eval(), (torch.rand(8, 16),))


TRAINED = {"qcfs", "ttfs-clamped"}  # these need activations that were trained for them


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name not in TRAINED])
def test_every_recipe_is_judged(recipe, analogue):
    network = spiking_of(analogue, torch.rand(40, 16), recipe, None if RECIPES[recipe].has_window else 8)
    found = tp.fit(network, "speck")
    bits = max(node.op.bits_per_spike for node in network.having(Neuron))
    assert not found.fits if bits > 1 else found.places


def test_the_command_prints_a_table_and_a_verdict(tmp_path, nine, small):
    tp.save(small, tmp_path / "small")
    runner = CliRunner()
    result = runner.invoke(app, ["fit", str(tmp_path / "small"), "--chip", "truenorth"])
    assert result.exit_code == 0
    assert "Fits TrueNorth" in result.output
    values = json.loads(runner.invoke(app, ["fit", str(tmp_path / "small"), "--chip", "speck", "--json"]).output)
    assert values["fits"]
    refused = runner.invoke(app, ["fit", str(tmp_path / "small"), "--chip", "akida"])
    assert refused.exit_code == 1
    assert "no spiking neurons" in " ".join(refused.output.split())
    assert runner.invoke(app, ["fit", str(tmp_path / "small"), "--chip", "nothing"]).exit_code == 2


def test_the_command_lists_chips(tmp_path):
    runner = CliRunner()
    assert "truenorth" in runner.invoke(app, ["chips"]).output
    assert "1,048,576" in runner.invoke(app, ["chips", "truenorth"]).output
    assert json.loads(runner.invoke(app, ["chips", "speck", "--json"]).output)["speck"]["quantities"]["cores"]["value"] == 9
    assert runner.invoke(app, ["chips", "--out", str(tmp_path / "page.md")]).exit_code == 0
    assert (tmp_path / "page.md").read_text() == PAGE.read_text()
