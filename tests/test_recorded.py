"""Recorded spikes as input: played as they are, right in the limit, alike on every engine, and counted where they arrive."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import transpike as tp
from helpers import converted, subject
from reference import simulate_literally
from transpike.codings import Poisson, Recorded
from transpike.errors import ArgumentError, DataError, ExportError
from transpike.network import forward
from transpike.network.archive import load, save
from transpike.recordings import as_constant, recorded, unplayed
from transpike.simulation import Record

FRAMES = 5
RECIPES = ("rate", "ternary", "graded", "burst", "lif", "differential")
FULL = tp.recipes["rate"].with_percentile(100)


def events(shape, samples=3, frames=FRAMES, dtype=torch.float64, most=3):
    """Numbers of spikes [batch, frames, ...], repeatable."""
    seeded = torch.Generator().manual_seed(0)
    return torch.randint(most, (samples, frames, *shape), generator=seeded).to(dtype)


def played(name, recipe, frames=FRAMES, time_steps=None):
    inputs, network = converted(name, recipe, time_steps)
    return events(inputs[0].shape[1:], frames=frames), tp.play(network, frames, 2.0)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", ["mlp", "lenet"])
def test_every_spike_is_that_of_the_literal_code(name, recipe):
    """Step by step, over the end of the recording. Leaky cells cost too much for the literal code on images."""
    if (name, recipe) == ("lenet", "lif"):
        return
    x, network = played(name, tp.recipes[recipe])
    steps = 2 * FRAMES + 2
    outputs, spikes = simulate_literally(network, (x[:1],), steps)
    run = tp.simulate(network, x[:1], steps, record=Record(spikes=list(spikes)), engine="stepwise")
    np.testing.assert_allclose(run.outputs.numpy(), next(iter(outputs.values())), rtol=0, atol=1e-9)
    for node, train in spikes.items():
        np.testing.assert_array_equal(run.spikes[node].numpy(), train, err_msg=node)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", ["mlp", "lenet", "resnet"])
def test_engines_agree(name, recipe):
    """Sums of frames have another order in one batch of time than step by step: float64 leaves 1e-9."""
    x, network = played(name, tp.recipes[recipe])
    runs = [tp.simulate(network, x, 7, engine=engine) for engine in ("stepwise", "layerwise")]
    torch.testing.assert_close(runs[0].outputs, runs[1].outputs, rtol=0, atol=1e-9)
    assert all(torch.equal(runs[0].spike_counts[node], runs[1].spike_counts[node]) for node in runs[0].spike_counts)


@pytest.mark.parametrize("name", ["mlp", "lenet"])
def test_the_answer_has_the_limit_of_the_mean_frame(name):
    """Both errors fall as 1/T: from 50 to 400 steps by 8, and half of that is asked for, against constant input too."""
    model, inputs, _ = subject(name)
    x = events(inputs[0].shape[1:], samples=4, most=2)
    network = tp.convert(model, x.mean(1).repeat(8, *[1] * (x.ndim - 2)), FULL)
    playing = tp.play(network, FRAMES)
    wanted = next(iter(forward(network.analogue(), [x.mean(1)]).values()))
    runs = tp.simulate(playing, x, 400).outputs, tp.simulate(network, x.mean(1), 400).outputs
    for outputs in runs:
        early, late = (float((outputs[t - 1] - wanted).square().mean().sqrt()) for t in (50, 400))
        assert late < early / 4
    torch.testing.assert_close(next(iter(forward(playing.analogue(), [x]).values())), wanted, rtol=0, atol=1e-9)


def test_a_linear_network_answers_for_the_mean_of_what_it_has_seen():
    """Nothing bends: after t steps the answer is the model's of the mean of the frames so far, exactly."""
    model = torch.nn.Sequential(torch.nn.Linear(6, 3)).double().eval()
    x = events((6,))
    outputs = tp.simulate(tp.play(tp.convert(model, x.mean(1).repeat(12, 1)), FRAMES), x).outputs
    assert len(outputs) == FRAMES  # as many steps as there are frames, unless others are asked for
    with torch.inference_mode():
        for t in range(FRAMES):
            torch.testing.assert_close(outputs[t], model(x[:, : t + 1].mean(1)), rtol=0, atol=1e-12)


def test_layers_that_take_turns_listen_to_the_whole_recording():
    """A window of as many steps as there are frames hears each frame once: as if their mean had been constant."""
    recipe = tp.recipes["parallel"]
    model, inputs, _ = subject("mlp")
    network = tp.convert(model, inputs[0].repeat(8, 1), recipe, time_steps=8)
    x = events(inputs[0].shape[1:], frames=8)
    heard = tp.simulate(tp.play(network, 8), x, 8).outputs[-1]
    torch.testing.assert_close(heard, tp.simulate(network, x.mean(1), 8).outputs[-1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("recipe", ["phase", "phase-binary", "population-quantile"])
def test_codes_with_a_window_of_their_own_hear_the_whole_recording(recipe):
    """What they send follows from the sum over the window, which is that of the mean frame: the same messages."""
    window = tp.recipes[recipe].window
    inputs, network = converted("mlp", tp.recipes[recipe], window)
    x = events(inputs[0].shape[1:], frames=window)
    heard = tp.simulate(tp.play(network, window), x).outputs[-1]
    torch.testing.assert_close(heard, tp.simulate(network, x.mean(1)).outputs[-1], rtol=0, atol=1e-9)


def test_a_diagnosis_adds_up_for_recordings():
    """The causes of the error of each layer, with the mean of what was heard in place of the constant input."""
    model = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3)).double().eval()
    x = events((6,), samples=40)
    report = tp.evaluate(model, tp.play(tp.convert(model, x.mean(1)), FRAMES), x, 3 * FRAMES, diagnose=True)
    (layer,) = report.diagnosis.layers
    assert layer.name == "1"
    assert [stage.name for stage in report.diagnosis.stages] == ["ANN", "clipped", "quantised", "SNN"]


def test_spikes_are_counted_where_they_arrive():
    """The first layer costs one operation per spike and connection, and nothing where nothing spikes."""
    model = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3)).double().eval()
    x = events((6,), samples=40)
    network = tp.play(tp.convert(model, x.mean(1)), FRAMES, 2.5)
    report = tp.evaluate(model, network, x, FRAMES)
    assert report.input == "recorded spikes, 5 frames of 2.5 ms"
    (entrance,) = [node.name for node in network.having(Recorded)]
    run = tp.simulate(network, x)
    assert float(run.spike_counts[entrance].sum()) == float(x.sum())
    hidden = float(run.spike_counts["1"].sum())
    assert report.final.synaptic_operations == pytest.approx((5 * float(x.sum()) + 3 * hidden) / 40)
    silent = tp.simulate(network, torch.zeros_like(x))
    assert float(silent.spike_counts[entrance].sum()) == 0


def test_the_model_is_asked_about_the_mean_frame():
    model = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3)).double().eval()
    x = events((6,), samples=40)
    network = tp.play(tp.convert(model, x.mean(1)), FRAMES)
    with torch.inference_mode():
        labels = model(x.mean(1)).argmax(1)
    assert tp.evaluate(model, network, (x, labels), FRAMES).reference_accuracy == 1
    assert tp.evaluate(None, network, (x, labels), FRAMES).reference_accuracy == 1
    torch.testing.assert_close(as_constant(network, [x])[0], x.mean(1), rtol=0, atol=0)


def test_exact_networks_play_alike_on_every_engine_and_block():
    model = torch.nn.Sequential(torch.nn.Conv2d(2, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(36, 3)).eval()
    x = events((2, 5, 5), samples=12, dtype=torch.float32)
    network = tp.play(tp.convert(model, x.mean(1).repeat(4, 1, 1, 1), exact=True), FRAMES)
    runs = [tp.simulate(network, x, 9, engine=e, block=b) for e, b in (("stepwise", 12), ("stepwise", 5), ("layerwise", 12))]
    assert all(torch.equal(runs[0].outputs, run.outputs) for run in runs)


def test_saved_networks_play_on(tmp_path):
    x, network = played("mlp", tp.recipes["rate"])
    save(network, tmp_path)
    again = load(tmp_path)
    assert (recorded(again).frames, recorded(again).step_ms) == (FRAMES, 2.0)
    assert torch.equal(tp.simulate(again, x).outputs, tp.simulate(network, x).outputs)


def test_playing_anew_replaces_the_recording():
    x, network = played("mlp", tp.recipes["rate"])
    again = tp.play(network, 2 * FRAMES)
    assert [op.shape for op in again.inputs.values()] == [(2 * FRAMES, *x.shape[2:])]
    assert len(again.having(Recorded)) == 1
    once = unplayed(again)
    assert recorded(once) is None
    assert once.nodes.keys() == converted("mlp", tp.recipes["rate"])[1].nodes.keys()


def test_early_exit_plays_too():
    x, network = played("mlp", FULL)
    hasty = tp.early_exit(network, x.repeat(30, *[1] * (x.ndim - 1)), 10, loss=0.2, confidence=0.8)
    run = tp.simulate(hasty, x, 10)
    assert run.outputs.shape[:2] == (10, 3)
    assert all(((steps >= 1) & (steps <= 10)).all() for steps in run.decided.values())
    assert run.decided


def test_what_cannot_be_played():
    _, network = converted("mlp", tp.recipes["rate"].poisson())
    assert network.having(Poisson)
    with pytest.raises(ArgumentError, match=r"is encoded as spikes already \(Poisson\): convert with constant input to play"):
        tp.play(network, FRAMES)
    x, network = played("mlp", tp.recipes["rate"])
    with pytest.raises(ArgumentError, match="frames must be a whole number of at least 1, not 0"):
        tp.play(network, 0)
    _, phases = converted("mlp", tp.recipes["phase"], 31)
    with pytest.raises(ArgumentError, match="has a window of 31 steps, into which 5 frames do not fit a whole number of times"):
        tp.play(phases, FRAMES)
    with pytest.raises(DataError, match=r"The inputs have shape .* but the network takes \(5,"):
        tp.simulate(network, x[:, :3], 4)
    with pytest.raises(ExportError, match=r"Recorded 'input\.spikes' plays a recording, which is the stimulus of NIR"):
        tp.export.nir(network, "unwritten.nir")
