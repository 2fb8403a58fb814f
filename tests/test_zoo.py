"""The lists themselves: a model whose answer does not vary would let every law pass."""

from __future__ import annotations

import pytest
import torch

from helpers import EVERY, flat, subject


@pytest.mark.parametrize("name", EVERY)
def test_answers_vary_from_sample_to_sample(name):
    model, inputs, _ = subject(name)
    with torch.inference_mode():
        for answer in flat(model(*inputs)):
            assert answer.std(0).max() > 0.01


@pytest.mark.parametrize("name", EVERY)
def test_models_are_the_same_each_time(name):
    (one, inputs), (two, others) = EVERY[name](), EVERY[name]()
    assert all(torch.equal(a, b) for a, b in zip(flat(inputs), flat(others), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
