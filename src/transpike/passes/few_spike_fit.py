"""Fit the program of few-spike neurons to a function: thresholds and resets by descent, heights by least squares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

POINTS = 1024  # of the range on which a program is fitted
ROUNDS = 600
RATE = 0.002  # of the range of its inputs, for the thresholds and resets
WIDTH = 0.05  # of that range: half the base of the triangle that stands for the derivative of a spike
RIDGE = 1e-6

Program = tuple[Tensor, Tensor, Tensor]  # thresholds, resets, heights, each [steps]


def fitted(function: Callable[[Tensor], Tensor], low: float, high: float, steps: int) -> tuple[Program, float]:
    """Return the program of `function` on low ... high, in float64, and its root mean square error.

    >>> import torch
    >>> program, error = fitted(torch.relu, -1.0, 1.0, 4)
    >>> error < 0.05
    True
    """
    x = torch.linspace(low, high, POINTS, dtype=torch.float64)
    wanted = function(x)
    with torch.inference_mode(mode=False), torch.enable_grad():
        found = [descended(start, x.clone(), wanted.clone()) for start in starts(function, x, steps)]
    return min(found, key=lambda one: one[1])


def starts(function: Callable[[Tensor], Tensor], x: Tensor, steps: int) -> list[tuple[Tensor, Tensor]]:
    """Return thresholds and resets to start from.

    The digits of the input, with a first slot that shifts it; the digits of what is positive; a staircase without resets.
    """
    low, span = x[0], x[-1] - x[0]
    digits = span * 2.0 ** -torch.arange(1, steps, dtype=x.dtype)
    shift = torch.cat([low[None], digits])
    wanted = function(x)
    path = (wanted[1:] - wanted[:-1]).abs().cumsum(0)
    path = path / path[-1].clamp(min=1e-12)
    places = torch.searchsorted(path, (torch.arange(steps, dtype=x.dtype) + 0.5) / steps)
    positive = x[-1].clamp(min=span * 0.01) * 2.0 ** -torch.arange(1, steps + 1, dtype=x.dtype)
    return [
        (shift, shift.clone()),
        (positive, positive.clone()),
        (x[places.clamp(max=len(x) - 1)], torch.zeros(steps, dtype=x.dtype)),
    ]


def descended(start: tuple[Tensor, Tensor], x: Tensor, wanted: Tensor) -> tuple[Program, float]:
    """Return the best program on the way from a start, and its root mean square error."""
    span = float(x[-1] - x[0])
    thresholds, resets = (part.clone().requires_grad_() for part in start)
    optimiser = torch.optim.Adam([thresholds, resets], lr=RATE * span)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, ROUNDS)
    best = ((thresholds.detach(), resets.detach(), torch.zeros_like(x[: len(resets)])), float("inf"))
    for _ in range(ROUNDS):
        spikes = run(x, thresholds, resets, WIDTH * span)
        heights = least_squares(spikes.detach(), wanted)
        error = (spikes @ heights - wanted).square().mean()
        size = float(error.detach()) ** 0.5
        if size < best[1]:
            best = ((thresholds.detach().clone(), resets.detach().clone(), heights), size)
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        schedule.step()
    return best


def run(x: Tensor, thresholds: Tensor, resets: Tensor, width: float) -> Tensor:
    """Return the spikes [points, steps] for inputs [points]."""
    potential, spikes = x, []
    for k in range(len(thresholds)):
        spike: Tensor = Spike.apply(potential - thresholds[k], width)
        potential = potential - resets[k] * spike
        spikes.append(spike)
    return torch.stack(spikes, 1)


def least_squares(spikes: Tensor, wanted: Tensor) -> Tensor:
    """Return the heights [steps] with which spikes [points, steps] come closest to what is wanted [points]."""
    gram = spikes.T @ spikes / len(spikes)
    return torch.linalg.solve(gram + RIDGE * torch.eye(len(gram), dtype=gram.dtype), spikes.T @ wanted / len(spikes))


class Spike(torch.autograd.Function):
    """1 where the excess over the threshold is not negative; its derivative is a triangle of half base `width` and area 1."""

    @staticmethod
    def forward(context: Any, excess: Tensor, width: float) -> Tensor:
        """Return the spikes."""
        context.save_for_backward(excess)
        context.width = width
        return (excess >= 0).to(excess.dtype)

    @staticmethod
    def backward(context: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of the excess."""
        (excess,) = context.saved_tensors
        return grads[0] * (1 - excess.abs() / context.width).clamp(min=0) / context.width, None
