"""A layer of neurons on calibration samples, and what can be asked of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from transpike.errors import ArgumentError
from transpike.network import Node
from transpike.neurons import Neuron
from transpike.ops import Convolution, Linear
from transpike.parts import Op, Stateful

CHUNK = 2**17  # values that a neuron layer is stepped on at once, so that its buffers stay in cache


@dataclass(frozen=True)
class Site:
    """The weighted op before a layer, if its weights serve this layer alone.

    `rates` [n, ...] is its mean input, `wanted` [n, ...] what the ANN counterpart of the layer receives, `residual(op)` what
    the layer lacks to that with another op in its place, and `currents(op)` are then its currents.
    """

    name: str
    op: Linear | Convolution
    rates: Tensor
    wanted: Tensor
    residual: Callable[[Op], Tensor]
    currents: Callable[[Op], Tensor]


@dataclass(frozen=True)
class Layer:
    """A layer of neurons on calibration samples: what it receives in each step, and what its ANN counterpart does.

    `currents` [time, samples, ...]: each of the `time_steps`, or in the sequential schedule their mean alone; `received()`
    computes them when they are first asked for, since new weights before the layer make them void. Means over time
    are taken at each of `ends` from the first step on: n = ends x samples, the ends outermost. `pre_activation` and
    `activation` [n, ...] are the ANN's; `axis` is the axis of the channels in a sample, counted with the batch.
    """

    node: Node
    neuron: Neuron
    received: Callable[[], Tensor]
    pre_activation: Tensor
    activation: Tensor
    axis: int
    time_steps: int
    site: Site | None = None
    ends: tuple[int, ...] = ()

    @property
    def currents(self) -> Tensor:
        """What the layer receives in each step [time, samples, ...]."""
        return self.received()

    def each_step(self, what: str) -> None:
        """Raise ArgumentError if steps are not simulated one by one, which `what` needs."""
        if self.ends:
            raise ArgumentError(f"{what} is for one number of time steps, but this recipe fits several at once.")
        if len(self.currents) != self.time_steps:
            raise ArgumentError(f"{what} needs the concurrent schedule, in which each step is simulated by itself.")

    def with_neuron(self, **changes: Tensor | int | None) -> Layer:
        """Return the layer with other fields of its neuron."""
        return dataclasses.replace(self, neuron=dataclasses.replace(self.neuron, **changes))  # type: ignore[arg-type]

    def with_weights(self, op: Linear | Convolution) -> Layer:
        """Return the layer with another weighted op before it."""
        assert self.site is not None
        site = dataclasses.replace(self.site, op=op)
        return dataclasses.replace(self, site=site, received=cache(lambda: site.currents(op)))

    def mean_current(self) -> Tensor:
        """Return the mean input of each neuron over time [n, ...], its bias included."""
        mean = prefix_means(self.currents[self.neuron.listens()], self.ends)
        return mean if self.neuron.bias is None else mean + self.neuron.bias.mean(0)

    def first(self, count: int) -> Layer:
        """Return the layer on the first `count` samples."""

        def cut(value: Tensor) -> Tensor:
            return value.unflatten(0, (self.windows, -1))[:, :count].flatten(0, 1)

        return dataclasses.replace(
            self,
            received=lambda: self.currents[:, :count],
            pre_activation=cut(self.pre_activation),
            activation=cut(self.activation),
        )

    @property
    def windows(self) -> int:
        """How many ends there are."""
        return max(1, len(self.ends))

    def response(self, neuron: Neuron) -> Tensor:
        """Return what `neuron` sends on average over time [n, ...] in this layer's place."""
        sent = torch.empty_like(self.activation)
        parts = sent.unflatten(0, (self.windows, -1))
        for rows in chunks(self.currents[0]):
            some = self.currents[:, rows]
            parts[:, rows] = sent_until(neuron, some, self.ends) if self.ends else neuron.mean_sent(some, self.time_steps)
        return sent

    @property
    def channels(self) -> int:
        """How many channels the layer has."""
        return self.activation.shape[self.axis] if self.activation.ndim > 1 else 1

    def per_channel(self, value: Tensor) -> Tensor:
        """Return `value` [n, ...] as [channels, everything else]."""
        return value.movedim(self.axis, 0).flatten(1) if value.ndim > 1 else value[None]

    def channel_mean(self, value: Tensor) -> Tensor:
        """Return the mean of `value` [n, ...] or [...] over all but the channels, in float64."""
        axis = self.axis - (self.activation.ndim - value.ndim)
        others = [i for i in range(value.ndim) if i != axis]
        return value.mean(others).double().cpu() if others else value.double().cpu()

    def spread(self, values: Tensor) -> Tensor:
        """Return values [channels] so that they broadcast against one sample, in the layer's dtype."""
        shape = [1] * (self.activation.ndim - 1)
        shape[self.axis - 1] = -1
        return values.to(self.activation.device, self.activation.dtype).reshape(shape)


def chunks(samples: Tensor) -> Iterator[slice]:
    """Yield slices of samples [n, ...] of about CHUNK values each."""
    size = max(1, CHUNK // max(1, samples[0].numel()))
    for start in range(0, len(samples), size):
        yield slice(start, start + size)


def prefix_means(values: Tensor, ends: tuple[int, ...]) -> Tensor:
    """Return the means [ends * samples, ...] of values [time, samples, ...] up to each end; without ends, over all time."""
    return torch.cat([values[:end].mean(0) for end in ends]) if ends else values.mean(0)


def sent_until(neuron: Neuron, currents: Tensor, ends: tuple[int, ...]) -> Tensor:
    """Return what `neuron` sends on average up to each end [ends, samples, ...]."""
    state = neuron.start(currents[0])
    found = []
    for step, current in enumerate(currents, 1):
        neuron.step(state, current)
        if step in ends:
            found.append(state.transmitted() / neuron.counted(step))
    return torch.stack(found)


def run(op: Stateful, currents: Tensor) -> Tensor:
    """Return what `op` sends in each step [time, n, ...] for `currents` [time, n, ...]."""
    sent: Tensor | None = None
    for rows in chunks(currents[0]):
        state = op.start(currents[0, rows], rows.start)
        for step, current in enumerate(currents[:, rows]):
            now = op.step(state, current)
            sent = currents.new_empty(*currents.shape[:2], *now.shape[1:]) if sent is None else sent
            sent[step, rows] = now
    assert sent is not None
    return sent
