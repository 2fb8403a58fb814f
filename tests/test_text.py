"""Networks that write text: perplexity after each step, and words one after the other."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import transpike as tp
from transpike.cli import app
from transpike.errors import ArgumentError, DataError
from zoo import ANALOGUE

LENGTH, WORDS = 6, 20


@pytest.fixture(scope="module")
def decoder():
    """(model, sequences, spiking network) of a small decoder in which each word sees those before it."""
    model, (ids,) = ANALOGUE["decoder"]()
    return model, ids, tp.convert(model, ids, "differential")


def test_perplexity_is_that_of_its_equation(decoder):
    """exp of the mean of -log p(next word), word by word in plain loops."""
    model, ids, network = decoder
    found = tp.perplexity(model, network, ids[:5], 8)
    outputs = tp.simulate(network, ids[:5], 8).outputs
    with torch.inference_mode():
        answers = [model(ids[:5]), *outputs]
    expected = []
    for answer in answers:
        logs = [math.log(answer[row, i].double().softmax(0)[ids[row, i + 1]]) for row in range(5) for i in range(LENGTH - 1)]
        expected.append(math.exp(-sum(logs) / len(logs)))
    assert [found.reference, *found.spiking] == pytest.approx(expected, rel=1e-6)
    same = [float((one[:, :-1].argmax(-1) == answers[0][:, :-1].argmax(-1)).float().mean()) for one in outputs]
    assert list(found.agreement) == pytest.approx(same)
    assert (found.tokens, found.sequences, found.time_steps) == (5 * (LENGTH - 1), 5, 8)
    assert found.ratio == pytest.approx(1, abs=0.02)


def test_perplexity_does_not_depend_on_blocks_and_can_leave_words_out(decoder):
    model, ids, network = decoder
    whole, parts = (tp.perplexity(None, network, ids, 4, block=block) for block in (None, 3))
    assert parts.spiking == pytest.approx(whole.spiking, rel=1e-5)
    assert whole.reference == pytest.approx(tp.perplexity(model, network, ids, 4).reference, rel=1e-5)
    word = int(ids[0, 1])
    assert tp.perplexity(model, network, ids, 4, ignored=word).tokens == int((ids[:, 1:] != word).sum())
    with pytest.raises(DataError, match="no word to predict"):
        tp.perplexity(model, network, torch.full((3, LENGTH), word), 4, ignored=word)


def test_perplexity_needs_words(decoder):
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    x = torch.rand(40, 6)
    with pytest.raises(DataError, match=r"not torch.float32 of shape \(6,\) and answers of shape \(3,\) \(without"):
        tp.perplexity(model, tp.convert(model, x), x, 4)


@pytest.mark.parametrize("length", [1, 3, LENGTH, LENGTH + 2])
def test_words_are_the_most_likely_after_the_steps(decoder, length):
    """From short prompts and from longer ones than the network takes; what stands behind the end does not matter."""
    _, ids, network = decoder
    prompts = torch.cat([ids, ids], 1)[:4, :length]
    found = tp.generate(network, prompts, 4, 8)
    assert torch.equal(found[:, :length], prompts)
    for end in range(length, length + 4):
        seen = found[:, max(0, end - LENGTH) : end]
        filled = torch.full((4, LENGTH), 7)
        filled[:, : seen.shape[1]] = seen
        answer = tp.simulate(network, filled, 8).outputs[-1]
        assert torch.equal(answer[:, seen.shape[1] - 1].argmax(-1), found[:, end])


def test_text_is_that_of_the_ann_at_most_places(decoder):
    model, ids, network = decoder
    spiking, ann = tp.generate(network, ids[:8, :3], 3, 16), ids[:8, :3]
    with torch.inference_mode():
        for _ in range(3):
            ann = torch.cat(
                [ann, model(torch.nn.functional.pad(ann, (0, LENGTH - ann.shape[1])))[:, ann.shape[1] - 1 :][:, :1].argmax(-1)],
                1,
            )
    assert float((spiking == ann).float().mean()) > 0.9


def test_text_needs_a_network_of_words(decoder):
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    with pytest.raises(ArgumentError, match="Text is written from whole numbers"):
        tp.generate(tp.convert(model, torch.rand(40, 6)), torch.zeros(1, 2, dtype=torch.long), 2, 4)
    with pytest.raises(DataError, match="at least one word"):
        tp.generate(decoder[2], torch.zeros(1, 0, dtype=torch.long), 2, 4)


def test_the_command_line_measures_perplexity(decoder, tmp_path):
    model, ids, network = decoder
    tp.save(network, tmp_path / "net")
    np.savez(tmp_path / "text.npz", inputs=ids.numpy())
    given = ["perplexity", str(tmp_path / "net"), "--data", str(tmp_path / "text.npz"), "--time-steps", "4"]
    result = CliRunner().invoke(app, [*given, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["reference"] == pytest.approx(tp.perplexity(model, network, ids, 4).reference, rel=1e-5)
    assert "T = 4" in CliRunner().invoke(app, given).stdout
