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


def patches(op: Linear | Convolution, x: Tensor) -> Tensor | None:
    """Return what each output position of `op` sees of `x` [n, positions, features]; None for kinds not covered."""
    if isinstance(op, Linear):
        return x.reshape(1, -1, x.shape[-1])
    if op.groups != 1 or len(op.stride) > 2:  # noqa: PLR2004 - unfold knows images
        return None
    flat = len(op.stride) == 1
    image = x.unsqueeze(2) if flat else x
    kernel, dilation, padding, stride = (
        (fill, *values) if flat else tuple(values)
        for fill, values in ((1, op.weight.shape[2:]), (1, op.dilation), (0, op.padding), (1, op.stride))
    )
    return F.unfold(image, kernel, dilation, padding, stride).movedim(1, 2)
