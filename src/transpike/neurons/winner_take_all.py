"""Max-pooling as a winner-take-all circuit: excitatory neurons and an inhibitory one that they share, per window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.errors import ArgumentError
from transpike.neurons.max_pool import spatial_axes
from transpike.ops import AdaptiveMaxPool, MaxPool
from transpike.parts import Op, State, Stateful, full_map


class Circuit(State):
    """The potentials of the excitatory neurons [batch, ..., windows, inputs of a window] and their last spikes alike.

    `places` are the inputs of each window (see `windows`), `count` the excitatory spikes of each window so far.
    """

    shared: ClassVar[frozenset[str]] = frozenset({"places", "absent"})

    def __init__(self, x: Tensor, places: Tensor, threshold: Tensor, count: Tensor) -> None:
        shape = (len(x), *threshold.shape[1:-2], *places.shape)
        self.places = places
        self.absent = places < 0
        self.threshold = threshold
        self.potential: Tensor = x.new_zeros(shape)
        self.fired = x.new_zeros(shape)
        self.count: Tensor = count


@dataclass(frozen=True, eq=False)
class WinnerTakeAll(Stateful):
    """A circuit of integrate-and-fire neurons for each window: the input with the highest rate silences the others.

    Excitatory neuron i receives the spikes of input i. Every excitatory spike also excites the inhibitory neuron of the
    window, which answers it one step later with a spike that pushes down all excitatory neurons but the one that it came
    from (that one has had its reset):
      m_i[t] = max(v_i[t-1] + x_i[t] - inhibition * threshold * (sum of s_j[t-1], j other than i), -rest * threshold)
      s_i[t] = 1 where m_i[t] >= threshold;  v_i[t] = m_i[t] - threshold s_i[t];  v_i[0] = 0
    The output is the sum of the excitatory spikes, each of height `threshold` (per channel, broadcasts against an output
    sample: the height of the input spikes).

    `inhibition` is the weight of an inhibitory spike in thresholds, `rest` how far below 0 a potential can go, in
    thresholds: how much suppression a neuron remembers. With inhibition 1 and no bound every spike of a window takes one
    threshold from each of its neurons, so that v_i = x_i[1] + ... + x_i[t] - threshold * (spikes of the window): the count
    follows the maximum of the accumulated inputs to within the spikes of a few steps. With a finite `rest` losers forget,
    and fire again when the winner pauses. Raises ArgumentError if either is not positive.
    Source: the winner-take-all motif of cortical circuits; as a spiking circuit Oster, Douglas and Liu 2009.
    """

    keeps: ClassVar[frozenset[str]] = frozenset({"count"})

    pool: Op
    threshold: Tensor
    inhibition: float = 1.0
    rest: float = math.inf

    def __post_init__(self) -> None:
        for name in ("inhibition", "rest"):
            if not getattr(self, name) > 0:
                raise ArgumentError(f"{name} must be above 0, not {getattr(self, name)}: nothing would be suppressed.")

    def start(self, x: Tensor, first_sample: int = 0) -> Circuit:  # noqa: ARG002 - deterministic
        axes = spatial_axes(self.pool)
        places = windows(self.pool, tuple(x.shape[-axes:])).to(x.device)
        sent = self.pool(x)
        return Circuit(x, places, full_map(self.threshold, sent).flatten(-axes)[..., None], torch.zeros_like(sent))

    def step(self, state: Circuit, x: Tensor) -> Tensor:
        received = x.flatten(-spatial_axes(self.pool))[..., state.places.clamp(min=0)]
        received = received.masked_fill(state.absent, 0.0)
        others = state.fired.sum(-1, keepdim=True) - state.fired
        potential = state.potential + received - self.inhibition * others * state.threshold
        potential = torch.maximum(potential, -self.rest * state.threshold)
        state.fired = (potential >= state.threshold).to(x.dtype)
        state.potential = potential - state.fired * state.threshold
        spikes = state.fired.sum(-1).reshape(state.count.shape)
        state.count.add_(spikes)
        return spikes * state.threshold.reshape(-1, *state.count.shape[1:])

    def analogue(self) -> Op:
        return self.pool

    def inner_connections(self, sizes: tuple[int, ...]) -> Tensor:
        """Return over how many connections an excitatory spike arrives within the circuit of each window [*windows].

        One leads to the inhibitory neuron, whose answer arrives at each of the others. `sizes` is the shape of an input sample.
        """
        places = windows(self.pool, sizes[-spatial_axes(self.pool) :])
        outputs = self.pool(torch.zeros(1, *sizes)).shape[1:]
        return (places >= 0).sum(1).float().expand(*outputs[: -spatial_axes(self.pool)], -1).reshape(outputs)


def windows(pool: Op, sizes: tuple[int, ...]) -> Tensor:
    """Return the inputs of each window of a max-pool as indices into its flattened spatial axes [windows, most inputs].

    Windows that hang over a border, or are smaller than the largest, are filled with -1.

    >>> windows(MaxPool((2,), (2,), (1,), (1,)), (4,)).tolist()
    [[-1, 0], [1, 2], [3, -1]]
    """
    axes = [axis_windows(pool, axis, size) for axis, size in enumerate(sizes)]
    result = torch.zeros(1, 1, dtype=torch.int64)
    for places, size in zip(axes, sizes, strict=True):
        joined = result[:, None, :, None] * size + places[None, :, None, :]
        absent = (result < 0)[:, None, :, None] | (places < 0)[None, :, None, :]
        result = joined.masked_fill(absent, -1).flatten(2).flatten(0, 1)
    return result


def axis_windows(pool: Op, axis: int, size: int) -> Tensor:
    """Return the inputs of each window along one axis [windows, most inputs], with -1 where there are none."""
    if isinstance(pool, AdaptiveMaxPool):
        out = pool.size[axis]
        bounds = [(i * size // out, -(-(i + 1) * size // out)) for i in range(out)]
        longest = max(stop - start for start, stop in bounds)
        return torch.tensor([[*range(start, stop), *[-1] * (longest - stop + start)] for start, stop in bounds])
    assert isinstance(pool, MaxPool)
    kernel, stride, padding, dilation = (field[axis] for field in (pool.kernel, pool.stride, pool.padding, pool.dilation))
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-room // stride) if pool.ceil_mode else room // stride) + 1
    if pool.ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1
    places = torch.arange(count)[:, None] * stride - padding + torch.arange(kernel)[None, :] * dilation
    return places.masked_fill((places < 0) | (places >= size), -1)
