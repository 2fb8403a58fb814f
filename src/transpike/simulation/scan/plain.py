"""The scan in plain torch, for every device: what the kernels are held to."""

from __future__ import annotations

import torch
from torch import Tensor


def scan(
    current: Tensor,
    bias: Tensor | None,
    threshold: Tensor,
    height: Tensor,
    potential: Tensor,
    count: Tensor,
    net: Tensor | None,
    accumulated: Tensor | None,
    sent: Tensor,
    retract: float,
    forgives_debt: bool,
) -> None:
    """Step the neurons as `Neuron.step` does; see `fire_scan`."""
    samples = [part.view(-1, len(threshold)) for part in (potential, count)]
    v, counted = samples
    signed = None if net is None else net.view_as(v)
    total = None if accumulated is None else accumulated.view_as(v)
    for step in range(len(sent)):
        v.add_(row(current, step).view_as(v))
        if bias is not None:
            v.add_(row(bias, step))
        spikes = sent[step].view_as(v)
        if signed is None:
            torch.ge(v, threshold, out=spikes)
            counted.add_(spikes)
        else:
            back = (v <= retract * threshold).logical_and_(signed > 0)
            torch.ge(v, threshold, out=spikes).masked_fill_(back, -1.0)
            counted.add_(spikes.abs())
            signed.add_(spikes)
        v.addcmul_(spikes, threshold, value=-1)
        if signed is not None and forgives_debt:
            v.masked_fill_((signed == 0) & (v < 0), 0.0)
        spikes.mul_(row(height, step))
        if total is not None:
            total.add_(spikes)


def row(table: Tensor, step: int) -> Tensor:
    """Return the row of a step; one row serves all of them."""
    return table[step if len(table) > 1 else 0]
