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

FORMATS = {torch.float32: (torch.int32, 23), torch.float64: (torch.int64, 52)}  # a whole number of that size, mantissa bits
SLACK = 1e-4  # of a level: a neuron may take back all that it sent although sums were rounded


class Estimate(State):
    """What a neuron still owes, `potential` = t (r_in - r_out), and `total` = t r_out, both [batch, ...].

    A `blank` one leaves zeros to whoever makes its first step.
    """

    def __init__(self, potential: Tensor, threshold: Tensor, *, blank: bool = False) -> None:
        self.potential: Tensor = potential
        self.threshold = threshold
        filled = torch.empty_like if blank else torch.zeros_like
        self.total = filled(potential)
        self.count: Tensor = filled(potential)
        self.steps = 0

    def transmitted(self) -> Tensor:
        return self.total


@dataclass(frozen=True, eq=False)
class DifferenceNeuron(Neuron):
    """Multi-threshold neurons under differential coding: a spike is one of a few sizes, of either sign.

    With a = t / (t-1), and a = 1 at t = 1:  m[t] = a v[t-1] + I[t];  C = a C[t-1];
    x[t] = the size nearest to m, or if m < 0 minus the size nearest to -m or, if that is larger, minus the largest size
    <= C (so that the decoded output stays non-negative); 0 if m is nearer to what would be the next smaller size;
    v[t] = m - x[t];  C[t] = C + x[t].
    Sizes are u = scale[t] threshold, u (1 + j / 2^mantissa) / 2^k for k = 1 ... levels-1 and whole j below 2^mantissa, and, for
    what is large all the same, powers of two times u up to the threshold. A `mantissa` of 0 leaves powers of two alone.
    `scales` holds a power of two for each step, of which the last stays; without them it is 1. A spike carries its sign and
    the logarithm of the number of sizes. The decoded output r[t] = C[t] / t follows max(r_in[t], 0): once the decoded input
    has settled at z >= 0, |r[t] - z| <= (1 - 2^-(mantissa+2)) u / 2^(levels-1) / t. With `Identity` as activation C does not
    matter: negative sizes are sent like positive ones, and r[t] follows r_in[t] itself.
    Source: Huang et al. 2025 (ICML, DCGS), multi-threshold neuron and differential coding, where sizes are powers of two and
    always the same; mantissas and scales: this project.
    """

    least: ClassVar[int] = -1

    levels: int = 4
    mantissa: int = 0
    scales: Tensor | None = None

    def __post_init__(self) -> None:
        if self.height is not None or self.bias is not None or self.delay:
            raise ArgumentError("Difference neurons take no height, bias or delay: what they send depends on the step.")

    @property
    def bits_per_spike(self) -> int:
        coarse = 0 if self.scales is None else max(0, -int(self.scales.min().log2()))
        return 1 + (((self.levels - 1) << self.mantissa) + coarse).bit_length()

    @property
    def signed(self) -> bool:
        """Whether its decoded output may be negative."""
        return isinstance(self.activation, Identity)

    def start(self, x: Tensor, first_sample: int = 0, *, blank: bool = False) -> Estimate:  # type: ignore[override]  # noqa: ARG002
        threshold = full_map(self.threshold, x)
        return Estimate(torch.empty_like(x).copy_((threshold * self.initial).expand_as(x)), threshold, blank=blank)

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
        wanted = state.potential / state.threshold
        sizes = (self.levels, self.mantissa, self.scale(state.steps))
        size = nearest_size(wanted.abs(), *sizes)
        if not self.signed:
            allowed = (total / state.threshold).mul_(1 + SLACK).clamp_(min=0)
            size = torch.where(wanted > 0, size, torch.minimum(size, largest_size(allowed, *sizes)))
        state.count.add_(size != 0)
        return size.copysign_(wanted).mul_(state.threshold)

    def scale(self, step: int) -> float:
        """Return the scale of the sizes in a step, counted from 1."""
        return 1.0 if self.scales is None else float(self.scales[min(step, len(self.scales)) - 1])

    def reach(self, time_steps: int) -> Tensor:
        """Return the largest decoded value after `time_steps`: the threshold times the sum of max(1, scale[t]) / t."""
        return self.threshold * sum(max(1.0, self.scale(t)) / t for t in range(1, time_steps + 1))

    def ceiling(self) -> Tensor:
        """Return infinity: the decoded value has no bound as time grows."""
        return torch.full_like(self.threshold, torch.inf)


def nearest_size(x: Tensor, levels: int, mantissa: int = 0, scale: float = 1.0) -> Tensor:
    """Return the size nearest to each x >= 0, else 0; see `DifferenceNeuron` for a threshold of 1.

    >>> nearest_size(torch.tensor([0.1, 0.3, 0.7, 9.0]), levels=3)
    tensor([0.0000, 0.2500, 0.5000, 1.0000])
    >>> nearest_size(torch.tensor([0.1, 0.3, 0.7, 9.0]), levels=3, mantissa=1)
    tensor([0.0000, 0.2500, 0.7500, 1.0000])
    >>> nearest_size(torch.tensor([0.1, 0.3, 0.7, 9.0]), levels=3, mantissa=1, scale=0.25)
    tensor([0.0938, 0.2500, 0.5000, 1.0000])
    """
    whole, bits = FORMATS[x.dtype]
    number = x.view(whole)
    rounded = torch.where(x < scale, number + (1 << (bits - mantissa - 1)), number + (1 << (bits - 1)))
    return largest_size(rounded.view(x.dtype), levels, mantissa, scale)


def largest_size(x: Tensor, levels: int, mantissa: int = 0, scale: float = 1.0) -> Tensor:
    """Return the largest size that does not exceed each x >= 0, else 0.

    >>> largest_size(torch.tensor([0.2, 0.3, 0.7, 9.0]), levels=3)
    tensor([0.0000, 0.2500, 0.5000, 1.0000])
    """
    whole, bits = FORMATS[x.dtype]
    number = x.view(whole)  # which is to lose the later bits of its mantissa
    short = torch.where(x < scale, number & -(1 << (bits - mantissa)), number & -(1 << bits)).view(x.dtype)
    return short.masked_fill_(short < scale * 2.0 ** (1 - levels), 0.0).clamp_(0.0, max(1.0, scale))


def first_spike(value: Tensor, threshold: Tensor, levels: int, mantissa: int = 0) -> Tensor:
    """Return what a neuron sends at its first step for a non-negative `value`: the nearest size, or 0."""
    return nearest_size(value / threshold, levels, mantissa) * threshold


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
