"""Training in time: activations are the neurons of the converted network, and learn by the gradients of their rates."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import transpike as tp
from test_training import SETTINGS, Shuffled, Stopped, ready, same_state, small_model, stop_in, task
from transpike.errors import ArgumentError
from transpike.training import QCFS, ClampedReLU, Settings, SlipReLU, prepare, train
from transpike.training.activation import running
from transpike.training.in_time import fired
from transpike.training.straight_through import qcfs

DOUBLE = torch.float64
STEPPED = {"qcfs": QCFS(4), "in place": QCFS(4, inplace=True), "shift": QCFS(4, shift=0.25), "slip": SlipReLU(4, 0.5)}
seeds = st.integers(0, 10_000)


def literal(currents, threshold, shift):
    """The spikes of one neuron, their gradient for the mean current and that for the threshold."""
    v, sent = shift * threshold, []
    for current in currents:
        v += current
        sent.append(threshold if v >= threshold else 0.0)
        v -= sent[-1]
    steps, z = len(currents), sum(currents) / len(currents)
    follows = 0 < steps * z / threshold + shift < steps
    return sent, float(follows), sum(sent) / threshold / steps - follows * z / threshold


@given(seeds, st.integers(1, 12), st.sampled_from([0.0, 0.25, 0.5]), st.sampled_from([0.5, 1.0, 2.75]))
def test_neurons_and_gradients_are_the_formulae(seed, steps, shift, threshold):
    generator = torch.Generator().manual_seed(seed)
    x = (threshold * torch.randn(steps, 5, dtype=DOUBLE, generator=generator) + 0.3).requires_grad_()
    given_ = torch.randn(steps, 5, dtype=DOUBLE, generator=generator)
    limit = torch.tensor(threshold, dtype=DOUBLE, requires_grad=True)
    sent = fired(x.flatten(), limit, shift, steps).unflatten(0, (steps, 5))
    (sent * given_).sum().backward()
    for_threshold = 0.0
    for i in range(5):
        spikes, slope, own = literal(x[:, i].tolist(), threshold, shift)
        assert sent[:, i].tolist() == spikes
        mean = given_[:, i].mean()
        torch.testing.assert_close(x.grad[:, i], (slope * mean).expand(steps))
        for_threshold += float(steps * mean * own)
    assert float(limit.grad) == pytest.approx(for_threshold, rel=1e-9, abs=1e-9)


@given(seeds, st.integers(1, 16))
def test_an_even_current_has_values_and_gradients_of_qcfs(seed, steps):
    """Theorem 1 of QCFS, for its gradients too."""
    generator = torch.Generator().manual_seed(seed)
    z = (2 * torch.randn(20, dtype=DOUBLE, generator=generator)).requires_grad_()
    given_ = torch.randn(20, dtype=DOUBLE, generator=generator)
    limit = torch.tensor(1.3, dtype=DOUBLE, requires_grad=True)
    curve = qcfs(z, limit, steps, 0.5)
    expected = torch.autograd.grad((curve * given_).sum(), (z, limit))
    mean = fired(torch.cat([z] * steps), limit, 0.5, steps).unflatten(0, (steps, 20)).mean(0)
    torch.testing.assert_close(mean, curve)
    torch.testing.assert_close(torch.autograd.grad((mean * given_).sum(), (z, limit)), expected)


@pytest.mark.parametrize("activation", STEPPED.values(), ids=STEPPED)
@pytest.mark.parametrize("steps", [1, 3, 8])
def test_in_time_a_model_is_the_network_that_it_becomes(activation, steps):
    """The same answers to the bit, so that what is trained is what is deployed."""
    x = task()[0][0].double()
    model = train(prepare(small_model(), task()[0][0], activation), task(), Settings(epochs=2)).model.double()
    with torch.no_grad(), running(model, steps):
        answers = model(torch.cat([x] * steps)).unflatten(0, (steps, -1)).mean(0)
    simulated = tp.simulate(tp.convert(model, x, "qcfs"), x, time_steps=steps)
    torch.testing.assert_close(answers, simulated.outputs[-1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("order", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_memory_order_and_precision_change_nothing(order, dtype):
    generator = torch.Generator().manual_seed(1)
    x = (torch.randn(8, 3, 5, 6, generator=generator) * 4).round() / 4  # exact in either
    values, limits = [], []
    for form in (x.contiguous(), x.to(dtype).contiguous(memory_format=order)):
        form.requires_grad_()
        limit = torch.tensor(1.5, requires_grad=True)
        sent = fired(form, limit, 0.5, 4)
        assert sent.dtype == form.dtype
        sent.mul(torch.arange(6.0).to(sent.dtype)).sum().backward()
        values.append((sent.detach().float(), form.grad.float()))
        limits.append(limit.grad)
    torch.testing.assert_close(values[0], values[1])
    torch.testing.assert_close(limits[0], limits[1], rtol=1e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-3)


def test_few_steps_become_accurate_by_training_in_time():
    """From a trained model: answers of the network with two steps come nearer to the labels."""
    start = train(ready(), task(), Settings(epochs=20, learning_rate=0.1)).model
    tuned = train(start, task(), Settings(epochs=40, learning_rate=0.02, time_steps=(2,)), validation=task())
    x, y = torch.cat([x for x, _ in task()]), torch.cat([y for _, y in task()])

    def right(model):
        run = tp.simulate(tp.convert(model, x, "qcfs"), x, time_steps=2)
        return float((run.outputs[-1].argmax(1) == y).double().mean())

    assert right(tuned.model) > right(start)
    assert tuned.history[-1].validation == pytest.approx(right(tuned.model))
    assert tuned.history[-1].loss < tuned.history[0].loss


def test_batches_take_turns_and_a_run_goes_on_bit_for_bit(tmp_path):
    settings = dataclasses.replace(SETTINGS, regulariser=0.0, time_steps=(1, 4))
    batches = task(5)  # an odd number: an epoch ends in the middle of a turn
    whole = train(ready(), Shuffled(batches), settings)
    with pytest.raises(Stopped):
        train(ready(), Shuffled(batches), settings, checkpoint=tmp_path, progress=stop_in(2))
    parts = train(ready(), Shuffled(batches), settings, checkpoint=tmp_path)
    assert parts.history == whole.history
    assert same_state(parts.model, whole.model)
    assert whole.history != train(ready(), Shuffled(batches), dataclasses.replace(settings, time_steps=(4, 1))).history


def test_activations_are_themselves_again_after_a_run_and_after_a_failure():
    model, x = ready(), task()[0][0]
    before = model.eval()(x)
    with pytest.raises(ZeroDivisionError), running(model, 2):
        raise ZeroDivisionError
    assert torch.equal(model(x), before)
    trained = train(model, task(), Settings(epochs=1, time_steps=(2,))).model
    assert not any(getattr(module, "time_steps", None) for module in trained.modules())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"time_steps": [4]}, r"a tuple of whole numbers, such as \(4, 8\), not \[4\]"),
        ({"time_steps": 4}, "a tuple of whole numbers"),
        ({"time_steps": (4, 0)}, "time_steps must be a whole number of at least 1, not 0"),
        ({"time_steps": (4, math.inf)}, "time_steps must be a whole number"),
        ({"time_steps": (4,), "regulariser": 0.1}, "train with the one, then with the other"),
    ],
)
def test_settings_that_cannot_be_meant(setting, message):
    with pytest.raises(ArgumentError, match=message):
        Settings(**setting)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (small_model(), "and the model has none: prepare it first"),
        (nn.Sequential(nn.Flatten(), nn.Linear(16, 3), ClampedReLU(), QCFS(4)), "and the model has ClampedReLU"),
    ],
    ids=["plain", "clamped"],
)
def test_models_without_neurons_to_run(model, message):
    with pytest.raises(ArgumentError, match=message):
        train(model, task(), Settings(epochs=1, time_steps=(2,)))
