"""Differential coding: neurons that send changes of their estimated rate, and how these are read.

Any stream x[t] is decoded as r[t] = r[t-1] + x[t] / t. Source: Huang et al. 2025 (ICML, DCGS: differential coding with
multi-threshold neurons). Written here in the algebra that follows from it: what the source keeps as e_in, e_out, v and C
are two numbers, v[t] = v[0] + t (r_in[t] - r_out[t]) and C[t] = t r_out[t].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.errors import ArgumentError
from transpike.neurons.base import Neuron
from transpike.neurons.integrator import Accumulated
from transpike.neurons.max_pool import TemporalMaxPool
from transpike.ops import Identity
from transpike.parts import Decoder, Op, State, full_map

NEAREST = 0.75  # a level is sent from 3/4 of it: half way between it and the level below
EXPONENTS = {torch.float32: (torch.int32, 0x7F800000), torch.float64: (torch.int64, 0x7FF0000000000000)}  # bits of them
SLACK = 1e-4  # of a level: a neuron may take back all that it sent although sums were rounded


class Estimate(State):
    """What a neuron still owes, `potential` = t (r_in - r_out), and `total` = t r_out, both [batch, ...]."""

    def __init__(self, potential: Tensor, threshold: Tensor) -> None:
        self.potential: Tensor = potential
        self.threshold = threshold
        self.total = torch.zeros_like(potential)
        self.count: Tensor = torch.zeros_like(potential)
        self.steps = 0

    def transmitted(self) -> Tensor:
        return self.total


@dataclass(frozen=True, eq=False)
class DifferenceNeuron(Neuron):
    """Multi-threshold neurons under differential coding: a spike is one of `levels` sizes, of either sign.

    With a = t / (t-1), and a = 1 at t = 1:  m[t] = a v[t-1] + I[t];  C = a C[t-1];
    x[t] = the largest level threshold / 2^k (k = 0 ... levels-1) with level <= m / 0.75, or minus the largest with
    level <= -m / 0.75 and level <= C (so that the decoded output stays non-negative), else 0;
    v[t] = m - x[t];  C[t] = C + x[t].
    The decoded output r[t] = C[t] / t follows max(r_in[t], 0): once the decoded input has settled at z >= 0,
    |r[t] - z| <= 0.75 threshold / 2^(levels-1) / t. A spike carries its sign and log2(levels) bits. With `Identity` as
    activation C does not matter: negative levels are sent like positive ones, and r[t] follows r_in[t] itself.
    Source: Huang et al. 2025 (ICML, DCGS), multi-threshold neuron and differential coding.
    """

    least: ClassVar[int] = -1

    levels: int = 4

    def __post_init__(self) -> None:
        if self.height is not None or self.bias is not None or self.delay:
            raise ArgumentError("Difference neurons take no height, bias or delay: what they send depends on the step.")

    @property
    def bits_per_spike(self) -> int:
        return 1 + (self.levels - 1).bit_length()

    @property
    def signed(self) -> bool:
        """Whether its decoded output may be negative."""
        return isinstance(self.activation, Identity)

    def start(self, x: Tensor, first_sample: int = 0) -> Estimate:  # type: ignore[override]  # noqa: ARG002
        threshold = full_map(self.threshold, x)
        return Estimate(torch.empty_like(x).copy_((threshold * self.initial).expand_as(x)), threshold)

    def step(self, state: Estimate, x: Tensor) -> Tensor:  # type: ignore[override]
        state.steps += 1
        if state.steps > 1:
            for value in (state.potential, state.total):
                value.mul_(state.steps).div_(state.steps - 1)  # in this order, so that whole results are exact
        state.potential.add_(x)
        sent = self.spikes(state, state.total)
        state.potential.sub_(sent)
        state.total.add_(sent)
        return sent

    def spikes(self, state: Estimate, total: Tensor) -> Tensor:
        """Return what each neuron sends, given its potential and `total`, what it sent before, and count that."""
        wanted = state.potential / (NEAREST * state.threshold)
        size = wanted.abs()
        if not self.signed:
            allowed = (total / state.threshold).mul_(1 + SLACK).clamp_(min=0)
            size = torch.where(wanted > 0, size, torch.minimum(size, allowed))
        sent = largest_level(size, self.levels)
        state.count.add_(sent != 0)
        return sent.copysign_(wanted).mul_(state.threshold)

    def reach(self, time_steps: int) -> Tensor:
        """Return the largest decoded value after `time_steps`: the threshold times 1 + 1/2 + ... + 1/T."""
        return self.threshold * sum(1 / t for t in range(1, time_steps + 1))

    def ceiling(self) -> Tensor:
        """Return infinity: the decoded value has no bound as time grows."""
        return torch.full_like(self.threshold, torch.inf)


def largest_level(size: Tensor, levels: int) -> Tensor:
    """Return the largest of 1, 1/2, ... 1/2^(levels-1) that does not exceed `size`, else 0.

    >>> largest_level(torch.tensor([0.1, 0.3, 0.5, 9.0]), levels=3)
    tensor([0.0000, 0.2500, 0.5000, 1.0000])
    """
    whole, exponent = EXPONENTS[size.dtype]
    power = (size.view(whole) & exponent).view(size.dtype)  # without its mantissa a number is the power of two below it
    return power.masked_fill_(power < 2.0 ** (1 - levels), 0.0).clamp_(0.0, 1.0)


def first_spike(value: Tensor, threshold: Tensor, levels: int) -> Tensor:
    """Return what a neuron sends at its first step for a non-negative `value`: the largest level <= value / 0.75, or 0."""
    return largest_level(value / (NEAREST * threshold), levels) * threshold


@dataclass(frozen=True, eq=False)
class DifferenceDecoder(Decoder):
    """Decode a differentially coded stream: r[t] = r[t-1] + x[t] / t from r[0] = 0."""

    keeps: ClassVar[frozenset[str]] = frozenset({"potential"})

    def start(self, x: Tensor, first_sample: int = 0) -> Accumulated:  # noqa: ARG002 - deterministic
        return Accumulated(torch.zeros_like(x))

    def step(self, state: Accumulated, x: Tensor) -> Tensor:
        state.steps += 1
        return state.potential.add_(x, alpha=1 / state.steps).clone()

    def analogue(self) -> Op:
        return Identity()


class Pooled(State):
    """The decoded input and the decoded output so far [batch, ...]."""

    def __init__(self, decoded: Tensor) -> None:
        self.decoded = decoded
        self.maximum: Tensor | None = None
        self.steps = 0


@dataclass(frozen=True, eq=False)
class DifferenceMaxPool(TemporalMaxPool):
    """Max-pool a differentially coded stream: y[t] = t (max r[t] - max r[t-1]), r[t] = r[t-1] + x[t] / t.

    The decoded output is the maximum of the decoded inputs, exactly, at every t.
    Source: the rule of Huang et al. 2025 (ICML, DCGS) for functions without memory, applied to the maximum.
    """

    def start(self, x: Tensor, first_sample: int = 0) -> Pooled:  # noqa: ARG002 - deterministic
        return Pooled(torch.zeros_like(x))

    def step(self, state: Pooled, x: Tensor) -> Tensor:
        state.steps += 1
        maximum = self.pool(state.decoded.add_(x, alpha=1 / state.steps))
        change = (maximum if state.maximum is None else maximum - state.maximum) * state.steps
        state.maximum = maximum
        return self.tallied(state, change)
