"""Fit the program of few-spike neurons to a function: thresholds and resets by descent, heights by least squares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

POINTS = 1024  # of the range on which a program is fitted
ROUNDS = 600
RATE = 0.002  # of the range of its inputs, for the thresholds and resets
WIDTH = 0.05  # of that range: half the base of the triangle that stands for the derivative of a spike
RIDGE = 1e-6
TOGETHER = 64  # functions fitted at a time

Span = tuple[float, float]
Program = tuple[Tensor, Tensor, Tensor]  # thresholds, resets, heights, each [steps]


def fitted(functions: Sequence[Callable[[Tensor], Tensor]], spans: Sequence[Span], steps: int) -> list[tuple[Program, float]]:
    """Return for each function its program on its range low ... high, in float64, and its root mean square error.

    >>> import torch
    >>> [(program, error)] = fitted([torch.relu], [(-1.0, 1.0)], 4)
    >>> error < 0.05
    True
    """
    x = torch.stack([torch.linspace(low, high, POINTS, dtype=torch.float64) for low, high in spans])
    wanted = torch.stack([function(row) for function, row in zip(functions, x, strict=True)])
    found: list[tuple[Program, float]] = []
    with torch.inference_mode(mode=False), torch.enable_grad():
        x, wanted = x.clone(), wanted.clone()
        for start in range(0, len(x), TOGETHER):
            part = slice(start, start + TOGETHER)
            found += descended(starts(x[part], wanted[part], steps), x[part], wanted[part])
    return found


def starts(x: Tensor, wanted: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Return thresholds and resets to start from, each [starts, functions, steps].

    The digits of the input, with a first slot that shifts it; the digits of what is positive; a staircase without resets.
    """
    low, span = x[:, :1], x[:, -1:] - x[:, :1]
    shift = torch.cat([low, span * 2.0 ** -torch.arange(1, steps, dtype=x.dtype)], 1)
    path = (wanted[:, 1:] - wanted[:, :-1]).abs().cumsum(1)
    path = path / path[:, -1:].clamp(min=1e-12)
    quantiles = ((torch.arange(steps, dtype=x.dtype) + 0.5) / steps).expand(len(x), steps).contiguous()
    stairs = x.gather(1, torch.searchsorted(path, quantiles).clamp(max=x.shape[1] - 1))
    positive = x[:, -1:].clamp(min=0).maximum(span * 0.01) * 2.0 ** -torch.arange(1, steps + 1, dtype=x.dtype)
    return torch.stack([shift, positive, stairs]), torch.stack([shift, positive, torch.zeros_like(stairs)])


def descended(start: tuple[Tensor, Tensor], x: Tensor, wanted: Tensor) -> list[tuple[Program, float]]:
    """Return for each function the best program on the ways from its starts, and its root mean square error."""
    span = (x[:, -1] - x[:, 0])[:, None]
    thresholds, resets = ((part / span).requires_grad_() for part in start)
    optimiser = torch.optim.Adam([thresholds, resets], lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, ROUNDS)
    best = (*(part.detach().clone() for part in (thresholds, resets)), torch.zeros_like(resets, requires_grad=False))
    least = torch.full(thresholds.shape[:2], torch.inf, dtype=x.dtype)
    for _ in range(ROUNDS):
        spikes = run(x / span, thresholds, resets)
        heights = least_squares(spikes.detach(), wanted)
        error = ((spikes @ heights[..., None]).squeeze(-1) - wanted).square().mean(-1)
        better = error.detach() < least
        least = torch.where(better, error.detach(), least)
        now = (thresholds.detach(), resets.detach(), heights)
        best = tuple(torch.where(better[..., None], new, old) for new, old in zip(now, best, strict=True))
        optimiser.zero_grad()
        # each way has its own error; Adam looks at each number apart, so the ways do not disturb one another
        error.sum().backward()
        optimiser.step()
        schedule.step()
    first = least.argmin(0)
    picked = [part[first, torch.arange(len(x))] for part in (best[0] * span, best[1] * span, best[2])]
    everywhere = picked[0][:, 0] <= x[:, 0]  # on the range: then below it too, where what follows counts on that spike
    picked[0][:, 0].masked_fill_(everywhere, -torch.inf)
    return [((t, r, h), float(e) ** 0.5) for t, r, h, e in zip(*picked, least.min(0).values, strict=True)]


def run(x: Tensor, thresholds: Tensor, resets: Tensor) -> Tensor:
    """Return the spikes [starts, functions, points, steps] for inputs [functions, points]."""
    potential, spikes = x, []
    for k in range(thresholds.shape[-1]):
        spike: Tensor = Spike.apply(potential - thresholds[..., k, None])
        potential = potential - resets[..., k, None] * spike
        spikes.append(spike)
    return torch.stack(spikes, -1)


def least_squares(spikes: Tensor, wanted: Tensor) -> Tensor:
    """Return the heights [..., steps] with which spikes [..., points, steps] come closest to what is wanted [..., points]."""
    points = spikes.shape[-2]
    gram = spikes.mT @ spikes / points
    moment = (spikes.mT @ wanted.expand(spikes.shape[:-1])[..., None]).squeeze(-1) / points
    return torch.linalg.solve(gram + RIDGE * torch.eye(gram.shape[-1], dtype=gram.dtype), moment)


class Spike(torch.autograd.Function):
    """1 where the excess over the threshold is not negative; its derivative is a triangle of half base WIDTH and area 1."""

    @staticmethod
    def forward(context: Any, excess: Tensor) -> Tensor:
        """Return the spikes."""
        context.save_for_backward(excess)
        return (excess >= 0).to(excess.dtype)

    @staticmethod
    def backward(context: Any, *grads: Tensor) -> Tensor:
        """Return the gradient of the excess."""
        (excess,) = context.saved_tensors
        return grads[0] * (1 - excess.abs() / WIDTH).clamp(min=0) / WIDTH
