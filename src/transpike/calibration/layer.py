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
from transpike.neurons import Neuron, Windowed
from transpike.ops import Convolution, Linear
from transpike.parts import Op, Stateful
from transpike.simulation.playing import Scanned, player, room

CHUNK = 2**17  # values that a neuron layer is stepped on at once, so that its buffers stay in cache
IMAGES = 4  # axes of [samples, channels, height, width]


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
    `activation` [n, ...] are the ANN's; `axis` is the axis of the channels in a sample, counted with the batch. Squared
    errors after t steps count with the weight t^`emphasis`.
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
    emphasis: float = 0.0

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

    def thinned(self, values: int) -> Layer:
        """Return the layer at so many positions, evenly spaced, that each channel has about `values` values per step.

        Positions are those of images; layers of other shapes are returned as they are. The layer cannot change its weights.
        """
        if self.activation.ndim != IMAGES or self.axis != 1:
            return self
        height, width = self.activation.shape[2:]
        number = -(-values // self.currents.shape[1])
        if number >= height * width:
            return self
        kept = (torch.arange(number, dtype=torch.float64) * (height * width / number)).long().to(self.activation.device)
        currents = some_positions(self.currents, kept)
        tensors = {f.name: getattr(self.neuron, f.name) for f in dataclasses.fields(self.neuron)}
        shape = self.activation.shape[1:]
        changes = {
            name: some_positions(value.expand(*value.shape[:-3], *shape), kept)
            for name, value in tensors.items()
            if isinstance(value, Tensor) and value.ndim >= len(shape) and value.shape[-2:] != (1, 1)
        }
        return dataclasses.replace(
            self.with_neuron(**changes),
            received=lambda: currents,
            pre_activation=some_positions(self.pre_activation, kept),
            activation=some_positions(self.activation, kept),
            site=None,
        )

    @property
    def windows(self) -> int:
        """How many ends there are."""
        return max(1, len(self.ends))

    def response(self, neuron: Neuron) -> Tensor:
        """Return what `neuron` sends on average over time [n, ...] in this layer's place."""
        sent = torch.empty_like(self.activation)
        parts = sent.unflatten(0, (self.windows, -1))
        for rows in chunks(neuron, self.currents):
            some = self.currents[:, rows]
            if isinstance(neuron, Windowed):
                parts[:, rows] = neuron.mean_sent(some, self.time_steps)
            else:
                parts[:, rows] = sent_until(neuron, some, self.ends or (len(some),))
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

    def weighted(self, value: Tensor) -> Tensor:
        """Return `value` [n, ...] times the weight of each end, 1 on average."""
        if not self.ends or not self.emphasis:
            return value
        weights = torch.tensor(self.ends, dtype=value.dtype, device=value.device) ** self.emphasis
        each = weights / weights.mean()
        return (value.unflatten(0, (self.windows, -1)) * each.reshape(-1, *[1] * value.ndim)).flatten(0, 1)

    def spread(self, values: Tensor) -> Tensor:
        """Return values [channels] so that they broadcast against one sample, in the layer's dtype."""
        shape = [1] * (self.activation.ndim - 1)
        shape[self.axis - 1] = -1
        return values.to(self.activation.device, self.activation.dtype).reshape(shape)


def some_positions(value: Tensor, kept: Tensor) -> Tensor:
    """Return the pixels `kept` of images [..., height, width] as images [..., pixels, 1], channels last in memory."""
    last = value.movedim(-3, -1).flatten(-3, -2)
    return last.index_select(-2, kept).movedim(-1, -2)[..., None]


def chunks(op: Stateful, currents: Tensor) -> Iterator[slice]:
    """Yield slices of the samples of currents [time, n, ...]: about CHUNK values each, or all where a fused scan cuts them."""
    first = currents[0]
    if isinstance(player(op, first[:1], 0), Scanned):
        yield slice(0, len(first))
        return
    size = max(1, CHUNK // max(1, first[0].numel()))
    for start in range(0, len(first), size):
        yield slice(start, start + size)


def prefix_means(values: Tensor, ends: tuple[int, ...]) -> Tensor:
    """Return the means [ends * samples, ...] of values [time, samples, ...] up to each end; without ends, over all time."""
    return torch.cat([values[:end].mean(0) for end in ends]) if ends else values.mean(0)


def sent_until(neuron: Neuron, currents: Tensor, ends: tuple[int, ...]) -> Tensor:
    """Return what `neuron` sends on average up to each end [ends, samples, ...]."""
    stepped = player(neuron, currents[0], 0)
    found: list[Tensor] = []
    stepped.play([currents], len(currents), ends, lambda step: found.append(stepped.state.transmitted() / neuron.counted(step)))
    return torch.stack(found)


def run(op: Stateful, currents: Tensor) -> Tensor:
    """Return what `op` sends in each step [time, n, ...] for `currents` [time, n, ...]."""
    whole: Tensor | None = None
    for rows in chunks(op, currents):
        some = currents[:, rows]
        sent = player(op, some[0], rows.start).play([some], len(some), (), lambda step: None)  # noqa: ARG005
        if some.shape == currents.shape:
            return sent
        if whole is None:
            whole = room(sent[0, :1].expand(currents.shape[1], *sent.shape[2:]), len(sent))
        whole[:, rows] = sent
    assert whole is not None
    return whole
