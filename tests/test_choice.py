"""recipe="auto": the closest recipe on samples that were held out of its calibration."""

from __future__ import annotations

import warnings

import pytest
import torch

import transpike as tp
from transpike.answers import distance
from transpike.calibration import unwatched
from transpike.choice import BINARY, EVERY, GRADED, Part, automatic
from transpike.conversion import Candidates
from transpike.errors import ArgumentError, ConversionError, DataError
from transpike.passes import InsertNeurons
from zoo import ZOO


@pytest.fixture(scope="module")
def setting():
    model, _ = ZOO["mlp"]()
    torch.manual_seed(1)
    shape = ZOO["mlp"]()[1].shape[1:]
    return model, torch.rand(200, *shape)


def chosen(network):
    return next(finding for finding in network.findings if finding.kind == "chosen-recipe")


def test_the_winner_is_the_recipe_that_is_closest_on_held_out_samples(setting):
    """Judge every candidate anew, by the definition: KL(ANN || SNN) of the softmax on each fifth sample."""
    model, samples = setting
    held = torch.arange(len(samples)) % EVERY == EVERY - 1
    divergences = {}
    for name in BINARY:
        network = tp.convert(model, samples[~held], name, time_steps=4)
        answer = tp.simulate(network, samples[held], 4).outputs[-1].double().softmax(1)
        with torch.inference_mode():
            wanted = model(samples[held]).double().softmax(1)
        divergences[name] = float((wanted * (wanted.log() - answer.log())).sum(1).mean())
    best = min(divergences, key=divergences.get)
    network = tp.convert(model, samples, "auto", time_steps=4)
    assert network.method.name == best
    assert f"Recipe {best!r} came closest to the ANN on 40 held-out" in chosen(network).message
    assert f"divergence {divergences[best]:.3g}" in chosen(network).message
    direct = tp.convert(model, samples, best, time_steps=4)
    outputs = [tp.simulate(one, samples, 4).outputs for one in (network, direct)]
    assert torch.equal(*outputs)


def test_spikes_are_binary_unless_graded_ones_are_allowed(setting):
    model, samples = setting
    plain = tp.convert(model, samples, "auto", time_steps=2)
    graded = tp.convert(model, samples, "auto", time_steps=2, graded=True)
    assert plain.method.name in BINARY
    assert all(name not in chosen(plain).message for name in GRADED)
    assert all(name in chosen(graded).message for name in (*BINARY, *GRADED))


def test_parts_are_disjoint_complete_and_do_not_depend_on_batching(setting):
    _, samples = setting
    for size in (7, 64, 200):
        loader = [samples[i : i + size] for i in range(0, len(samples), size)]
        rest, held = (torch.cat([b.inputs[0] for b in Part(loader, 1, held_out=out)]) for out in (False, True))
        assert torch.equal(held, samples[EVERY - 1 :: EVERY])
        assert len(rest) + len(held) == len(samples)


def test_models_without_classes_are_judged_by_the_relative_error():
    wanted = torch.rand(4, 2, 5, 5).double()
    assert distance([wanted * 1.1], [wanted]) == pytest.approx(0.01)
    assert distance([wanted * 1.1, 8 * wanted], [wanted, 8 * wanted]) == pytest.approx(0.005)
    logits = torch.randn(6, 3).double()
    assert distance([logits + 5], [logits]) == pytest.approx(0, abs=1e-12)


def test_auto_needs_steps_and_samples(setting):
    model, samples = setting
    with pytest.raises(ArgumentError, match=r'recipe="auto" fits the network to a number of time steps'):
        tp.convert(model, samples, "auto")
    with pytest.raises(DataError, match="give at least 10"):
        tp.convert(model, samples[:9], "auto", time_steps=4)


def test_a_shorter_list_of_candidates_can_be_judged_by_hand(setting):
    model, samples = setting
    tried = []

    def convert(part, recipe):
        tried.append((recipe.name, sum(len(batch) for batch in part) if isinstance(part, Part) else len(part)))
        return tp.convert(model, samples, recipe, time_steps=2)

    automatic(convert, model, samples, 1, 2, graded=False)
    assert [name for name, _ in tried[:-1]] == list(BINARY)
    assert {count for _, count in tried[:-1]} == {160}
    assert tried[-1][1] == 200


def test_recipes_that_refuse_the_steps_are_left_out():
    """Five layers that look ahead need more than two steps; the others do not."""
    model, inputs = ZOO["vgg-bn"]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tp.errors.TranspikeWarning)
        message = chosen(tp.convert(model, inputs, "auto", time_steps=2)).message
    assert "Left out: 'look-ahead', for Looking ahead by 1" in message
    assert "before the first answer" in message


def test_a_model_that_all_recipes_refuse_gets_the_first_refusal(setting):
    model, samples = setting

    def convert(_, recipe):
        raise ConversionError(f"{recipe.name} cannot")

    with pytest.raises(ConversionError, match=f"^{BINARY[0]} cannot"):
        automatic(convert, model, samples, 1, 2, graded=False)


def test_what_candidates_begin_with_alike_is_done_once_for_the_same_samples(setting):
    """Each network is the one of `convert`; the passes before the corrections run once for sbg, ls and ls-tg together."""
    model, samples = setting
    candidates = Candidates(model, 4, False, unwatched)
    for name in BINARY:
        direct = tp.convert(model, samples, name, time_steps=4)
        outputs = [tp.simulate(one, samples, 4).outputs for one in (candidates(samples, tp.recipes[name]), direct)]
        assert torch.equal(*outputs)
    inserted = [done[-1] for done, _ in candidates.done if isinstance(done[-1], InsertNeurons)]
    assert len(inserted) == 2
