"""SRP and COS on whole networks: what they read, that they restart, and that their steps are counted."""

from __future__ import annotations

import pytest
import torch

import transpike as tp
from helpers import converted, subject
from transpike.calibration import Samples
from transpike.data import Batch
from transpike.errors import ArgumentError, ConversionError
from transpike.network.edit import with_op
from transpike.network.turns import turns
from transpike.neurons import AccumulatedMaxPool, IntegrateAndFire, Integrator, OffsetCalibrated, ResidualSilenced
from transpike.ops import Relu
from transpike.passes import CalibrateOffsets, SilenceByResidual, apply
from transpike.recipe import STRUCTURE
from transpike.report.document import page
from transpike.simulation.stepper import Stepper

STEPS = 9
# u-net keeps a max-pool behind its neurons; resnet adds a layer's spikes to those of a later one
NETWORKS = ("mlp", "resnet", "u-net", "vgg-bn")


def plain(network):
    """The same network with neurons that neither listen nor restart."""

    def change(node):
        op = node.op
        if isinstance(op, ResidualSilenced | OffsetCalibrated):
            return IntegrateAndFire(op.threshold, op.initial, op.activation, op.height, op.bias)
        if isinstance(op, AccumulatedMaxPool):
            return AccumulatedMaxPool(op.pool, op.of_spikes)
        return Integrator() if isinstance(op, Integrator) else op

    return network.map_ops(change)


def extra_steps(network):
    return max(node.op.delay for node in network.having(Integrator))


def stepped(network, x, steps):
    """Return the states and answers of one sample after some steps."""
    stepper = Stepper(network, [x])
    answers = [stepper.step()["output"] for _ in range(steps)]
    return stepper.states, torch.stack(answers)


@pytest.mark.parametrize("name", NETWORKS)
def test_after_its_windows_cos_is_a_network_with_corrected_initial_potentials(name):
    """From the first step after the windows on, exactly: each sample has its own correction."""
    inputs, network = converted(name, tp.recipes["cos"])
    x, extra = inputs[0][:1], extra_steps(network)
    states, answers = stepped(network, x, extra + STEPS)
    corrected, moved = plain(network), 0
    for node in network.having(OffsetCalibrated):
        shift = states[node.name].correction
        moved += int((shift != 0).sum())
        initial = 0.5 + shift[0] / node.op.threshold
        corrected = with_op(corrected, node.name, IntegrateAndFire(node.op.threshold, initial, Relu()))
    assert moved > 0
    torch.testing.assert_close(answers[extra:], stepped(corrected, x, STEPS)[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_corrections_of_cos_are_made_layer_by_layer_from_corrected_inputs(name):
    """Literally: run rho steps of the network with all earlier layers corrected, anew for each layer, and judge."""
    inputs, network = converted(name, tp.recipes["cos"])
    x, rho = inputs[0][:1], 4
    states, _ = stepped(network, x, extra_steps(network) + 1)
    trial, places = plain(network), turns(network)
    for depth in range(1, max(places.values()) + 1):
        seen, _ = stepped(trial, x, rho)
        for node in (node for node in network.having(OffsetCalibrated) if places[node.name] == depth):
            assert (node.op.layer, node.op.length) == (depth, rho)
            threshold, state, shift = node.op.threshold, seen[node.name], states[node.name].correction
            surplus = (state.potential < 0) & (state.count > 0)
            missing = (state.potential >= threshold) & (state.count < rho)
            assert torch.equal(shift < 0, surplus)
            assert torch.equal(shift > 0, missing)
            initial = 0.5 + shift[0] / threshold
            trial = with_op(trial, node.name, IntegrateAndFire(threshold, initial, Relu()))


@pytest.mark.parametrize("name", NETWORKS)
def test_srp_silences_what_has_no_residual_and_else_changes_nothing(name):
    """Before its restart it is the plain network; after it a neuron either is silent or starts from the beginning."""
    inputs, network = converted(name, tp.recipes["srp"])
    x = inputs[0][:3]
    trial, before = stepped(plain(network), x, 4)
    states, answers = stepped(network, x, 4 + STEPS)
    assert torch.equal(answers[:4], before)
    first = network.having(ResidualSilenced)[0]
    untouched, _ = stepped(plain(network), x, STEPS)
    for node in network.having(ResidualSilenced):
        silenced = trial[node.name].potential <= 1e-3 * node.op.threshold
        assert silenced.any()
        assert torch.equal(silenced, states[node.name].silenced)
        assert not states[node.name].net[silenced].any()
        if node is first:
            assert torch.equal(states[node.name].net[~silenced], untouched[node.name].count[~silenced])


def test_steps_before_the_answer_are_counted():
    model, inputs, _ = subject("resnet")
    srp = tp.convert(model, inputs[0], "srp")
    cos = tp.convert(model, inputs[0], "cos")
    depth = max(turns(cos).values())
    assert (srp.method.extra_steps, cos.method.extra_steps) == (4, 4 * depth)
    assert tp.convert(model, inputs[0], "rate").method.extra_steps == 0
    longer = tp.convert(model, inputs[0], tp.recipes["cos"].with_pass(CalibrateOffsets(rho=7)))
    assert (longer.method.name, longer.method.extra_steps) == ("cos, CalibrateOffsets(rho=7)", 7 * depth)


def test_layer_errors_of_a_report_are_those_of_the_steps_that_count():
    """256 steps after the windows the decoded activations differ by some 1/256, not by what the windows added."""
    model, inputs, _ = subject("resnet")
    network = tp.convert(model, inputs[0], tp.recipes["cos"].with_percentile(100))
    extra = network.method.extra_steps
    report = tp.evaluate(model, network, [(inputs[0], torch.zeros(len(inputs[0]), dtype=torch.long))], extra + 256)
    assert max(layer.error for layer in report.layers) < 0.02
    assert report.method.extra_steps == extra > 0
    assert f"<dt>Extra steps</dt><dd>{extra} steps correct the neurons" in page(report)
    assert "unfinished" not in {finding.kind for finding in report.findings}


def test_a_run_that_ends_before_its_answer_says_so():
    model, inputs, _ = subject("mlp")
    network = tp.convert(model, inputs[0], "cos")
    extra = network.method.extra_steps
    report = tp.evaluate(model, network, [(inputs[0], torch.zeros(len(inputs[0]), dtype=torch.long))], extra)
    (finding,) = [finding for finding in report.findings if finding.kind == "unfinished"]
    assert finding.severity == "warning"
    assert f"Simulate more than {extra} time steps" in finding.advice


def test_other_neurons_are_refused():
    _, inputs, network = subject("mlp")
    ternary = apply(tp.recipes["ternary"].passes, network, Samples([Batch(inputs)]))
    with pytest.raises(
        ConversionError, match=r"SRP reads the potential of integrate-and-fire neurons .* holds Ternary neurons"
    ):
        SilenceByResidual()(ternary, Samples())
    rate = apply(tp.recipes["rate"].passes, network, Samples([Batch(inputs)]))
    name = rate.having(IntegrateAndFire)[0].name
    op = rate.nodes[name].op
    uneven = with_op(rate, name, IntegrateAndFire(op.threshold, op.initial, op.activation, delay=3))
    with pytest.raises(ArgumentError, match="COS replays the same steps in each window"):
        CalibrateOffsets()(uneven, Samples())


def test_impossible_windows_are_refused():
    with pytest.raises(ArgumentError, match="tau must be a whole number of at least 1, not 0"):
        SilenceByResidual(tau=0)
    with pytest.raises(ArgumentError, match="Recipe 'rate' has no pass SilenceByResidual"):
        tp.recipes["rate"].with_pass(SilenceByResidual())
    with pytest.raises(ArgumentError, match="rho must be a whole number of at least 1"):
        CalibrateOffsets(rho=-2)


def test_network_without_neurons_needs_no_windows():
    _, _, network = subject("linear-only")
    bare = apply((*STRUCTURE, CalibrateOffsets()), network, Samples())
    assert extra_steps(bare) == 0
