"""From what the heads say to boxes with classes and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from anchors import Anchors
from boxes import decode, suppress
from focal import flat

LEAST_SCORE = 0.05
PER_LEVEL, MOST = 100, 50  # anchors of a level, and boxes of a picture, that are kept


@dataclass(frozen=True)
class Found:
    """The boxes of one picture [n, 4] with scores [n] and classes [n], best first."""

    boxes: Tensor
    scores: Tensor
    classes: Tensor


def levels(outputs: Mapping[str, Tensor], name: str) -> list[Tensor]:
    """Return the maps of all levels of a head from a flat dict: "classes.0", "classes.1" ... as a network names them."""
    return [value for key, value in outputs.items() if key.startswith(f"{name}.")]


def detect(logits: Sequence[Tensor], codes: Sequence[Tensor], anchors: Anchors, classes: int) -> list[Found]:
    """Return what is found in each picture, from the maps of both heads at all levels."""
    per_level = [one.shape[2] * one.shape[3] * anchors.per_place for one in codes]
    places = anchors.boxes([one.shape[2:] for one in codes])
    scores, shifts = flat(logits, classes).sigmoid(), flat(codes, 4)
    return [in_picture(a, b, places, per_level) for a, b in zip(scores, shifts, strict=True)]


def in_picture(scores: Tensor, codes: Tensor, anchors: Tensor, per_level: Sequence[int]) -> Found:
    """Return what is found in one picture with scores [anchors, classes] and codes [anchors, 4]."""
    kept, first = [], 0
    for count in per_level:
        best, index = scores[first : first + count].flatten().topk(min(PER_LEVEL, count))
        kept.append(index[best > LEAST_SCORE] + first * scores.shape[1])
        first += count
    chosen = torch.cat(kept)
    which, classes = chosen // scores.shape[1], chosen % scores.shape[1]
    boxes, values = decode(codes[which], anchors[which]), scores[which, classes]
    order = suppress(boxes, values, classes)[:MOST]
    return Found(boxes[order], values[order], classes[order])
