"""Synaptic operations: each spike is counted over exactly the connections that it arrives over."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

import transpike as tp
from helpers import MODELS, converted, quick
from transpike.analysis.connections import WITH_WEIGHTS, fan_outs, pattern
from transpike.analysis.operations import count_work, synaptic_operations
from transpike.network import shapes
from transpike.network.grammar import Carried, carried
from transpike.neurons import AccumulatedMaxPool
from transpike.ops import AdaptiveAveragePool, Add, Affine, AveragePool, Mean, Pad, Upsample
from transpike.parts import Stateful

AVERAGING = (AveragePool, AdaptiveAveragePool, Mean, Upsample)


def quiet(op):
    """Return an op that only routes, without what it adds of its own."""
    if isinstance(op, Affine):
        return Affine(None if op.scale is None else (op.scale != 0).double())
    if isinstance(op, Add):
        return Add()
    return dataclasses.replace(op, value=0.0) if isinstance(op, Pad) else op


def routed(op, inputs):
    """Return over how many routes the spike reaches each element of the output."""
    if isinstance(op, AVERAGING):
        assert inputs[0].max() == 1  # several routes may meet behind an average, not before it
        return (op(*inputs) != 0).double()
    return quiet(op)(*inputs)


def followed(network, source, kinds, sizes):
    """Send one spike from each unit in turn (along the batch) and count where it arrives."""
    units = torch.Size(sizes[source]).numel()
    values = {source: torch.eye(units, dtype=torch.float64).reshape(units, *sizes[source])}
    arrived = torch.zeros(units, dtype=torch.float64)
    for name, node in network.nodes.items():
        if name == source or not any(read in values for read in node.inputs):
            continue
        inputs = [values.get(read, torch.zeros(1, *sizes[read], dtype=torch.float64)) for read in node.inputs]
        spikes = inputs[0]
        if isinstance(node.op, WITH_WEIGHTS):
            arrived += pattern(node.op)(spikes).reshape(units, -1).sum(1)
        elif isinstance(node.op, AccumulatedMaxPool):
            arrived += node.op.pool(spikes).reshape(units, -1).sum(1)
        elif isinstance(node.op, Stateful):
            arrived += spikes.reshape(units, -1).sum(1)
        elif kinds[name] is Carried.SPIKES:
            values[name] = routed(node.op, inputs)
        else:
            arrived += routed(node.op, inputs).reshape(units, -1).sum(1)
    return arrived.reshape(sizes[source])


@pytest.mark.parametrize("name", quick(MODELS))
def test_fan_out_equals_following_each_spike(name):
    _, network = converted(name, tp.recipes["rate"])
    kinds, sizes = carried(network), shapes(network)
    found = fan_outs(network)
    assert set(found) == {
        n for n, node in network.nodes.items() if isinstance(node.op, Stateful) and kinds[n] is Carried.SPIKES
    }
    for source, fan_out in found.items():
        assert torch.equal(fan_out.double(), followed(network, source, kinds, sizes)), source


def spiking(*layers, shape=(2, 6, 6)):
    model = nn.Sequential(nn.Conv2d(shape[0], shape[0], 1), nn.ReLU(), *layers).eval()
    return tp.convert(model, torch.rand(40, *shape))


def test_borders_of_a_convolution_count_fewer_connections():
    fan_out = fan_outs(spiking(nn.Conv2d(2, 3, 3, padding=1)))["1"]
    assert fan_out[0, 0, 0] == 3 * 4  # a corner pixel is seen by 2 x 2 windows of 3 channels
    assert fan_out[1, 2, 3] == 3 * 9
    assert fan_out[0, 0, 2] == 3 * 6


def test_groups_and_zero_weights_are_no_connections():
    network = spiking(nn.Conv2d(2, 4, 1, groups=2))
    assert (fan_outs(network)["1"] == 2).all()
    layer = nn.Conv2d(2, 4, 1)
    with torch.no_grad():
        layer.weight[1:] = 0
    assert (fan_outs(spiking(layer))["1"] == 1).all()


def test_macs_of_a_known_network():
    network = spiking(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 36, 5))
    work = count_work(network)
    stem, body, head = 36 * 2 * 2, 36 * 9 * 2 * 3, 108 * 5
    assert work.ann_macs == stem + body + head
    taps = (6 + 2 * 5) ** 2  # per axis: 6 centres, 5 left and 5 right neighbours inside the picture
    assert work.ann_connections == stem + taps * 2 * 3 + head
    assert (work.static_macs, work.current_macs, work.current_nodes) == (stem, 0, ())


def test_two_linear_layers_in_a_row_are_charged_as_dense_work():
    network = spiking(nn.Conv2d(2, 3, 1), nn.Conv2d(3, 4, 1))
    work = count_work(network)
    assert work.current_macs == 36 * 3 * 4
    assert work.current_nodes == ("3",)


def test_every_neuron_firing_at_every_step_costs_the_connections_of_the_ann():
    network = spiking(nn.Conv2d(2, 3, 3, padding=1, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(27, 5))
    work = count_work(network)
    counts = {name: torch.ones(1, *fan_out.shape) for name, fan_out in work.fan_out.items()}
    assert sum(synaptic_operations(counts, work).values()) == work.ann_connections - work.static_macs
