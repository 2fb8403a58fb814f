"""Streams: live data step by step is the same simulation."""

from __future__ import annotations

import pytest
import torch

import transpike as tp
from helpers import converted
from transpike.errors import ArgumentError, DataError

NAMES = ["mlp", "lenet", "resnet", "max-pool-of-input", "softmax-at-the-end", "two-inputs"]


def live(network, frames):
    stream = tp.Stream(network)
    return torch.stack([stream.step(*frame) for frame in frames])


@pytest.mark.parametrize("name", NAMES)
def test_constant_input_equals_simulate(name):
    """Bit for bit up to the order of sums in another layout: 1e-12 of answers of order 1."""
    inputs, network = converted(name, tp.recipes["rate"])
    few = tuple(x[:3] for x in inputs)
    recording = tp.simulate(network, few, 12)
    torch.testing.assert_close(live(network, [few] * 12), recording.outputs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_steps_continue_where_they_stopped(name):
    """T1 steps and then T2 are T1 + T2 steps, and asking for the answer in between changes nothing."""
    inputs, network = converted(name, tp.recipes["rate"])
    frames = [tuple(x[i : i + 2] for x in inputs) for i in range(9)]
    together = live(network, frames)
    stream = tp.Stream(network)
    first = [stream.step(*frame) for frame in frames[:4]]
    kept = [answer.clone() for answer in first]
    second = [stream.step(*frame) for frame in frames[4:]]
    assert stream.steps == 9
    assert torch.equal(torch.stack([*first, *second]), together)
    assert all(torch.equal(a, b) for a, b in zip(first, kept, strict=True))


@pytest.mark.parametrize("steps", [(1, 7), (5, 3)])
def test_the_past_does_not_depend_on_the_future(steps):
    inputs, network = converted("vgg-bn", tp.recipes["rate"])
    short, long = (tp.simulate(network, inputs[0][:3], t).outputs for t in (steps[0], sum(steps)))
    torch.testing.assert_close(long[: steps[0]], short, rtol=0, atol=1e-12)  # sums over more steps at once, in another order


def test_mean_of_changing_input_is_what_a_linear_network_answers():
    inputs, network = converted("linear-only", tp.recipes["rate"])
    frames = inputs[0][:8].unsqueeze(1)
    answer = live(network, [(frame,) for frame in frames])[-1]
    expected = network.nodes[network.nodes[network.outputs["output"]].inputs[0]].op(frames.mean(0))
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-12)


def test_reset_forgets():
    inputs, network = converted("mlp", tp.recipes["rate"])
    stream = tp.Stream(network)
    first = stream.step(inputs[0][:2])
    stream.step(inputs[0][2:4])
    stream.reset()
    assert stream.steps == 0
    assert torch.equal(stream.step(inputs[0][:2]), first)
    stream.reset()
    assert stream.step(inputs[0][:5]).shape == (5, 4)


def test_several_outputs_come_by_key():
    inputs, network = converted("outputs-dict", tp.recipes["rate"])
    assert {key: tuple(x.shape) for key, x in tp.Stream(network).step(inputs[0][:2]).items()} == {
        "scores": (2, 3),
        "features": (2, 6),
    }


def test_a_stream_refuses_what_does_not_fit():
    inputs, network = converted("mlp", tp.recipes["rate"])
    stream = tp.Stream(network)
    stream.step(inputs[0][:2])
    with pytest.raises(ArgumentError, match=r"This stream runs 2 samples, not 3: reset\(\) it first"):
        stream.step(inputs[0][:3])
    with pytest.raises(ArgumentError, match="The network takes 1 inputs per step, not 2"):
        stream.step(inputs[0][:2], inputs[0][:2])
    with pytest.raises(DataError, match="float32 for input 'input', but the network takes float64"):
        stream.step(inputs[0][:2].float())
    assert stream.steps == 1
