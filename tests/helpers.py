"""The lists that laws run over, and how two networks are compared."""

from __future__ import annotations

import copy
import dataclasses
from functools import cache

import pytest
import torch
from hypothesis import settings
from torch import Tensor

import transpike as tp
from transpike import conversion
from transpike.calibration import Samples, unwatched
from transpike.capture import capture
from transpike.data import Batch
from transpike.network import Network, forward
from transpike.parts import Op
from transpike.passes import apply
from transpike.recipe import find_recipe
from zoo import ANALOGUE, FEATURES, ZOO
from zoo.recurrent import RECURRENT

MODELS = {**ZOO, **FEATURES}
EVERY = {**MODELS, **ANALOGUE}
ALL_EXAMPLES = 25  # of a law over random values
DECIMALS = {torch.float32: 1e-4, torch.float64: 1e-9}

# What the longer laws over models run on by default: of each family and each kind of feature some.
REPRESENTATIVE = {
    *("mlp", "vgg-bn", "resnet", "u-net", "signals-1d"),
    *("prelu-channels", "hardtanh-uneven", "clamp-above-zero", "qcfs", "softmax-at-the-end"),
    *("max-pool-borders", "max-pool-of-input", "adaptive-average-pool-uneven", "upsample-bilinear"),
    *("norm-before-padding", "norm-before-groups", "transposed-groups", "convolution-3d", "padding-reflected"),
    *("chunk", "class-token", "tokens", "shared-source", "in-place", "two-inputs", "outputs-nested"),
    *("gelu", "softplus", "glu", "quotient", "softmax-of-channels", "layer-norm", "excitation"),
    *("vision-transformer", "decoder", "lstm", "gru", "elman-relu", "tagged", "crossed"),
}


# The same for laws over recipes: of each kind of neurons and each schedule some.
REPRESENTATIVE_RECIPES = {
    *("rate", "diehl", "ternary", "graded", "lif", "cos", "any-time", "look-ahead", "burst-ls"),
    *("sequential", "dcgs", "phase-binary", "few-spike", "ttfs-base", "population-calibrated"),
}


def quick(names, representative=REPRESENTATIVE):
    """Return names, of models if nothing else is given, as parameters of a law; the representative ones run by default."""
    return [pytest.param(name, marks=() if name in representative else pytest.mark.extended) for name in names]


def subject(name, dtype=torch.float64):
    """Return (model, inputs, analogue network) of a model in the lists; nobody may change them."""
    return captured(name, dtype)


def examples(count):
    """Return how many examples of `count` are drawn by default, for laws that are slow on each; `make test-all` draws all."""
    return max(2, count * settings.default.max_examples // ALL_EXAMPLES)


@cache
def captured(name, dtype):
    model, samples = EVERY[name]()
    inputs = tuple(x.to(dtype) if x.is_floating_point() else x for x in (samples if isinstance(samples, tuple) else (samples,)))
    model = model.to(dtype)
    return model, inputs, capture(model, inputs)


def converted(name, recipe, time_steps=None):
    """Return (inputs, spiking network) of a model in the lists, in float64, calibrated on those inputs."""
    _, inputs, network = subject(name)
    return inputs, apply(recipe.passes, network, Samples([Batch(inputs)], time_steps))


def anew(name, recipe, time_steps=None, *, dtype=torch.float32, exact=False):
    """Return (inputs, spiking network) as `tp.convert` makes it of a model in the lists, without capturing it anew."""
    _, inputs, network = subject(name, dtype)
    return inputs, spiking_of(network, inputs, recipe, time_steps, exact=exact)


def spiking_of(network, samples, recipe, time_steps=None, *, exact=False):
    """Return the spiking network of a captured one, as `tp.convert` makes it."""
    return conversion.converted(network, samples, find_recipe(recipe), time_steps, exact, unwatched, apply)


@cache
def recurrent(name):
    """Return (model, inputs, analogue network) in float64."""
    model, samples = RECURRENT[name]()
    inputs = samples if isinstance(samples, tuple) else (samples,)
    inputs = tuple(x.double() if x.is_floating_point() else x for x in inputs)
    model = model.double()
    return model, inputs, capture(model, inputs)


@cache
def spiking_loop(name, recipe):
    """Return (model, inputs, spiking network), calibrated on those inputs; few spikes are fitted with a short window."""
    model, inputs, network = recurrent(name)
    if recipe == "few-spike":
        recipe = tp.recipes[recipe].with_window(3)
    recipe = tp.recipes[recipe] if isinstance(recipe, str) else recipe
    return model, inputs, apply(recipe.passes, network, Samples([Batch(inputs)], recipe.window))


def flat(result):
    """Return the output of a model as a list of tensors."""
    return torch.utils._pytree.tree_flatten(result)[0]


def answers(network, inputs):
    return list(forward(network, inputs).values())


def largest_difference(these, those):
    """Return the largest difference of two lists of tensors, relative to the largest value of each pair."""
    pairs = list(zip(these, those, strict=True))
    assert all(a.shape == b.shape and a.dtype == b.dtype for a, b in pairs)
    return max(float((a - b).abs().max()) / float(b.abs().max()) for a, b in pairs)


def same_op(a, b):
    """Whether two ops are of one kind with equal settings and bit-equal tensors."""
    return type(a) is type(b) and all(
        same_value(getattr(a, field.name), getattr(b, field.name)) for field in dataclasses.fields(a)
    )


def same_value(a, b):
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    return same_op(a, b) if isinstance(a, Op) and isinstance(b, Op) else a == b


def same_network(a: Network, b: Network) -> bool:
    """Whether two networks have the same nodes in the same order, with the same ops, and the same outputs."""
    same_names = list(a.nodes) == list(b.nodes) and a.outputs == b.outputs
    return same_names and all(
        node.inputs == b.nodes[name].inputs and same_op(node.op, b.nodes[name].op) for name, node in a.nodes.items()
    )


def frozen_copy(network: Network) -> Network:
    """Return a network that shares no tensor with this one."""
    return copy.deepcopy(network)
