"""Models whose inputs all have defaults, as those of transformers: which values of the samples are inputs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import transpike as tp
from transpike.capture import count_inputs

IDS = torch.randint(0, 9, (40, 5), generator=torch.Generator().manual_seed(0))
MASK = (torch.arange(5) < torch.tensor([2, 3, 4, 5]).repeat(10)[:, None]).long()
LABELS = torch.randint(2, (40,))


class Reader(nn.Module):
    """The mean of the words that a mask leaves."""

    def __init__(self):
        super().__init__()
        self.words, self.middle, self.last = nn.Embedding(9, 6), nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, input_ids=None, attention_mask=None):
        x = self.words(input_ids)
        x = (
            x.mean(1)
            if attention_mask is None
            else (x * attention_mask[..., None]).sum(1) / attention_mask.sum(1, keepdim=True)
        )
        return self.last(torch.relu(self.middle(x)))


@pytest.mark.parametrize(
    ("samples", "inputs"),
    [
        (IDS, 1),
        ((IDS, LABELS), 1),
        ((IDS, MASK), 2),
        ((IDS, MASK, LABELS), 2),
        ((IDS.numpy(), MASK.numpy(), LABELS.numpy()), 2),
        ([(IDS[:20], MASK[:20], LABELS[:20]), (IDS[20:], MASK[20:], LABELS[20:])], 2),
        ([{"ids": IDS, "mask": MASK.bool()}], 2),
        ((IDS, IDS), 1),  # no mask: perhaps a label for each word
        (tp.Batch((IDS, MASK)), 2),
    ],
)
def test_masks_are_inputs_and_labels_are_not(samples, inputs):
    assert count_inputs(Reader(), samples) == inputs


def test_ids_and_masks_convert_as_a_plain_tuple():
    model = Reader().eval()
    network = tp.convert(model, (IDS, MASK), "hybrid")
    same = tp.convert(model, tp.Batch((IDS, MASK)), "hybrid")
    assert list(network.inputs) == ["input_ids", "attention_mask"]
    assert torch.equal(*(tp.simulate(one, (IDS, MASK), 8).outputs for one in (network, same)))
    report = tp.evaluate(model, network, (IDS, MASK, LABELS), 64)
    assert report.agreement[-1] > 0.9
