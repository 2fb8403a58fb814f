"""Laws of the structural passes, and what each of them leaves behind."""

from __future__ import annotations

import pytest
import torch

from helpers import MODELS, answers, frozen_copy, largest_difference, quick, same_network, subject
from transpike.calibration import Samples
from transpike.data import Batch
from transpike.network.edit import pruned
from transpike.neurons import FewSpike, Integrator
from transpike.ops import Affine, BatchNorm, Clip, Convolution, LeakyRelu, MaxPool, Relu
from transpike.passes import FoldBatchNorm, PoolBeforeActivation, SplitSigned, apply
from transpike.passes.few_spike_fit import fitted
from transpike.recipe import STRUCTURE

# Rounding of float64 in some ten layers, relative to the largest answer.
EXACT = 1e-9


def restructured(network, passes=STRUCTURE):
    """Apply structural passes, which read no samples."""
    return apply(passes, network, Samples())


@pytest.mark.parametrize("name", MODELS)
def test_each_structural_pass_keeps_the_function(name):
    _, inputs, network = subject(name)
    expected = answers(network, inputs)
    for change in STRUCTURE:
        network = restructured(network, [change])
        assert largest_difference(answers(network.analogue(), inputs), expected) <= EXACT, type(change).__name__


@pytest.mark.parametrize("name", quick(MODELS))
def test_each_structural_pass_applied_twice_changes_nothing_more(name):
    _, _, network = subject(name)
    for change in STRUCTURE:
        network = restructured(network, [change])
        assert same_network(restructured(network, [change]), network), type(change).__name__


@pytest.mark.parametrize("name", quick(MODELS))
def test_passes_leave_the_original_untouched(name):
    _, _, network = subject(name)
    before = frozen_copy(network)
    for change in STRUCTURE:
        changed = restructured(network, [change])
        assert same_network(network, before), type(change).__name__
        network, before = changed, frozen_copy(changed)
    assert same_network(pruned(network), network)


@pytest.mark.parametrize("name", quick(MODELS))
def test_no_batch_norm_and_no_signed_activation_is_left(name):
    _, _, network = subject(name)
    result = restructured(network)
    assert not result.having(BatchNorm, LeakyRelu)
    assert all(node.op.low == 0 and node.op.high > 0 for node in result.having(Clip))


@pytest.mark.parametrize("name", quick(MODELS))
def test_every_answer_is_decoded_once(name):
    _, _, network = subject(name)
    result = restructured(network)
    for node in result.having(Integrator):
        assert not isinstance(result.nodes[node.inputs[0]].op, Integrator)
    assert result.having(Integrator)


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("vgg-bn", 0),
        ("resnet", 0),
        ("mobilenet-v2", 0),
        ("signals-1d", 0),
        ("u-net", 0),
        ("norm-before-convolution", 0),
        ("norm-before-groups", 0),
        ("norm-before-linear", 0),
        ("norm-after-groups", 0),
        ("transposed-groups", 0),
        ("convolution-3d", 0),
        ("norm-twice", 0),
        ("norm-and-scale", 0),
        ("shared-source", 1),  # two readers of the convolution
        ("norm-before-padding", 1),  # zeros of the border would have to be shifted too
        ("norm-after-relu", 1),
        ("norm-of-tokens", 1),  # its channels are tokens, the linear layer's are features
        ("densenet", 5),  # behind a join, or behind a convolution that the join reads too
    ],
)
def test_batch_norm_is_folded_where_an_op_with_weights_is_next_to_it(name, left):
    _, _, network = subject(name)
    assert len(restructured(network, [FoldBatchNorm()]).having(Affine)) == left


def test_folding_scales_the_weights_by_channel():
    """W' = a W and b' = a b + c with a = scale / sqrt(variance + eps), c = shift - a mean."""
    model, _, network = subject("vgg-bn")
    convolution, norm = model[0], model[1]
    a = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
    c = (norm.bias - a * norm.running_mean).detach()
    folded = restructured(network, [FoldBatchNorm()]).nodes["0"].op
    torch.testing.assert_close(folded.weight, a[:, None, None, None] * convolution.weight.detach(), rtol=1e-14, atol=0)
    torch.testing.assert_close(folded.bias, a * convolution.bias.detach() + c, rtol=1e-14, atol=1e-15)


def test_max_pool_moves_before_the_activation_it_follows():
    _, _, network = subject("vgg-bn")
    result = restructured(network, [PoolBeforeActivation()])
    for pool in result.having(MaxPool):
        assert isinstance(result.nodes[result.users[pool.name][0]].op, Relu)
        assert not isinstance(result.nodes[pool.inputs[0]].op, Relu)


def test_max_pool_stays_where_others_read_the_activation():
    _, _, network = subject("u-net")
    result = restructured(network, [PoolBeforeActivation()])
    (pool,) = result.having(MaxPool)
    assert isinstance(result.nodes[pool.inputs[0]].op, Relu)


def test_signed_activations_become_two_opposite_neurons():
    _, _, network = subject("hardtanh-uneven")
    bounds = [(node.op.low, node.op.high) for node in restructured(network, [SplitSigned()]).having(Clip)]
    assert bounds == [(0.0, 0.3), (0.0, 0.1)]


def test_an_open_clip_needs_no_clip():
    _, _, network = subject("clamp-nothing")
    result = restructured(network, [SplitSigned()])
    assert not result.having(Clip, Relu)


def test_nodes_that_no_output_needs_are_removed():
    _, inputs, network = subject("unused-branch")
    assert [node.name for node in network.having(Convolution, Relu)] == ["relu"]
    result = apply([], network, Samples([Batch(inputs)]))
    assert same_network(result, pruned(network))
    assert "second" not in restructured(network).nodes


@pytest.mark.parametrize(("low", "high"), [(-2.0, 2.0), (-5.0, 1.0), (-0.55, 0.6)])
@pytest.mark.parametrize("function", [torch.tanh, lambda x: x], ids=["tanh", "relay"])
def test_few_spike_programs_hold_below_their_range(function, low, high):
    """A slot that fires all over the range fires below it too, where what it takes away would else be missing."""
    [(program, error)] = fitted([function], [(low, high)], 8)
    op = FewSpike(torch.ones(()).double(), torch.zeros(()), Relu(), None, None, 0, *program)
    at_end, beyond = (op.value(op.encoded(torch.tensor([x]).double(), 8), 8) for x in (low, low - 0.05 * (high - low)))
    assert error < 0.02 * (high - low)
    assert abs(float(at_end - beyond)) < 0.1 * float(function(torch.tensor(high)) - function(torch.tensor(low)))
