"""Boxes [n, 4] as left, top, right, bottom: overlap, coding against anchors, suppression of doubles."""

from __future__ import annotations

import torch
from torch import Tensor

UNIT = 0.2  # what a code of 1 means: a shift by this share of the anchor, or a size by this power of e
LARGEST = 4.0  # the logarithm of a size is not decoded beyond this


def areas(boxes: Tensor) -> Tensor:
    """Return the area of each box, 0 for empty ones."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def overlaps(one: Tensor, other: Tensor) -> Tensor:
    """Return intersection over union of each box of one [n, 4] with each of other [m, 4], as [n, m]."""
    first = torch.maximum(one[:, None, :2], other[None, :, :2])
    last = torch.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = (last - first).clamp(min=0).prod(-1)
    return shared / (areas(one)[:, None] + areas(other)[None] - shared).clamp(min=1e-9)


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Return what takes anchors to boxes: shift of the centre over the anchor's size, logarithm of the sizes' quotient."""
    size, unit = boxes[..., 2:] - boxes[..., :2], anchors[..., 2:] - anchors[..., :2]
    shift = (boxes[..., :2] + boxes[..., 2:] - anchors[..., :2] - anchors[..., 2:]) / (2 * unit)
    return torch.cat([shift, (size / unit).log()], -1) / UNIT


def decode(codes: Tensor, anchors: Tensor) -> Tensor:
    """Return the boxes that codes stand for: the inverse of `encode`.

    >>> anchors, boxes = torch.tensor([[0.0, 0.0, 8.0, 8.0]]), torch.tensor([[1.0, 2.0, 5.0, 12.0]])
    >>> decode(encode(boxes, anchors), anchors).round().tolist()
    [[1.0, 2.0, 5.0, 12.0]]
    """
    unit = anchors[..., 2:] - anchors[..., :2]
    centre = (anchors[..., :2] + anchors[..., 2:]) / 2 + UNIT * codes[..., :2] * unit
    half = unit * (UNIT * codes[..., 2:]).clamp(max=LARGEST).exp() / 2
    return torch.cat([centre - half, centre + half], -1)


def suppress(boxes: Tensor, scores: Tensor, classes: Tensor, overlap: float = 0.5) -> Tensor:
    """Return the indices of boxes kept, best first: none overlaps a better one of its class by more than `overlap`.

    >>> boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 5.0], [6.0, 6.0, 9.0, 9.0]])
    >>> suppress(boxes, torch.tensor([0.5, 0.9, 0.1]), torch.zeros(3)).tolist()
    [1, 2]
    """
    order = scores.argsort(descending=True)
    rival = (overlaps(boxes[order], boxes[order]) > overlap) & (classes[order][:, None] == classes[order][None])
    kept = torch.ones(len(order), dtype=torch.bool)
    for place in range(len(order)):
        if kept[place]:
            kept[place + 1 :] &= ~rival[place, place + 1 :]
    return order[kept]
