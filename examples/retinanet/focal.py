"""The loss of RetinaNet: anchors are matched with objects, classes learn by the focal loss, boxes by the smooth L1 loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from anchors import Anchors
from boxes import encode, overlaps

OBJECT, BACKGROUND = 0.5, 0.4  # overlaps from which an anchor is one of an object, and below which it is none
IGNORED, NOTHING = -2, -1
ALPHA, GAMMA = 0.25, 2.0
BEND = 0.5  # of the smooth L1 loss, in units of codes


def focal(logits: Tensor, wanted: Tensor) -> Tensor:
    """Return the sum of -alpha (1 - p)^gamma log p over all logits, p being the probability of what is wanted (0 or 1).

    >>> float(focal(torch.zeros(1), torch.ones(1))) == 0.25 * 0.5**2 * torch.tensor(2.0).log().item()
    True
    """
    plain = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    wrong = (torch.sigmoid(logits) - wanted).abs()
    weight = ALPHA * wanted + (1 - ALPHA) * (1 - wanted)
    return (weight * wrong**GAMMA * plain).sum()


def flat(maps: Sequence[Tensor], values: int) -> Tensor:
    """Return maps [batch, anchors * values, h, w] of all levels as [batch, anchors, values], in the order of the anchors."""
    return torch.cat([one.permute(0, 2, 3, 1).reshape(len(one), -1, values) for one in maps], 1)


def match(anchors: Tensor, objects: Tensor) -> Tensor:
    """Return for each anchor the index of its object [m, 5], NOTHING or IGNORED; each object has at least its best anchor."""
    if not len(objects):
        return torch.full((len(anchors),), NOTHING)
    shared = overlaps(anchors, objects[:, :4])
    best, which = shared.max(1)
    which = torch.where(best >= OBJECT, which, torch.where(best < BACKGROUND, NOTHING, IGNORED))
    which[shared.argmax(0)] = torch.arange(len(objects))
    return which


def loss(outputs: dict[str, list[Tensor]], targets: Tensor, anchors: Anchors, classes: int) -> Tensor:
    """Return the loss per object of a batch with targets [batch, objects, 5]."""
    logits, codes = flat(outputs["classes"], classes), flat(outputs["boxes"], 4)
    boxes = anchors.boxes([one.shape[2:] for one in outputs["boxes"]])
    total, objects = logits.new_zeros(()), 0
    for scores, code, target in zip(logits, codes, targets, strict=True):
        there = target[target[:, 4] >= 0]
        which = match(boxes, there)
        found = which >= 0
        wanted = torch.zeros_like(scores)
        wanted[found, there[which[found], 4].long()] = 1.0
        seen = which != IGNORED
        total = total + focal(scores[seen], wanted[seen])
        aims = encode(there[which[found], :4], boxes[found])
        total = total + functional.smooth_l1_loss(code[found], aims, beta=BEND, reduction="sum")
        objects += int(found.sum())
    return total / max(1, objects)
