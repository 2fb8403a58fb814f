"""A captured network computes what the model computes, and says where each node comes from."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import transpike as tp
from helpers import DECIMALS, EVERY, ZOO, answers, flat, largest_difference, quick, subject
from transpike.capture import capture
from transpike.ops import (
    TRAITS,
    BatchNorm,
    Constant,
    Convolution,
    Divide,
    ErrorFunction,
    Gelu,
    Hardswish,
    Mish,
    Multiply,
    Power,
    Sigmoid,
    Silu,
    Tanh,
)

IN_FLOAT32 = [pytest.param(*name.values, torch.float32, marks=name.marks) for name in quick(EVERY)]
IN_FLOAT64 = [(name, torch.float64) for name in EVERY]


@pytest.mark.parametrize(("name", "dtype"), [*IN_FLOAT32, *IN_FLOAT64], ids=str)
def test_network_computes_what_the_model_computes(name, dtype):
    model, inputs, network = subject(name, dtype)
    with torch.inference_mode():
        expected = flat(model(*inputs))
        alone = flat(model(*[x[:1] for x in inputs]))
    assert largest_difference(answers(network, inputs), expected) <= DECIMALS[dtype]
    assert largest_difference(answers(network, [x[:1] for x in inputs]), alone) <= DECIMALS[dtype]


@pytest.mark.parametrize("name", EVERY)
def test_nodes_are_of_the_vocabulary_and_name_places_of_the_model(name):
    model, _, network = subject(name)
    places = dict(model.named_modules())
    assert all(type(node.op) in TRAITS for node in network.nodes.values())
    assert all(node.origin in places for node in network.nodes.values())


@pytest.mark.parametrize("name", quick(ZOO))
def test_conversion_leaves_the_model_as_it_was(name):
    model, samples = ZOO[name]()
    before = copy.deepcopy(model.state_dict())
    gradients = {key: parameter.requires_grad for key, parameter in model.named_parameters()}
    network = tp.convert(model, samples)
    tp.simulate(network, samples[:2], time_steps=2)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert gradients == {key: parameter.requires_grad for key, parameter in model.named_parameters()}
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module.training for module in model.modules())


def test_network_does_not_share_weights_with_the_model():
    model, samples = ZOO["mlp"]()
    network = capture(model, [samples])
    expected = answers(network, [samples])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert largest_difference(answers(network, [samples]), expected) == 0


def test_nodes_bear_the_names_of_modules():
    _, _, network = subject("resnet")
    assert network.nodes["layer2.conv1"].origin == "layer2.conv1"
    assert isinstance(network.nodes["layer2.conv1"].op, Convolution)
    assert network.nodes["layer2.relu"].origin == "layer2"
    assert [node.name for node in network.having(BatchNorm)][:2] == ["bn1", "layer1.bn1"]


def test_a_module_used_twice_gives_two_nodes():
    _, _, network = subject("shared-modules")
    assert [node.origin for node in network.having(Convolution)] == ["conv", "conv"]
    assert len(network.having(BatchNorm)) == 2


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("mlp", ["output"]),
        ("outputs-tuple", ["0", "1"]),
        ("outputs-dict", ["scores", "features"]),
        ("outputs-nested", ["scores", "more.0", "more.1"]),
        ("output-is-dict-of-one", ["output"]),
    ],
)
def test_outputs_have_keys(name, keys):
    _, _, network = subject(name)
    assert list(network.outputs) == keys


def test_inputs_keep_their_order_and_shape():
    _, _, network = subject("two-inputs")
    assert {name: op.shape for name, op in network.inputs.items()} == {"image": (1, 4, 4), "facts": (3,)}


def test_values_without_an_input_are_folded():
    """The class token is expanded to the batch and joined; what stays is one constant with a batch axis of one."""
    _, _, network = subject("class-token")
    (token,) = network.having(Constant)
    assert token.op.value.shape == (1, 1, 4)


def test_a_single_sample_suffices():
    model, samples = ZOO["lenet"]()
    network = capture(model, [samples[:1]])
    with torch.inference_mode():
        assert largest_difference(answers(network, [samples]), [model(samples)]) <= DECIMALS[torch.float32]


def test_dropout_leaves_nothing_behind():
    _, _, network = subject("dropout")
    assert [type(node.op).__name__ for node in network.nodes.values()] == [
        "Input", "Convolution", "Relu", "Convolution", "Relu",
    ]  # fmt: skip


def test_a_sequential_of_nothing_is_its_input():
    network = capture(nn.Sequential().eval(), [torch.rand(3, 2)])
    assert list(network.nodes) == [network.outputs["output"]]


def tanh_gelu(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


WRITTEN_OUT = {
    "gelu": (lambda x: x * 0.5 * (1 + torch.erf(x / math.sqrt(2))), Gelu()),
    "gelu, half at the end": (lambda x: x * (1 + torch.erf(x * math.sqrt(0.5))) * 0.5, Gelu()),
    "gelu by tanh": (tanh_gelu, Gelu(tanh=True)),
    "silu": (lambda x: x * torch.sigmoid(x), Silu()),
    "silu as a quotient": (lambda x: x / (1 + torch.exp(-x)), Silu()),
    "silu of a slope": (lambda x: x * torch.sigmoid(1.702 * x), Silu()),
    "silu of a small slope, upside down": (lambda x: -2 * x * torch.sigmoid(0.3 * x), Silu()),
    "mish": (lambda x: x * torch.tanh(F.softplus(x)), Mish()),
    "hardswish": (lambda x: x * F.relu6(x + 3) / 6, Hardswish()),
}


class Applied(nn.Module):
    """A function between two layers, the first of which something else reads as well."""

    def __init__(self, of):
        super().__init__()
        self.of, self.first, self.last = of, nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x):
        y = self.first(x)
        return self.last(self.of(y)) + y[:, :2]


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_activations_that_are_written_out_are_whole(name):
    of, op = WRITTEN_OUT[name]
    network = capture(Applied(of).eval(), [torch.randn(3, 4)])
    kinds = {type(node.op) for node in network.nodes.values()}
    assert type(op) in kinds
    assert kinds.isdisjoint({Multiply, Divide, Sigmoid, Tanh, ErrorFunction, Power})
    assert [node.op for node in network.having(Gelu) if node.op.tanh is not getattr(op, "tanh", None)] == []


@pytest.mark.parametrize(
    "of",
    [
        lambda x: x * torch.tanh(x),
        lambda x: x * torch.sigmoid(x[:, :1]),
        lambda x: x * torch.sigmoid(-x),
        lambda x: x * x,
        lambda x: x * torch.sigmoid(x.mean(1, keepdim=True)),
        lambda x: x * torch.sigmoid(x * torch.linspace(0.5, 2, 8)),
    ],
)
def test_products_that_are_no_known_activation_stay(of):
    network = capture(Applied(of).eval(), [torch.randn(3, 4)])
    assert len(network.having(Multiply, Power)) == 1
    assert not network.having(Gelu, Silu, Mish, Hardswish)


def test_an_activation_whose_parts_are_read_elsewhere_is_whole_beside_them():
    class Both(nn.Module):
        def forward(self, x):
            gate = torch.sigmoid(x)
            return x * gate, gate

    network = capture(Both().eval(), [torch.randn(3, 4)])
    assert len(network.having(Silu)) == len(network.having(Sigmoid)) == 1


def test_a_model_whose_rounding_alone_shows_is_captured():
    """Its float32 answers differ from those of the network, which computes SiLU in one step; in float64 they agree."""

    class Magnified(nn.Module):
        def forward(self, x):
            return 1e5 * (x * torch.sigmoid(x) - F.silu(x)) + x

    model, samples = Magnified().eval(), torch.randn(4, 50)
    network = capture(model, [samples])
    with torch.inference_mode():
        assert largest_difference(answers(network, [samples]), [model(samples)]) > 1e-4
