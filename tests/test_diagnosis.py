"""Where the loss comes from: exact parts, cases built by hand, bounds that hold, costs against their definition."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

import transpike as tp
from helpers import MODELS, converted, examples, quick, spiking_of, subject
from random_networks import networks
from transpike.analysis import Report
from transpike.analysis.attribution import split
from transpike.analysis.counterfactual import evenly, measured
from transpike.analysis.diagnosis import CAUSES, OWN
from transpike.analysis.growth import operator_norm, pool_norm
from transpike.capture import capture
from transpike.errors import ArchiveError, ArgumentError, ConversionError
from transpike.network import Network, Node, forward, shapes
from transpike.network.grammar import trait
from transpike.neurons import Burst, Graded, IntegrateAndFire, Integrator, Ternary
from transpike.ops import AdaptiveMaxPool, Add, Clip, Concatenate, Identity, Input, Linear, MaxPool, Relu
from transpike.parts import State, Stateful, Trait
from zoo import ZOO

seeds = st.integers(0, 10_000)
KINDS = (IntegrateAndFire, Ternary, Burst, Graded)


def f64(*values):
    return torch.tensor(values, dtype=torch.float64)


def chain(*ops, inputs=1):
    """Return the network of ops in a row, from an input [inputs] to a decoded output."""
    nodes, last = {"x": Node("x", Input((inputs,), "float64"))}, "x"
    for place, op in enumerate((*ops, Integrator())):
        name = f"n{place}"
        nodes[name] = Node(name, op, (last,))
        last = name
    return Network(nodes, {"output": last})


def fires(threshold, initial=0.5, activation=None):
    return IntegrateAndFire(f64(*threshold), torch.as_tensor(initial, dtype=torch.float64), activation or Relu())


def parts_of(layer):
    return {cause: getattr(layer, cause).mean for cause in CAUSES}


def only(**expected):
    return {cause: pytest.approx(expected.get(cause, 0.0), abs=1e-15) for cause in CAUSES}


@given(seeds, st.sampled_from(KINDS), st.integers(1, 20), st.floats(0, 1))
def test_the_parts_add_up_to_the_error_of_every_neuron(seed, kind, steps, initial):
    """Four differences that telescope, of values below 20: 1e-14 covers their rounding."""
    generator = torch.Generator().manual_seed(seed)
    current, sent, activation = (torch.randn(5, 3, dtype=torch.float64, generator=generator) for _ in range(3))
    neuron = kind(f64(0.3, 1.0, 2.0), torch.tensor(initial).double(), Relu())
    parts = split(neuron, current, sent, activation, steps)
    torch.testing.assert_close(sum(parts.values()), sent - activation, rtol=0, atol=1e-14)


@given(st.lists(st.integers(-2048, 8192), min_size=3, max_size=3), st.sampled_from(KINDS), st.integers(1, 40))
def test_what_is_sent_evenly_has_the_closed_form(numerators, kind, steps):
    """threshold/T * clip(floor(z T / threshold + 1/2), 0, most T), exactly: all values are multiples of 2^-10."""
    neuron = kind(f64(0.5, 1.0, 2.0), torch.tensor(0.5).double(), Relu())
    z = f64(numerators) / 1024
    spikes = (z * steps / neuron.threshold + 0.5).floor().clamp(0, neuron.most * steps)
    assert torch.equal(evenly(neuron, z, steps), spikes * neuron.threshold / steps)


@pytest.mark.parametrize(
    ("current", "steps", "expected"),
    [
        (2.0, 4, {"clipping": -1.0}),
        (0.5, 4, {}),
        (0.4, 4, {"quantisation": 0.1}),
        (0.55, 4, {"quantisation": -0.05}),
        (-3.0, 4, {}),
        (1.25, 8, {"clipping": -0.25}),
    ],
)
def test_one_neuron_only_clips_and_rounds(current, steps, expected):
    found = tp.diagnose(None, chain(fires([1.0])), f64([current]), steps)
    assert parts_of(found.layers[0]) == only(**expected)
    assert found.layers[0].unevenness.mean_square == 0.0


def bunched():
    """Neuron A fires at step 1, B at step 2, both once in two steps; the next neuron gets A - B, 0 on average."""
    first, early_and_late = Linear(f64([1.0], [1.0])), fires([1.0, 1.0], [0.5, 0.0])
    return chain(first, early_and_late, Linear(f64([1.0, -1.0])), fires([1.0], 0.0))


def test_bunched_spikes_are_uneven_and_nothing_else():
    found = tp.diagnose(None, bunched(), f64([0.5]), 2)
    assert parts_of(found.layers[0]) == only()
    assert parts_of(found.layers[1]) == only(unevenness=0.5)
    assert [stage.output_error for stage in found.stages] == [0.0, 0.0, 0.0, 1.0]


def test_what_the_first_layer_gets_wrong_is_inherited_by_the_second():
    """A current of 2 leaves the first neuron as 1, which the second passes on without an error of its own."""
    found = tp.diagnose(None, chain(fires([1.0]), Linear(f64([0.5])), fires([1.0])), f64([2.0]), 4)
    first, second = found.layers
    assert parts_of(first) == only(clipping=-1.0)
    assert parts_of(second) == only(inherited=-0.5)
    assert (first.cost, second.cost) == (1.0, 0.0)
    assert (first.growth, first.growth_bound) == (0.5, 0.5)
    assert second.bound == second.error**0.5 == 0.5
    assert found.share("clipping") == 1.0


def test_the_only_layer_costs_everything():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).double().eval()
    x = torch.rand(40, 4).double()
    found = tp.diagnose(model, tp.convert(model, x), x, 4)
    assert found.layers[0].cost == pytest.approx(1, abs=1e-12)
    assert found.layers[0].recovered == 1 - found.stages[-1].agreement


def literally(network, x, steps):
    """Return, per layer, its parts [batch, ...]: mean currents by conservation of charge, rounding by the closed form."""
    layers = network.having(IntegrateAndFire)
    names = [node.name for node in layers]
    run = tp.simulate(network, x, steps, record=tp.Record(counts=names, potentials=names))
    activations: dict = {}
    forward(network.analogue(), [x], activations.__setitem__)
    found = {}
    for node in layers:
        theta, count = node.op.threshold, run.counts[node.name]
        z = (run.potentials[node.name][-1] - node.op.initial * theta + theta * count) / steps
        ideal = node.op.activation(z)
        charge = z * steps / theta + node.op.initial
        nearest = charge.round()
        assume(not ((charge - nearest).abs() < 1e-9)[(nearest >= 1) & (nearest <= steps)].any())  # rounding decides ties
        even = theta / steps * charge.floor().clamp(0, steps)
        clipped, sent = torch.minimum(ideal, theta), theta * count / steps
        found[node.name] = (clipped - ideal, even - clipped, sent - even, ideal - activations[node.name])
    return run, found


def check_bounds(found):
    """Norms of convolutions come from below, by less than 1 % here: power iteration stops when it changes by 1e-5."""
    for layer in found.layers:
        assert layer.error**0.5 <= 1.01 * layer.bound + 1e-12
        assert layer.growth <= 1.01 * layer.growth_bound + 1e-12
    assert found.answer_error <= 1.01 * found.answer_bound + 1e-12


@given(networks(), st.integers(1, 16))
@settings(max_examples=examples(10))
def test_parts_are_those_of_a_literal_computation_and_errors_within_their_bounds(drawn, steps):
    """Two ways to the mean currents, in float64; sums of a few hundred terms agree to 1e-9."""
    network, x = drawn
    found = tp.diagnose(None, network, x, steps)
    _, expected = literally(network, x, steps)
    for layer in found.layers:
        for cause, part in zip(CAUSES, expected[layer.name], strict=True):
            assert getattr(layer, cause).mean == pytest.approx(float(part.mean()), abs=1e-9)
            assert getattr(layer, cause).mean_square == pytest.approx(float(part.square().mean()), abs=1e-9)
        assert layer.error == pytest.approx(float(sum(expected[layer.name]).square().mean()), abs=1e-9)
    check_bounds(found)


def linear_ops(name):
    network = subject(name)[2]
    sizes = shapes(network)
    for node in network.nodes.values():
        if len(node.inputs) == 1 and trait(node.op) is Trait.LINEAR and not isinstance(node.op, Add | Concatenate):
            yield node.op, sizes[node.inputs[0]]


@pytest.mark.parametrize("name", quick(MODELS))
def test_norms_are_the_largest_singular_values(name):
    """Against the singular values of the matrix of the op, column by column."""
    for op, shape in linear_ops(name):
        size = int(np.prod(shape))
        if size > 300:
            continue
        columns = op(torch.eye(size).double().reshape(size, *shape)) - op(torch.zeros(1, *shape).double())
        expected = float(torch.linalg.matrix_norm(columns.reshape(size, -1), 2))
        assert operator_norm(op, shape) == pytest.approx(expected, rel=0.01, abs=1e-6)


@given(seeds, st.sampled_from([(2, 2, 0, 1), (3, 2, 1, 1), (3, 1, 1, 1), (2, 1, 0, 2)]))
def test_pooling_lengthens_no_difference_by_more_than_its_norm(seed, sizes):
    kernel, stride, padding, dilation = ((size, size) for size in sizes)
    op = MaxPool(kernel, stride, padding, dilation)
    generator = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(1, 2, 6, 6, generator=generator) for _ in range(2))
    output = tuple(op(x).shape[1:])
    assert (op(x) - op(y)).norm() <= pool_norm(op, (2, 6, 6), output) * (x - y).norm() * (1 + 1e-6)
    assert pool_norm(AdaptiveMaxPool((3, 3)), (2, 6, 6), (2, 3, 3)) == 1.0


@pytest.fixture(scope="module")
def setting():
    torch.manual_seed(1)
    body = [nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten()]
    model = nn.Sequential(*body, nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    x = torch.rand(70, 1, 6, 6)
    return model, tp.convert(model, torch.rand(60, 1, 6, 6)), (x, torch.randint(3, (70,)))


@pytest.fixture(scope="module")
def analogue(setting):
    model, _, (x, _) = setting
    return capture(model, (x,))


@pytest.fixture(scope="module")
def found(setting):
    return tp.diagnose(*setting, 8, block=16)


def test_a_constant_input_makes_no_unevenness_in_the_first_layer(found):
    assert found.layers[0].unevenness.mean_square == 0.0
    assert found.layers[0].inherited.mean_square == 0.0
    assert all(layer.unevenness.mean_square > 0 for layer in found.layers[1:])


def test_stages_are_plain_passes_and_the_run(setting, found):
    model, network, (x, labels) = setting
    run = tp.evaluate(model, network, (x, labels), 8, block=16)
    ann, *_, snn = found.stages
    assert (ann.accuracy, ann.agreement, ann.output_error) == (run.reference_accuracy, 1.0, 0.0)
    assert (snn.accuracy, snn.agreement) == (run.accuracy[-1], run.agreement[-1])
    assert snn.output_error == pytest.approx(run.output_error[-1], rel=1e-6)
    assert [layer.relative_error for layer in found.layers] == pytest.approx([layer.error for layer in run.layers], rel=1e-4)


def test_costs_are_what_they_say():
    """Literally: ReLU layers that add the errors of the run, once all of them and once all but one."""
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, 4)).double().eval()
    x = torch.rand(50, 6).double()
    network = tp.convert(model, x)
    _, parts = literally(network, x, 4)
    errors = [sum(part[:3]) for part in parts.values()]

    def answer(*factors):
        hidden = torch.relu(model[0](x)) + factors[0] * errors[0]
        return model[4](torch.relu(model[2](hidden)) + factors[1] * errors[1])

    found = tp.diagnose(model, network, x, 4)
    with torch.no_grad():
        right, wrong = answer(0, 0), answer(1, 1)
        for layer, error, mended in zip(found.layers, errors, (answer(0, 1), answer(1, 0)), strict=True):
            left = (mended - right).square().sum() / (wrong - right).square().sum()
            assert layer.cost == pytest.approx(float(1 - left), abs=1e-9)
            assert layer.growth == pytest.approx(float((mended - wrong).norm() / error.norm()), rel=1e-9)
            agreeing = (mended.argmax(1) == right.argmax(1)).double().mean() - (
                wrong.argmax(1) == right.argmax(1)
            ).double().mean()
            assert layer.recovered == pytest.approx(float(agreeing), abs=1e-12)


def test_evaluation_holds_the_same_diagnosis_and_resumes(setting, found, tmp_path):
    report = tp.evaluate(*setting, 8, block=16, diagnose=True)
    assert report.diagnosis == found
    assert dataclasses.replace(report, diagnosis=None) == tp.evaluate(*setting, 8, block=16)

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tp.evaluate(*setting, 8, block=16, diagnose=True, folder=tmp_path, progress=stop)
    with pytest.raises(ArchiveError, match="belongs to another"):
        tp.evaluate(*setting, 8, block=16, folder=tmp_path, resume=True)
    assert tp.evaluate(*setting, 8, block=16, diagnose=True, folder=tmp_path, resume=True).diagnosis == found


def test_how_the_data_are_batched_does_not_matter(setting, found):
    model, network, (x, labels) = setting
    batches = list(zip(x.split(9), labels.split(9), strict=True))
    assert tp.diagnose(model, network, batches, 8, block=16) == found


def test_random_input_is_inherited_by_the_first_layer(setting):
    model, _, (x, _) = setting
    network = tp.convert(model, x, tp.recipes["rate"].poisson(3))
    found = tp.diagnose(model, network, x, 8, block=16)
    assert found.layers[0].inherited.mean_square > 0
    assert found.layers[0].unevenness.mean_square > 0
    run = tp.simulate(network, x, 8, block=16)
    assert found.answer_error == pytest.approx(float((run.outputs[-1] - model(x)).norm() / model(x).norm()), rel=1e-4)
    assert all(layer.error**0.5 <= 1.01 * layer.bound for layer in found.layers)


def test_it_survives_json(setting, found, tmp_path):
    found.save(tmp_path / "diagnosis.json")
    assert tp.Diagnosis.load(tmp_path / "diagnosis.json") == found
    report = tp.evaluate(*setting, 4, diagnose=True)
    report.save(tmp_path / "report.json")
    assert Report.load(tmp_path / "report.json") == report
    values = json.loads(report.to_json())
    del values["diagnosis"]
    (tmp_path / "older.json").write_text(json.dumps(values))
    assert Report.load(tmp_path / "older.json") == dataclasses.replace(report, diagnosis=None)
    values["diagnosis"] = {"layers": 3}
    (tmp_path / "report.json").write_text(json.dumps(values))
    with pytest.raises(ArchiveError, match="not a complete report"):
        Report.load(tmp_path / "report.json")


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"format": 99}', '{"format": 1, "layers": 3}'])
def test_damaged_diagnoses_are_refused(content, tmp_path):
    (tmp_path / "diagnosis.json").write_text(content)
    with pytest.raises(ArchiveError):
        tp.Diagnosis.load(tmp_path / "diagnosis.json")


class Forgetful(Stateful):
    """Passes on what it gets, and keeps no sum of it."""

    def start(self, x, first_sample=0):
        return State()

    def step(self, state, x):
        return x

    def analogue(self):
        return Identity()


def test_mistakes_are_named(setting):
    model, network, data = setting
    with pytest.raises(ArgumentError, match="time_steps"):
        tp.diagnose(model, network, data, 0)
    with pytest.raises(ArgumentError, match=r"call transpike\.convert first"):
        tp.diagnose(model, model, data, 4)
    with pytest.raises(ConversionError, match="Forgetful 'n1' keeps no sum of what it sends"):
        tp.diagnose(None, chain(fires([1.0]), Forgetful()), f64([0.5]), 4)


def test_the_words_name_cause_and_remedy(found):
    first, last = nn.Linear(1, 1, bias=False), nn.Linear(1, 2)
    model = nn.Sequential(first, nn.ReLU(), last).eval()
    with torch.no_grad():  # which class it is depends on whether x exceeds 1
        first.weight.fill_(1.0)
        last.weight.copy_(torch.tensor([[1.0], [0.0]]))
        last.bias.copy_(torch.tensor([0.0, 1.0]))
    x = torch.linspace(0, 2, 80)[:, None]
    clipping = tp.diagnose(model, tp.convert(model, x, tp.recipes["rate"].with_percentile(5)), x, 64)
    assert "Raise the percentile" in clipping.findings[0].advice
    assert max(OWN, key=clipping.share) == "clipping"
    costly = next(finding for finding in found.findings if finding.kind == "costly-layers")
    assert found.costliest[0].name in costly.message
    assert any("the product of the layers' norms promises only" in finding.message for finding in found.findings)
    exact = tp.diagnose(None, chain(fires([1.0])), f64([0.5]), 4)
    assert [finding.kind for finding in exact.findings] == ["no-loss"]
    assert exact.share("unevenness") == 0.0


def test_an_activation_that_saturates_is_no_clipping_error():
    found = tp.diagnose(None, chain(fires([1.0], activation=Clip(0.0, 1.0))), f64([3.0]), 4)
    assert parts_of(found.layers[0]) == only()


@pytest.mark.parametrize("name", quick(MODELS))
def test_every_model_can_be_diagnosed_within_its_bounds(name):
    inputs, network = converted(name, tp.recipes["rate"])
    found = tp.diagnose(None, network, inputs, 3)
    assert [layer.name for layer in found.layers] == [node.name for node in network.having(IntegrateAndFire)]
    assert found.findings
    check_bounds(found)


@pytest.mark.parametrize("name", quick(ZOO))
def test_the_network_of_means_gives_the_answer_of_the_run(name):
    inputs, network = converted(name, tp.recipes["rate"])
    names = [node.name for node in network.having(IntegrateAndFire)]
    run = tp.simulate(network, inputs, 5, record=tp.Record(counts=names))
    means = {name: run.counts[name] * network.nodes[name].op.threshold / 5 for name in names}
    answer = forward(measured(network, means), inputs)
    torch.testing.assert_close(next(iter(answer.values())), run.outputs[-1], rtol=0, atol=1e-9)


def test_differential_networks_are_refused(setting):
    model, _, (x, labels) = setting
    network = tp.convert(model, x[:40], "dcgs", time_steps=4)
    with pytest.raises(ConversionError, match="ifferential"):
        tp.diagnose(model, network, (x, labels), 4)


# Trained thresholds, differential codes and first spikes in time are left out: no diagnosis for them, or no model here.
LEFT_OUT = ("qcfs", "dcgs", "differential", "ttfs")
DIAGNOSED = [name for name in tp.recipes if name == "ttfs-exact" or not name.startswith(LEFT_OUT)]


@pytest.mark.parametrize("name", ["ttfs-base", "ttfs-corrective", "ttfs-dynamic"])
def test_first_spikes_in_time_are_refused(setting, name):
    model, _, (x, labels) = setting
    with pytest.raises(ConversionError, match="keeps no sum of what it sends"):
        tp.diagnose(model, tp.convert(model, x[:40], name, time_steps=6), (x, labels))


@pytest.mark.parametrize("recipe", DIAGNOSED)
def test_every_recipe_can_be_diagnosed(setting, analogue, recipe):
    """Corrected weights, biases, heights, delays, other neurons and schedules: parts still add up, bounds still hold."""
    model, _, (x, labels) = setting
    steps = tp.recipes[recipe].window or 6
    network = spiking_of(analogue, x[:40], recipe, steps)
    found = tp.diagnose(model, network, (x, labels), steps, block=35)
    run = tp.evaluate(model, network, (x, labels), steps, block=35)
    assert [layer.relative_error for layer in found.layers] == pytest.approx([layer.error for layer in run.layers], rel=1e-4)
    assert found.stages[-1].accuracy == run.accuracy[-1]
    for layer in found.layers:
        whole = sum(getattr(layer, cause).mean for cause in CAUSES)
        assert whole**2 <= layer.error + 1e-9
    if recipe != "ttfs-exact":  # whose errors are those of rounding
        check_bounds(found)
    if network.method.schedule == "sequential":
        assert all(layer.unevenness.mean_square == pytest.approx(0, abs=1e-12) for layer in found.layers)
