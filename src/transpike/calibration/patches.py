"""What each output of an op with weights sees of its input, as rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from transpike.ops import Convolution, Linear


def product(left: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    """Return the mean of left' right over all rows, summed in float64 piece by piece."""
    total = torch.zeros(left[0].shape[1], right[0].shape[1], dtype=torch.float64)
    for a, b in zip(left, right, strict=True):
        total += (a.T @ b).double().cpu()
    return total / sum(map(len, left))


def patches(op: Linear | Convolution, x: Tensor, kept: Tensor | None = None) -> Tensor | None:
    """Return what each output position of `op`, or each of `kept`, sees of `x` [n, positions, features].

    Features are in the order of `kernel_rows(op)`. None for kinds of ops that are not covered.
    """
    if isinstance(op, Linear):
        rows = x.reshape(1, -1, x.shape[-1])
        return rows if kept is None else rows[:, kept]
    if op.groups != 1 or len(op.stride) > 2:  # noqa: PLR2004 - images and signals
        return None
    flat = len(op.stride) == 1
    padding = (0, *op.padding) if flat else op.padding
    image = F.pad(x.unsqueeze(2) if flat else x, (padding[1], padding[1], padding[0], padding[0])).movedim(1, -1)
    places = seen_places(op, image.shape[1:3])
    chosen = places if kept is None else places[kept.to(places.device)]
    seen = image.flatten(1, 2).index_select(1, chosen.flatten().to(x.device))
    return seen.unflatten(1, chosen.shape).flatten(2)


def seen_places(op: Convolution, size: Sequence[int]) -> Tensor:
    """Return which pixels [positions, window] of a padded image, in rows, each output position of `op` sees."""
    flat = len(op.stride) == 1
    kernel, dilation, stride = (
        (1, *values) if flat else tuple(values) for values in (op.weight.shape[2:], op.dilation, op.stride)
    )
    axes = []
    for length, k, d, s in zip(size, kernel, dilation, stride, strict=True):
        first = torch.arange(0, length - d * (k - 1), s)
        axes.append(first[:, None] + d * torch.arange(k))
    rows, columns = axes
    return (rows[:, None, :, None] * size[1] + columns[None, :, None, :]).flatten(2).flatten(0, 1)


def kernel_rows(op: Linear | Convolution) -> Tensor:
    """Return the weights of `op` as [outputs, features]: features by place in the window, then by input channel."""
    return op.weight if isinstance(op, Linear) else op.weight.movedim(1, -1).flatten(1)


def from_rows(op: Linear | Convolution, rows: Tensor) -> Tensor:
    """Return [outputs, features] in the shape of the weights of `op`."""
    if isinstance(op, Linear):
        return rows
    outputs, channels, *window = op.weight.shape
    return rows.reshape(outputs, *window, channels).movedim(-1, 1)
