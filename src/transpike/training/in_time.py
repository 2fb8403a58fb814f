"""Training in time: activations run as the neurons that they become, and learn by the gradients of their rates."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from transpike.simulation.scan import fire_scan

IMAGES = 4  # axes


class Firing(torch.autograd.Function):
    """Integrate-and-fire neurons over all steps; see `fired`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, threshold: Tensor, shift: float, steps: int) -> Tensor:
        current = dense(x.to(threshold.dtype))
        sent = torch.empty_like(current)
        size = current.numel() // steps  # neurons of all samples
        limit = threshold.expand(current[:1].numel()).contiguous()  # of one sample
        potential, count = (shift * threshold).expand(size).contiguous(), current.new_zeros(size)
        fire_scan(
            in_time(current, steps), None, limit, limit[None], potential, count, None, None, in_time(sent, steps), 0.0, False
        )
        place = potential.div_(threshold).add_(count)  # T z / lambda + shift, as charge is conserved
        follows = (place > 0) & (place < steps)  # there n grows by T / lambda for each unit of z
        ctx.save_for_backward(follows, (count - (place - shift) * follows) / steps)
        ctx.steps, ctx.order = steps, current.stride()
        return sent.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, received: Tensor) -> tuple[Tensor | None, ...]:
        follows, slope = ctx.saved_tensors
        given = torch.empty_strided(received.shape, ctx.order, dtype=received.dtype, device=received.device).copy_(received)
        mean = in_time(given, ctx.steps).to(slope.dtype).mean(0)
        in_time(given, ctx.steps).copy_((mean * follows).expand(ctx.steps, -1))
        return given, ctx.steps * torch.dot(mean, slope), None, None


def fired(x: Tensor, threshold: Tensor, shift: float, steps: int) -> Tensor:
    """Return what integrate-and-fire neurons send [steps * batch, ...] for currents `x` of that shape, first step first.

    Each neuron starts at shift * threshold, resets by subtraction and sends spikes of the height of its threshold lambda: the
    neuron that QCFS becomes. Of n spikes in T steps and the mean current z the mean y = lambda n / T has the gradients of
    QCFS with the spikes that were really sent: with u = T z / lambda + shift, dy/dz = 1 for 0 < u < T and 0 elsewhere, and
    dy/dlambda = n / T - (dy/dz) z / lambda. Every step receives the same share of them.
    Source: Meng et al. 2022 (differentiation on spike representation), with the neurons of Bu et al. 2022 (QCFS).

    >>> fired(torch.tensor([0.6, 0.6, 0.6, 0.6]), torch.tensor(1.0), shift=0.5, steps=4).tolist()
    [1.0, 0.0, 1.0, 0.0]
    """
    result: Tensor = Firing.apply(x, threshold, shift, steps)
    return result


def dense(x: Tensor) -> Tensor:
    """Return `x` [steps * batch, ...] with the first axis outermost in memory, the others without gaps."""
    images = x.ndim == IMAGES and x.is_contiguous(memory_format=torch.channels_last)
    return x if images else x.contiguous()


def in_time(x: Tensor, steps: int) -> Tensor:
    """Return a dense tensor [steps * batch, ...] as a view [steps, neurons of all samples], in the order of its memory."""
    size = x.numel() // steps
    return x.as_strided((steps, size), (size, 1))
