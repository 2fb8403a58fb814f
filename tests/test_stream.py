"""Streams: live data step by step, or a sequence element by element, is the same simulation."""

from __future__ import annotations

import pytest
import torch

import transpike as tp
from helpers import converted, quick, spiking_loop
from transpike.errors import ArgumentError, DataError
from transpike.network.loops import membership
from transpike.neurons import Neuron
from zoo.recurrent import ELEMENTS, RECURRENT

IN_WINDOWS = ("few-spike", "binary-value", "population-quantile", "population-normal")
WHOLE_ONLY = {  # what needs a whole sequence, and why
    "elman-relu-both": r"The recurrent layer 'layer\.l0\.backwards' reads its sequence from the end",
    "packed": r"The recurrent layer 'lstm\.l0\.backwards' reads its sequence from the end",
    "convolved": "Convolution 'conv' needs more than one element of the sequence at once",
}
SEQUENCES = {"states": (True, False), "tagged": (True, False)}  # which inputs come element by element
STREAMED = [name for name in RECURRENT if name not in {*WHOLE_ONLY, "crossed"}]
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


def fed(stream, name, inputs, element):
    """Feed one element of a model of the list, and give what is no sequence whole."""
    kinds = SEQUENCES.get(name, (True,))
    return stream.feed(*[x[:, element] if sequence else x for x, sequence in zip(inputs, kinds, strict=True)])


def of_element(value, sequence, element):
    return value[:, element] if sequence else value


@pytest.mark.parametrize(
    ("name", "recipe", "steps"),
    [
        *(pytest.param(*name.values, recipe, None, marks=name.marks) for name in quick(STREAMED) for recipe in IN_WINDOWS),
        ("elman-relu", "rate", 7),
    ],
)
def test_elements_one_by_one_are_the_whole_sequence(name, recipe, steps):
    """Same answer, and at every element the same spikes of every neuron; 1e-12 for sums in another order."""
    _, inputs, network = spiking_loop(name, recipe)
    if (name, recipe) == ("tagged", "population-normal"):
        with pytest.raises(ArgumentError, match="neurons of 'tanh', outside the recurrent layers, differ from element"):
            tp.Stream(network)
        return
    neurons, inside = [node.name for node in network.having(Neuron)], membership(network)
    run = tp.simulate(network, inputs, steps, record=tp.Record(counts=neurons))
    stream = tp.Stream(network, steps)
    for element in range(ELEMENTS):
        answer = fed(stream, name, inputs, element)
        assert stream.elements == element + 1
        if name == "tagged" or element == ELEMENTS - 1:
            expected = of_element(run.outputs[-1], name == "tagged", element)
            torch.testing.assert_close(answer, expected, rtol=0, atol=1e-12)
        for one in neurons:
            if one in inside or name == "tagged":
                assert torch.equal(stream.spikes[one], run.counts[one][:, element])
    assert all(torch.equal(stream.spikes[one], run.counts[one]) for one in neurons if one not in inside and name != "tagged")


@pytest.mark.parametrize("count", [2, 3, 12])
def test_answer_so_far_is_that_of_a_shorter_or_longer_sequence(count):
    """Populations of this rule depend on no samples, so that the network of another length has the same."""
    model, _, network = spiking_loop("lstm", "population-normal")
    x = torch.rand(8, count, 3, dtype=torch.float64)
    stream = tp.Stream(network)
    sizes = set()
    for element in x.unbind(1):
        answer = stream.feed(element)
        sizes.add(sum(value.numel() for left in stream.loop.left for value in left.values()))
    expected = tp.simulate(tp.convert(model, x, "population-normal"), x).outputs[-1]
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-12)
    assert sizes == {8 * (4 + 4)}  # two states of four cells, however long the sequence


def test_reset_begins_another_sequence():
    _, inputs, network = spiking_loop("gru", "binary-value")
    stream = tp.Stream(network)
    first = [stream.feed(x) for x in inputs[0].unbind(1)]
    stream.reset()
    assert stream.elements == 0
    assert not stream.spikes
    assert all(torch.equal(stream.feed(x), one) for x, one in zip(inputs[0].unbind(1), first, strict=True))
    stream.reset()
    assert stream.feed(inputs[0][:3, 0]).shape == (3, 3)


@pytest.mark.parametrize("name", WHOLE_ONLY)
def test_models_that_need_whole_sequences_are_refused_with_the_place(name):
    _, _, network = spiking_loop(name, "population-quantile")
    with pytest.raises(ArgumentError, match=WHOLE_ONLY[name]):
        tp.Stream(network)


def test_a_stream_of_elements_refuses_what_does_not_fit():
    _, inputs, network = spiking_loop("lstm", "binary-value")
    stream = tp.Stream(network)
    with pytest.raises(ArgumentError, match=r"a window of time steps for each element: give elements to feed\(\)"):
        stream.step(inputs[0])
    with pytest.raises(DataError, match=r"have shape \(5, 3\) for input 'x', but the network takes \(3,\)"):
        stream.feed(inputs[0])
    stream.feed(inputs[0][:, 0])
    with pytest.raises(ArgumentError, match="This stream runs 8 samples, not 2"):
        stream.feed(inputs[0][:2, 1])
    with pytest.raises(ArgumentError, match="time_steps= is needed"):
        tp.Stream(spiking_loop("elman-relu", "rate")[2])
    with pytest.raises(ArgumentError, match=r"no recurrent layers, so that it has no elements: give time steps to step\(\)"):
        tp.Stream(converted("mlp", tp.recipes["rate"])[1]).feed(torch.rand(1, 6))
