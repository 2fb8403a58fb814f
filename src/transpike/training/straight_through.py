"""Trainable activations as PyTorch operators: one operator each in an exported program, with straight-through gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from transpike.ops import Clamped, Qcfs, SlipRelu
from transpike.ops.activation import position

PIECE = 2**16  # values


@torch.library.custom_op("transpike::qcfs", mutates_args=())
def qcfs(x: Tensor, threshold: Tensor, levels: int, shift: float) -> Tensor:
    """Return threshold clip(floor(levels x / threshold + shift) / levels, 0, 1), in the dtype of `x`.

    It is computed in the dtype of `threshold`: under autocast `x` is too coarse to tell its level.
    """
    result = torch.empty_like(x)
    op = Qcfs(threshold, levels, shift)
    for piece, out in pieces(x, result):
        out.copy_(op(piece.to(threshold.dtype)))
    return result


@torch.library.custom_op("transpike::slip_relu", mutates_args=())
def slip_relu(x: Tensor, threshold: Tensor, levels: int, slope: float, shift: float, offset: float) -> Tensor:
    """Return slope clip(x + offset threshold / levels, 0, threshold) + (1 - slope) qcfs(x), in the dtype of `x`."""
    return SlipRelu(threshold, levels, slope, shift, offset)(x.to(threshold.dtype)).to(x.dtype)


@torch.library.custom_op("transpike::clamped", mutates_args=())
def clamped(x: Tensor, threshold: Tensor, floor: float) -> Tensor:
    """Return min(x, threshold) where x >= floor * threshold, else 0, in the dtype of `x`."""
    return Clamped(threshold, floor)(x.to(threshold.dtype)).to(x.dtype)


def same_shape(x: Tensor, *_: Any) -> Tensor:
    """Return an empty tensor like the result."""
    return torch.empty_like(x)


def pieces(*values: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield flat views of tensors of one shape, piece by piece on a CPU, where a piece stays in its cache through all passes.

    On other devices, and for tensors whose elements lie in different orders, they come whole.
    """
    first = values[0]
    alike = all(value.stride() == first.stride() and torch.ops.aten.is_non_overlapping_and_dense(value) for value in values)
    if first.device.type != "cpu" or not alike:
        yield values
        return
    flat = [value.as_strided((value.numel(),), (1,)).split(PIECE) for value in values]
    yield from zip(*flat, strict=True)


def qcfs_gradients(given: Tensor, x: Tensor, threshold: Tensor, levels: int, shift: float) -> tuple[Tensor, Tensor]:
    """Return the gradients of QCFS for input and threshold, with a floor whose derivative is taken as 1.

    With u = levels x / threshold + shift, (dy/dx, dy/dthreshold) is (1, (y - x) / threshold) for 0 < u < levels, (0, 0)
    below and (0, 1) above, where (y - x) / threshold = (shift - fraction of u) / levels.
    Source: Bu et al. 2022 (the gradients that it trains QCFS with).
    """
    place = position(x, threshold, levels, shift)
    for_x = torch.ops.aten.hardtanh_backward(given, place, 0, levels)
    above = torch.ge(place, levels, out=torch.empty_like(place)).mul_(given).sum_to_size(threshold.shape)  # floats: faster
    rounding = shift * for_x.sum_to_size(threshold.shape) - place.frac_().mul_(for_x).sum_to_size(threshold.shape)
    return for_x, above + rounding / levels


def clip_gradients(given: Tensor, x: Tensor, threshold: Tensor, levels: int, offset: float) -> tuple[Tensor, Tensor]:
    """Return the gradients of clip(x + offset threshold / levels, 0, threshold) for input and threshold."""
    moved = x + offset / levels * threshold
    above = moved >= threshold
    for_x = given * ((moved > 0) & ~above)
    return for_x, (given * above + for_x * (offset / levels)).sum_to_size(threshold.shape)


def slip_relu_gradients(
    given: Tensor, x: Tensor, threshold: Tensor, levels: int, slope: float, shift: float, offset: float
) -> tuple[Tensor, Tensor]:
    """Return the gradients of SlipReLU for input and threshold: the weighted mean of those of its two parts."""
    steps = qcfs_gradients(given * (1 - slope), x, threshold, levels, shift)
    clips = clip_gradients(given * slope, x, threshold, levels, offset)
    return steps[0] + clips[0], steps[1] + clips[1]


def clamped_gradients(given: Tensor, x: Tensor, threshold: Tensor, floor: float) -> tuple[Tensor, Tensor]:  # noqa: ARG001
    """Return the gradients of ClampedReLU as if there were no floor, so that small values can grow again."""
    return clip_gradients(given, x, threshold, 1, 0.0)


def setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001 - torch's signature
    """Keep what the gradients need."""
    ctx.save_for_backward(inputs[0], inputs[1])
    ctx.settings = inputs[2:]


def qcfs_backward(ctx: Any, received: Tensor) -> tuple[Tensor | None, ...]:
    """Return the gradients of the arguments of `qcfs`."""
    return *summed(ctx, received, qcfs_gradients), None, None


def slip_relu_backward(ctx: Any, received: Tensor) -> tuple[Tensor | None, ...]:
    """Return the gradients of the arguments of `slip_relu`."""
    return *summed(ctx, received, slip_relu_gradients), None, None, None, None


def clamped_backward(ctx: Any, received: Tensor) -> tuple[Tensor | None, ...]:
    """Return the gradients of the arguments of `clamped`."""
    return *summed(ctx, received, clamped_gradients), None


def summed(ctx: Any, received: Tensor, gradients: Callable[..., tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return the gradients for input and threshold, the second summed over the pieces, in the precision of the threshold."""
    x, threshold = ctx.saved_tensors
    for_x, for_threshold = torch.empty_like(x), torch.zeros_like(threshold)
    for given, value, out in pieces(received, x, for_x):
        part, total = gradients(given.to(threshold.dtype), value.to(threshold.dtype), threshold, *ctx.settings)
        out.copy_(part)
        for_threshold += total
    return for_x, for_threshold


qcfs.register_fake(same_shape)
slip_relu.register_fake(same_shape)
clamped.register_fake(same_shape)
clamped.register_autograd(clamped_backward, setup_context=setup)
qcfs.register_autograd(qcfs_backward, setup_context=setup)
slip_relu.register_autograd(slip_relu_backward, setup_context=setup)
