"""Networks in whole numbers: everything is whole and within its bits, the ANN stays, and few bits lose little."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import transpike as tp
from helpers import answers, converted, flat, largest_difference, subject
from reference import simulate_literally
from transpike.errors import ArgumentError, ConversionError
from transpike.neurons import IntegerIntegrateAndFire, Saturating, Wrapping
from transpike.ops import Affine, Identity, OnGrid
from transpike.passes import FitIntegers
from transpike.passes.fold_batch_norm import Weighted
from transpike.passes.rounding import compensated, nearest
from transpike.simulation.engines.event.kernels import library

RATE = tp.recipes["rate"]
FORMS = {
    "8 bits": FitIntegers(),
    "4 bits, a unit per channel": FitIntegers(4, 12, scope="channel"),
    "ternary, wrapping": FitIntegers(2, 16, neuron=Wrapping),
}

WRITABLE = ("mlp", "lenet", "resnet", "clamped-relu", "transposed-groups", "split-uneven", "two-inputs", "in-place")
WITH_ANN = [name for name in WRITABLE if name != "transposed-groups"]  # which keeps no weights of the ANN


def is_whole(tensor):
    return tensor is None or bool((tensor == tensor.round()).all())


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("name", WRITABLE)
def test_all_numbers_are_whole_and_have_their_bits(name, form):
    inputs, network = converted(name, RATE.with_integers(form))
    neurons = network.having(IntegerIntegrateAndFire)
    for node in network.nodes.values():
        if isinstance(node.op, Weighted):
            assert is_whole(node.op.weight)
            assert is_whole(node.op.bias)
            assert float(node.op.weight.abs().max()) < 2 ** (form.weight_bits - 1)
        if isinstance(node.op, IntegerIntegrateAndFire):
            assert is_whole(node.op.threshold)
            assert is_whole(node.op.start(torch.zeros(1, *node.op.threshold.shape)).potential)
            assert bool((node.op.height == 1).all())
    record = tp.Record(potentials=[node.name for node in neurons])
    run = tp.simulate(network, tuple(x[:3] for x in inputs), 9, record=record)
    for potentials in run.potentials.values():
        assert is_whole(potentials)
        assert float(potentials.abs().max()) <= 2 ** (form.potential_bits - 1)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("name", WITH_ANN)
def test_the_ann_stays_beside_the_whole_numbers(name, form):
    model, _, _ = subject(name)
    inputs, network = converted(name, RATE.with_integers(form))
    smooth = network.map_ops(lambda node: Identity() if isinstance(node.op, OnGrid) else node.op)
    assert largest_difference(answers(smooth.analogue(), inputs), flat(model(*inputs))) < 1e-9


@pytest.mark.parametrize("name", ["mlp", "lenet", "resnet"])
def test_float32_computes_the_same_spikes_as_float64_and_as_the_literal_simulator(name):
    inputs, network = converted(name, RATE.with_integers(FitIntegers()))
    few = tuple(x[:2] for x in inputs)
    record = tp.Record(spikes=[node.name for node in network.having(IntegerIntegrateAndFire)])
    double = tp.simulate(network, few, 6, record=record)
    single = tp.simulate(network.to("cpu", torch.float32), tuple(x.float() for x in few), 6, record=record)
    _, literal = simulate_literally(network, few, 6)
    for key, train in double.spikes.items():
        assert torch.equal(train, single.spikes[key])
        assert (train.numpy() == literal[key]).all()


def trained(seed=0):
    """A small network that tells four noisy patterns apart, and samples."""
    torch.manual_seed(seed)
    patterns = torch.rand(4, 1, 6, 6)
    labels = torch.randint(0, 4, (512,))
    x = (patterns[labels] + 0.3 * torch.randn(512, 1, 6, 6)).clamp(0, 1)
    layers = [nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(32, 24), nn.ReLU(), nn.Linear(24, 4)]
    model = nn.Sequential(*layers)
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(100):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x[:256]), labels[:256]).backward()
        optimiser.step()
    return model.eval(), x, labels


@pytest.mark.parametrize("scope", ["layer", "channel"])
def test_more_bits_come_closer(scope):
    model, x, labels = trained()
    errors = []
    with torch.no_grad():
        truth = model(x[256:])
    for bits in (2, 4, 8):
        network = tp.convert(model, x[:256], RATE.with_integers(FitIntegers(bits, scope=scope)))
        answer = tp.simulate(network, x[256:], 256).outputs[-1]
        errors.append(float((answer - truth).norm() / truth.norm()))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.02
    assert tp.evaluate(model, network, (x[256:], labels[256:]), 64).agreement[-1] > 0.99


def test_potentials_of_few_bits_saturate_or_wrap():
    """With room for four thresholds only, what inhibits is cut off, and is far worse where it wraps around."""
    model, x, _ = trained()
    with torch.no_grad():
        truth = model(x[256:])
    errors = {}
    for kind in (Saturating, Wrapping):
        network = tp.convert(model, x[:256], RATE.with_integers(FitIntegers(8, 8, neuron=kind)))
        errors[kind] = float((tp.simulate(network, x[256:], 64).outputs[-1] - truth).norm() / truth.norm())
    assert 0.01 < errors[Saturating] < errors[Wrapping]


@given(st.integers(0, 1000), st.integers(2, 6))
def test_weights_make_up_for_one_another(seed, bits):
    """Over many rows, the error of the layer's currents is no larger than that of rounding each weight by itself."""
    draw = torch.Generator().manual_seed(seed)
    mixed = torch.randn(12, 12, generator=draw, dtype=torch.float64)
    covariance = mixed @ mixed.T / 12
    weight = torch.randn(64, 12, generator=draw, dtype=torch.float64)
    most = 2 ** (bits - 1) - 1
    unit = torch.tensor(most / float(weight.abs().max()), dtype=torch.float64)

    def error(whole):
        lost = whole / unit - weight
        return float(((lost @ covariance) * lost).sum())

    made_up = compensated(weight, unit, most, covariance)
    assert is_whole(made_up)
    assert float(made_up.abs().max()) <= most
    assert error(made_up) <= 1.02 * error(nearest(weight, unit, most))


def test_relays_have_a_weight():
    """An identity shortcut becomes a weight like any other, in the unit of the neurons that it reaches."""
    _, network = converted("resnet", RATE.with_integers(FitIntegers()))
    relays = [node for node in network.having(Affine) if node.op.scale is not None and ".units" not in node.name]
    after_input = {node.name for node in relays if ".normalised" in node.name}
    assert any(node.name not in after_input for node in relays)
    assert all(is_whole(node.op.scale) for node in relays if node.name not in after_input)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"weight_bits": 1}, "weight_bits must be a whole number from 2 to 16"),
        ({"potential_bits": True}, "potential_bits must be a whole number from 4 to 24"),
        ({"scope": "neuron"}, "scope must be 'layer' or 'channel'"),
        ({"neuron": nn.ReLU}, "neuron must be Saturating or Wrapping"),
    ],
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(ArgumentError, match=words):
        FitIntegers(**settings)


@pytest.mark.parametrize(
    ("model", "recipe", "words"),
    [
        (nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)), RATE, "follows other weights"),
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 2)), RATE, "follows other weights"),
        (nn.Sequential(nn.Linear(4, 4), nn.LeakyReLU(), nn.Linear(4, 2)), RATE, "as those of a LeakyReLU"),
        (nn.Sequential(nn.ReLU(), nn.Linear(4, 2)), RATE, "reads the input without weights"),
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)), tp.recipes["ternary"], "Ternary.*no integer form"),
    ],
)
def test_what_has_no_form_is_refused_with_its_reason(model, recipe, words):
    samples = torch.rand(64, 4)
    with pytest.raises(ConversionError, match=words):
        tp.convert(model.eval(), samples, recipe.with_integers(FitIntegers()))


@pytest.mark.parametrize("scope", ["layer", "channel"])
def test_corrections_after_rounding_stay_whole_and_come_closer(scope):
    """The corrected network is nearer to the ANN, with whole numbers within their few bits, and the same ANN beside it."""
    model, x, _ = trained()
    with torch.no_grad():
        truth = model(x[256:])
    form, errors = FitIntegers(3, scope=scope), []
    for corrected in (False, True):
        recipe = tp.recipes["sbg"].with_integers(form, corrected=corrected)
        network = tp.convert(model, x[:256], recipe, time_steps=16)
        errors.append(float((tp.simulate(network, x[256:], 16).outputs[-1] - truth).norm() / truth.norm()))
        for node in network.nodes.values():
            if isinstance(node.op, Weighted):
                assert is_whole(node.op.weight)
                assert is_whole(node.op.bias)
                assert float(node.op.weight.abs().max()) <= 3
            if isinstance(node.op, IntegerIntegrateAndFire):
                assert is_whole(node.op.threshold)
                assert is_whole(node.op.bias)
                assert is_whole(node.op.start(torch.zeros(1, *node.op.threshold.shape)).potential)
        smooth = network.map_ops(lambda node: Identity() if isinstance(node.op, OnGrid) else node.op)
        assert largest_difference(answers(smooth.analogue(), (x[256:],)), [truth]) < 1e-5
    assert errors[1] < errors[0]


def test_recipes_without_steps_are_rounded_alone():
    assert tp.recipes["rate"].with_integers(FitIntegers()).passes[-1] == FitIntegers()


@pytest.mark.skipif(library() is None, reason="no compiled kernels")
@pytest.mark.parametrize("kind", [Saturating, Wrapping])
@pytest.mark.parametrize("name", ["mlp", "resnet", "split-uneven"])
def test_the_compiled_engine_limits_potentials_as_the_neurons_do(name, kind):
    """Spikes and answers are those of the engine that steps each neuron, with room for four thresholds and for hardly one."""
    inputs, network = converted(name, RATE.with_integers(FitIntegers(8, 16, neuron=kind)))
    network, few = network.to("cpu", torch.float32), tuple(x[:5].float() for x in inputs)
    record = tp.Record(spikes=[node.name for node in network.having(IntegerIntegrateAndFire)])
    answered = []
    for form in (network, network.map_ops(tight)):
        event, plain = (tp.simulate(form, few, 40, record=record, engine=engine) for engine in ("event", "stepwise"))
        assert torch.equal(event.outputs, plain.outputs)
        for key, train in plain.spikes.items():
            assert torch.equal(event.spikes[key], train)
        answered.append(event.outputs)
    assert not torch.equal(*answered)


def tight(node):
    """The op of a node, with the fewest bits in which its potentials reach their threshold."""
    if not isinstance(node.op, IntegerIntegrateAndFire):
        return node.op
    return dataclasses.replace(node.op, bits=int(node.op.threshold.max()).bit_length() + 1)
