"""Preparation replaces every activation of a model and nothing else, whatever way the model calls it."""

from __future__ import annotations

import copy
import inspect

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import transpike as tp
from helpers import quick
from transpike.errors import ArgumentError, ConversionError, DataError
from transpike.passes import Percentile
from transpike.training import QCFS, Activation, SlipReLU, prepare

ROWS = torch.rand(48, 6, generator=torch.Generator().manual_seed(0))
IMAGES = torch.rand(48, 2, 8, 8, generator=torch.Generator().manual_seed(0))
FINE = QCFS(levels=2**20)  # so fine that a ReLU whose values stay below the threshold is the same within rounding


class Body(nn.Module):
    """Two linear layers with a function between them."""

    def __init__(self, function):
        super().__init__()
        self.first, self.last = nn.Linear(6, 6), nn.Linear(6, 3)
        self.function = function

    def forward(self, x):
        return self.last(self.function(self.first(x)))


class Block(nn.Module):
    """One module for two activations, as torchvision's residual blocks have it."""

    def __init__(self, inplace):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)
        self.relu = nn.ReLU(inplace)

    def forward(self, x):
        y = self.relu(self.conv1(x))
        return self.relu(self.conv2(y) + x)


class Looped(nn.Module):
    """The same line of code for several activations."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))

    def forward(self, x):
        for layer in self.layers:
            x = F.relu(layer(x))
        return x


class ReadsWhatWasChanged(nn.Module):
    """An in-place activation whose input is read again, changed."""

    def __init__(self, call):
        super().__init__()
        self.layer, self.call = nn.Linear(6, 6), call

    def forward(self, x):
        y = self.layer(x)
        self.call(y)
        return y * 2


def shared_in_sequence():
    relu = nn.ReLU()
    return nn.Sequential(nn.Linear(6, 6), relu, nn.Linear(6, 6), relu, nn.Linear(6, 3))


def block_twice():
    block = Body(lambda x: x.relu())
    block.last = nn.Linear(6, 6)
    return nn.Sequential(block, block)


MODELS = {
    "modules": (lambda: nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(inplace=True)), ROWS, 2),
    "relu6": (lambda: nn.Sequential(nn.Linear(6, 6), nn.ReLU6(), nn.Hardtanh(0.0, 3.0)), ROWS, 2),
    "F.relu": (lambda: Body(F.relu), ROWS, 1),
    "torch.relu": (lambda: Body(torch.relu), ROWS, 1),
    "method": (lambda: Body(lambda x: x.relu()), ROWS, 1),
    "in-place method": (lambda: Body(lambda x: x.relu_()), ROWS, 1),
    "in-place function": (lambda: Body(lambda x: F.relu(x, inplace=True)), ROWS, 1),
    "relu_": (lambda: Body(F.relu_), ROWS, 1),
    "F.relu6": (lambda: Body(F.relu6), ROWS, 1),
    "by keyword": (lambda: Body(lambda x: F.relu(input=x)), ROWS, 1),
    "shared in a block": (lambda: Block(inplace=False), IMAGES, 2),
    "shared in a block, in place": (lambda: nn.Sequential(Block(inplace=True), Block(inplace=True)), IMAGES, 4),
    "shared in a sequence": (shared_in_sequence, ROWS, 2),
    "loop": (Looped, ROWS, 3),
    "whole block twice": (block_twice, ROWS, 1),
    "changed input": (lambda: ReadsWhatWasChanged(nn.ReLU(inplace=True)), ROWS, 1),
    "changed input, function": (lambda: ReadsWhatWasChanged(F.relu_), ROWS, 1),
    "the model is a ReLU": (nn.ReLU, ROWS, 1),
}

SOME = {"modules", "F.relu", "in-place method", "shared in a block, in place", "loop", "whole block twice"}


def built(name):
    torch.manual_seed(3)
    make, samples, count = MODELS[name]
    return make().eval(), samples, count


def activations(model):
    return [module for module in model.modules() if isinstance(module, Activation)]


@pytest.mark.parametrize("name", MODELS)
def test_every_activation_is_replaced_and_nothing_else(name):
    """With 2^20 levels up to a threshold that nothing exceeds, the prepared model is the model, to 64 / 2^21 per activation.

    A million levels leave no room for a wrong place: a missing, doubled or misled activation shows.
    """
    model, samples, count = built(name)
    prepared = prepare(model, samples, FINE, threshold=64.0)
    assert len(activations(prepared)) == count
    with torch.inference_mode():
        torch.testing.assert_close(prepared(samples.clone()), model(samples.clone()), rtol=0, atol=2e-3)
        below = prepare(model, samples, FINE, threshold=1e-3)(samples.clone())
    assert (below - prepared(samples.clone())).abs().max() > 1e-2  # the replacement is what runs


@pytest.mark.parametrize("name", quick(MODELS, SOME))
def test_the_model_is_not_changed_and_keeps_the_names_of_its_weights(name):
    model, samples, _ = built(name)
    before, classes = copy.deepcopy(model.state_dict()), [type(module) for module in model.modules()]
    prepared = prepare(model, samples, QCFS(4))
    assert [type(module) for module in model.modules()] == classes
    assert not activations(model)
    assert list(model.state_dict()) == list(before)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert set(before) <= set(prepared.state_dict())
    assert {key.split(".")[-1] for key in set(prepared.state_dict()) - set(before)} == {"threshold"}
    assert isinstance(prepared, type(model)) or name == "the model is a ReLU"
    assert inspect.signature(prepared.forward) == inspect.signature(model.forward)


@pytest.mark.parametrize("name", quick(MODELS, SOME))
def test_a_copy_with_loaded_weights_is_the_same_model(name):
    model, samples, _ = built(name)
    prepared = prepare(model, samples, QCFS(4))
    other = prepare(model, samples, QCFS(4), threshold=7.0)
    other.load_state_dict(prepared.state_dict())
    for twin in (other, copy.deepcopy(prepared)):
        with torch.inference_mode():
            assert torch.equal(twin(samples.clone()), prepared(samples.clone()))


@pytest.mark.parametrize("name", quick(MODELS, SOME))
def test_the_prepared_model_converts(name):
    model, samples, count = built(name)
    network = tp.convert(prepare(model, samples, QCFS(4)), samples, "qcfs")
    calls = count * (2 if name == "whole block twice" else 1)
    assert len(network.having(*tp.neurons.SPIKING)) == calls


def test_a_module_with_one_place_is_replaced_where_it_stands():
    prepared = prepare(nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3)), ROWS, QCFS(4))
    assert isinstance(prepared[1], QCFS)
    assert list(dict(prepared.named_parameters())) == ["0.weight", "0.bias", "1.threshold", "2.weight", "2.bias"]


def test_training_mode_is_kept():
    model = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU())
    model[1].eval()
    prepared = prepare(model, ROWS, QCFS(4))
    assert [prepared.training, prepared[0].training, prepared[1].training, prepared[2].training] == [True, True, False, True]


def test_thresholds_are_the_percentile_of_each_place():
    model, samples, _ = built("loop")
    values, x = [], samples
    with torch.no_grad():
        for layer in model.layers:
            x = F.relu(layer(x))
            values.append(float(x.max()))
    prepared = prepare(model, [samples[:20], samples[20:]], QCFS(4), threshold=Percentile(100))
    assert [float(a.threshold) for a in activations(prepared)] == pytest.approx(values, rel=1e-6)
    assert {float(a.threshold) for a in activations(prepare(model, samples, QCFS(4), threshold=2.5))} == {2.5}


def test_an_activation_that_is_never_active_gets_the_median_threshold():
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU())
    with torch.no_grad():
        model[2].weight.zero_()
        model[2].bias.fill_(-1)
    first, second = activations(prepare(model, ROWS, QCFS(4)))
    assert float(first.threshold) == float(second.threshold) > 0


def test_max_pool_becomes_average_pool_on_request_only():
    class Functional(nn.Module):
        def forward(self, x):
            return F.max_pool2d(x, 2, padding=1).flatten(1)

    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.ReLU(), nn.MaxPool2d(2), Functional()).eval()
    plain = prepare(model, IMAGES, FINE, threshold=64.0)
    averaged = prepare(model, IMAGES, FINE, threshold=64.0, average_pool=True)
    with torch.inference_mode():
        torch.testing.assert_close(plain(IMAGES), model(IMAGES), rtol=0, atol=1e-3)
        pooled = F.avg_pool2d(torch.relu(model[0](IMAGES)), 2)
        expected = F.avg_pool2d(pooled, 2, padding=1, count_include_pad=False).flatten(1)
        torch.testing.assert_close(averaged(IMAGES), expected, rtol=0, atol=1e-3)
    kinds = {type(node.op).__name__ for node in tp.convert(averaged, IMAGES, "qcfs").nodes.values()}
    assert "AccumulatedMaxPool" not in kinds


def test_slip_relu_keeps_its_settings():
    (one,) = activations(prepare(nn.Sequential(nn.Linear(6, 6), nn.ReLU()), ROWS, SlipReLU(8, 0.3, offset=0.1)))
    assert (one.levels, one.slope, one.offset, one.shift) == (8, 0.3, 0.1, 0.5)


def test_thresholds_have_the_dtype_of_the_model():
    prepared = prepare(nn.Sequential(nn.Linear(6, 6), nn.ReLU()).double(), ROWS.double(), QCFS(4))
    assert {a.threshold.dtype for a in activations(prepared)} == {torch.float64}


def test_places_in_messages_are_those_of_the_model():
    network = tp.convert(prepare(nn.Sequential(Block(inplace=True)).eval(), IMAGES, QCFS(4)), IMAGES, "qcfs")
    origins = [node.origin for node in network.having(*tp.neurons.SPIKING)]
    assert origins == ["0.activation_sites.0", "0.activation_sites.1"]


def test_a_path_that_was_not_seen_is_refused():
    class Deeper(nn.Module):
        def forward(self, x):
            x = F.relu(x)
            return F.relu(x - 0.1) if self.training else x

    prepared = prepare(nn.Sequential(nn.Linear(6, 6), Deeper()).eval(), ROWS, QCFS(4))
    with pytest.raises(ArgumentError, match=r"'1' of your model calls more activations than on the samples .* \(1\)"):
        prepared.train()(ROWS)


@pytest.mark.parametrize(
    ("model", "samples", "error", "message"),
    [
        (nn.Linear(6, 3), ROWS, ArgumentError, "calls no ReLU on the samples"),
        (nn.Sequential(nn.Linear(5, 3), nn.ReLU()), ROWS, DataError, "cannot run on the samples: mat1 and mat2"),
        (nn.Sequential(nn.Linear(6, 3), nn.GELU(), nn.ReLU()), ROWS, ConversionError, "Gelu '1' stands before Qcfs '2'"),
        (nn.Sequential(nn.Linear(6, 3), nn.ReLU(), nn.LeakyReLU()), ROWS, ConversionError, "was not trained with a threshold"),
        ("model", ROWS, ArgumentError, "A model must be a torch.nn.Module, not str"),
        (nn.Sequential(nn.Linear(6, 3), QCFS(4)), ROWS, ArgumentError, "has been prepared already"),
        (nn.Sequential(nn.Linear(6, 3), nn.ReLU()), torch.zeros(0, 6), DataError, "empty"),
    ],
    ids=["nothing", "shape", "gelu", "leaky", "text", "twice", "no samples"],
)
def test_what_cannot_be_prepared_is_refused_before_it_is_trained(model, samples, error, message):
    with pytest.raises(error, match=message):
        prepare(model, samples, QCFS(4))


def test_an_activation_is_an_object():
    with pytest.raises(ArgumentError, match=r"activation must be QCFS\(...\) or another activation, not type"):
        prepare(nn.Sequential(nn.Linear(6, 3), nn.ReLU()), ROWS, QCFS)


def test_a_dilated_max_pool_has_no_average():
    model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU(), nn.MaxPool2d(2, dilation=2))
    with pytest.raises(ArgumentError, match="A dilated max-pool has no average pool in its place"):
        prepare(model, IMAGES, QCFS(4), average_pool=True)
