"""The table of traits is complete, and each op that it calls linear is."""

from __future__ import annotations

import inspect

import pytest
import torch

from helpers import EVERY, same_op, subject
from transpike import ops
from transpike.network import forward
from transpike.ops import TRAITS, WEIGHTED
from transpike.parts import Op, Trait


def kinds():
    modules = [module for module in vars(ops).values() if inspect.ismodule(module)]
    found = [kind for module in modules for _, kind in inspect.getmembers(module, inspect.isclass)]
    return {kind for kind in found if issubclass(kind, Op) and kind is not Op}


def test_every_op_has_a_trait():
    assert kinds() == set(TRAITS)


def test_every_op_is_exercised_by_the_lists(every_network):
    """Each op of the vocabulary occurs in some captured model; Identity, Rescaled and OnGrid are made by passes."""
    seen = {type(node.op) for network in every_network for node in network.nodes.values()}
    assert seen | {ops.Identity, ops.Rescaled, ops.OnGrid, ops.Relay} == set(TRAITS)


@pytest.mark.parametrize("name", EVERY)
def test_linear_ops_commute_with_averaging(name):
    """op(mean of two signals) = mean of op of each, for every linear op of every model, in float64."""
    _, inputs, network = subject(name)
    one, two = ({}, {})
    forward(network, inputs, one.__setitem__)
    forward(network, [x.flip(0) for x in inputs], two.__setitem__)
    for node in network.nodes.values():
        if TRAITS[type(node.op)] is Trait.LINEAR:
            first = [one[source] for source in node.inputs]
            if not any(value.is_floating_point() for value in first):
                continue  # whole numbers, such as places in a sentence, have no average
            second = [two[source] if one[source].is_floating_point() else one[source] for source in node.inputs]
            mean = node.op(*[(a + b) / 2 if a.is_floating_point() else a for a, b in zip(first, second, strict=True)])
            expected = (node.op(*first) + node.op(*second)) / 2
            torch.testing.assert_close(mean, expected, rtol=1e-12, atol=1e-11)  # masks of scores are as large as 1e9


def test_weighted_ops_are_linear():
    assert all(TRAITS[kind] is Trait.LINEAR for kind in WEIGHTED)


def test_tensors_of_an_op_can_be_changed_and_leave_the_op_alone():
    op = ops.Linear(torch.ones(2, 3), torch.zeros(2))
    doubled = op.map_tensors(lambda tensor: tensor * 2)
    assert [name for name, _ in op.tensors()] == ["weight", "bias"]
    assert torch.equal(doubled.weight, torch.full((2, 3), 2.0))
    assert same_op(op, ops.Linear(torch.ones(2, 3), torch.zeros(2)))
