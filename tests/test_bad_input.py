"""Samples, labels and settings that cannot be meant: refused at the call, by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import transpike as tp
from helpers import subject
from transpike.data import Batch, batches, check_labels, checked
from transpike.errors import ArgumentError, ConversionError, DataError, TranspikeWarning
from transpike.ops import Input
from transpike.parts import Method
from transpike.recipe import STRUCTURE, find_recipe
from transpike.simulation import Record
from zoo import ZOO

SAMPLES = torch.rand(40, 6)


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).eval()


@pytest.fixture(scope="module")
def network(model):
    return tp.convert(model, SAMPLES)


def spoilt(row, value):
    samples = SAMPLES.clone()
    samples[row, 2] = value
    return samples


@pytest.mark.parametrize("empty", [torch.zeros(0, 6), [], (), [torch.zeros(0, 6)], np.zeros((0, 6), np.float32)], ids=repr)
def test_no_samples(model, network, empty):
    with pytest.raises(DataError, match="The calibration samples are empty: give at least one, better a few hundred"):
        tp.convert(model, empty)
    with pytest.raises(DataError, match="The inputs are empty: give at least one"):
        tp.simulate(network, empty, time_steps=2)


def test_one_sample_converts_with_a_warning(model):
    with pytest.warns(TranspikeWarning, match="Thresholds rest on 1 calibration sample. Give a few hundred samples"):
        network = tp.convert(model, SAMPLES[:1])
    (finding,) = [finding for finding in network.findings if finding.kind == "few-samples"]
    assert finding.severity == "warning"
    assert tp.simulate(network, SAMPLES[:2], time_steps=3).outputs.shape == (3, 2, 3)


def test_thirty_two_samples_are_enough(model):
    assert not [finding for finding in tp.convert(model, SAMPLES[:32]).findings if finding.kind == "few-samples"]
    with pytest.warns(TranspikeWarning, match="Thresholds rest on 31 calibration samples"):
        tp.convert(model, SAMPLES[:31])


def test_model_that_cannot_run_on_the_samples(model):
    with pytest.raises(DataError, match=r"The model cannot run on the samples \(float32 \(4, 7\)\): mat1 and mat2 shapes"):
        tp.convert(model, torch.rand(40, 7))


def test_images_of_whole_numbers():
    lenet, images = ZOO["lenet"]()
    with pytest.raises(DataError, match=r"The model cannot run on the samples \(uint8 \(4, 1, 12, 12\)\)"):
        tp.convert(lenet, (255 * images).to(torch.uint8))
    with pytest.raises(DataError, match="The inputs are uint8 for input 'x', but the network takes float32: convert them"):
        tp.simulate(tp.convert(lenet, images), (255 * images).to(torch.uint8), time_steps=2)


def test_wrong_dtype(network):
    with pytest.raises(DataError, match="The inputs are float64 for input 'input', but the network takes float32"):
        tp.simulate(network, SAMPLES.double().numpy(), time_steps=2)


def test_wrong_shape(model, network):
    with pytest.raises(DataError, match=r"The inputs have shape \(7,\) for input 'input', but the network takes \(6,\)"):
        tp.simulate(network, torch.rand(3, 7), time_steps=2)
    with pytest.raises(DataError, match=r"The calibration samples have shape \(2, 6\) for input 'input'"):
        tp.convert(model, [SAMPLES, torch.rand(3, 2, 6)])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("row", [0, 2, 37])
def test_values_that_are_not_finite_name_the_sample(model, network, row, value):
    with pytest.raises(DataError, match=rf"Sample {row} of the .*samples has NaN or infinite values in input"):
        tp.convert(model, spoilt(row, value))
    with pytest.raises(DataError, match=rf"Sample {row} of the inputs has NaN or infinite values in input 'input'"):
        tp.simulate(network, list(spoilt(row, value).split(7)), time_steps=1)


def test_a_spoilt_number_per_sample_is_named():
    with pytest.raises(DataError, match="Sample 2 of the samples has NaN"):
        list(checked([Batch((torch.tensor([0.0, 1.0, float("nan")]),))], {"x": Input(())}))


def test_one_shot_iterators(model, network):
    with pytest.raises(DataError, match="Calibration samples can be read only once: pass a list or a DataLoader"):
        tp.convert(model, iter([SAMPLES]))
    with pytest.raises(DataError, match="Inputs can be read only once"):
        tp.simulate(network, (batch for batch in [SAMPLES]), time_steps=2)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (7, "Calibration samples must be tensors or batches of tensors, not int"),
        ("digits", "calibration samples must be tensors or arrays of numbers, not str"),
        ([(SAMPLES, SAMPLES, SAMPLES)], "must hold 1 input, with or without labels, not 3 values"),
        ((SAMPLES, SAMPLES[:3]), r"differ in length: their shapes are \(40, 6\), \(3, 6\)"),
        ({"x": SAMPLES}, "calibration samples must be tensors or arrays of numbers, not str"),
        ([None], "calibration samples must be tensors or arrays of numbers, not NoneType"),
    ],
    ids=["number", "text", "three", "lengths", "mapping", "none"],
)
def test_what_is_no_samples(model, samples, message):
    with pytest.raises(DataError, match=message):
        tp.convert(model, samples)


def test_samples_come_in_many_forms():
    labels = torch.arange(40)
    pairs = torch.utils.data.TensorDataset(SAMPLES, labels)
    forms = [
        SAMPLES,
        SAMPLES.numpy(),
        (SAMPLES, labels),
        list(SAMPLES.split(9)),
        [(SAMPLES[:30], labels[:30]), [SAMPLES[30:], labels[30:]]],
        [{"image": SAMPLES, "label": labels}],
        torch.utils.data.DataLoader(pairs, batch_size=7),
        Batch((SAMPLES,), labels),
    ]
    for form in forms:
        assert torch.equal(torch.cat([batch.inputs[0] for batch in batches(form)]), SAMPLES)
    for form in (forms[2], *forms[4:]):
        assert torch.equal(torch.cat([batch.labels for batch in batches(form)]), labels)


@pytest.mark.parametrize("time_steps", [0, -1, 2.5, True, "8"])
def test_time_steps_must_be_a_positive_whole_number(network, time_steps):
    with pytest.raises(ArgumentError, match=f"time_steps must be a whole number of at least 1, not {time_steps!r}"):
        tp.simulate(network, SAMPLES, time_steps)


@pytest.mark.parametrize("block", [0, -3, 1.5, True])
def test_block_must_be_a_positive_whole_number(network, block):
    with pytest.raises(ArgumentError, match=f"block must be a whole number of at least 1, not {block!r}"):
        tp.simulate(network, SAMPLES, 2, block=block)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("rat", "Did you mean 'rate'?"), ("rate_basic", "Did you mean 'rate-basic'?"), ("zzz", "is unknown. Choose"), (3, "3")],
)
def test_unknown_recipe(model, name, hint):
    with pytest.raises(ArgumentError) as caught:
        tp.convert(model, SAMPLES, recipe=name)
    text = str(caught.value)
    assert text.startswith(f"Recipe {name!r} is unknown.")
    assert hint in text
    assert "Choose one of 'rate', 'rate-basic'" in text


def test_recipes_are_found_by_name_or_taken_as_they_are():
    mine = tp.recipes["rate"].with_percentile(95)
    assert find_recipe(mine) is mine
    assert find_recipe("rate") is tp.recipes["rate"]


def test_a_recipe_without_a_percentile_cannot_change_it():
    bare = tp.Recipe(Method("bare", "Structure only", "none"), STRUCTURE)
    with pytest.raises(ArgumentError, match="Recipe 'bare' does not set its thresholds by a percentile"):
        bare.with_percentile(99)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (Record(spikes=["relu"]), "Spiking node 'relu' is unknown. Choose one of '1'"),
        (Record(counts=["2"]), "Spiking node '2' is unknown"),
        (Record(potentials=["0"]), "Node with a potential '0' is unknown. Choose one of '1', '2.decoded'"),
        (Record(spikes="1"), "record= takes lists of node names, not the text '1'"),
    ],
    ids=["spikes", "counts", "potentials", "text"],
)
def test_unknown_nodes_cannot_be_recorded(network, record, message):
    with pytest.raises(ArgumentError, match=message):
        tp.simulate(network, SAMPLES, 2, record=record)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 3], "Label 3 of sample 12 is out of range: the network tells 3 classes apart, numbered from 0"),
        ([0, -1, 1], "Label -1 of sample 11 is out of range"),
        ([0.0, 1.0, 2.0], r"Labels must be whole numbers \[batch\], not torch.float32 of shape \(3,\)"),
        ([[0, 1, 2]], r"Labels must be whole numbers \[batch\], not torch.int64 of shape \(1, 3\)"),
    ],
)
def test_impossible_labels(labels, message):
    with pytest.raises(DataError, match=message):
        check_labels(torch.tensor(labels), classes=3, seen=10)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_labels_of_any_whole_dtype(dtype):
    labels = check_labels(torch.tensor([0, 2, 1], dtype=dtype), classes=3, seen=0)
    assert labels.dtype == torch.int64
    assert labels.tolist() == [0, 2, 1]


def test_an_analogue_network_cannot_be_simulated():
    _, inputs, analogue = subject("mlp")
    with pytest.raises(ConversionError, match=r"no decoder stands before '4'\. Convert a model"):
        tp.simulate(analogue, inputs, 2)


def test_half_precision_is_refused():
    with pytest.raises(ArgumentError, match=r"too coarse to add up spikes in: convert model\.float"):
        tp.convert(nn.Sequential(nn.Linear(3, 2)).eval().half(), torch.rand(40, 3).half())


def test_a_model_is_no_network():
    model = nn.Sequential(nn.Linear(3, 2)).eval()
    for action in (lambda: tp.simulate(model, torch.rand(4, 3), 8), lambda: tp.evaluate(model, model, torch.rand(4, 3), 8)):
        with pytest.raises(ArgumentError, match=r"not Sequential: call transpike\.convert first"):
            action()


def test_an_absent_device_is_named():
    network = tp.convert(nn.Sequential(nn.Linear(3, 2)).eval(), torch.rand(40, 3))
    with pytest.raises(ArgumentError, match="Device 'xpu' cannot be used"):
        tp.simulate(network, torch.rand(4, 3), 8, device="xpu")
