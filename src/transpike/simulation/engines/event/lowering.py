"""Turn a spiking network into stages: neurons, each fed by convolutions of the spikes of earlier stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from transpike.network import Network, shapes
from transpike.network.grammar import decoded, place
from transpike.neurons import (
    AccumulatedMaxPool,
    IntegerIntegrateAndFire,
    IntegrateAndFire,
    Neuron,
    Saturating,
    Ternary,
    Wrapping,
)
from transpike.ops import Add, Concatenate, MaxPool
from transpike.parts import Decoder, Op, Stateful
from transpike.simulation.engines.event.currents import drives
from transpike.simulation.engines.event.linear import Kernel, NotLinearError, Shape, identity, image, then

WINDOWS = ((1, 2), (2, 1), (2, 2))  # of max-pools that a tile can hold
FINEST = 20  # bits behind the point that are looked for
LARGEST_SUM = 2.0**30  # of 32-bit sums
MOST_ROWS = 65_000  # inputs under one tile
TOLERANCE = 1e-9


class UnsupportedError(Exception):
    """A network that the engine has no form for; the message says why."""


@dataclass(frozen=True)
class Stage:
    """Neurons, or a read-out: `drive` is the node whose value is their current, `terms` what earlier stages add to it.

    With a `pool` window the neurons act on the maximum of their accumulated currents. `shape` is that of what is sent.
    `unit`: all its numbers are multiples of 1 / unit; 0 where they are not.
    """

    name: str
    op: Neuron | Decoder
    drive: str
    shape: Shape
    terms: tuple[tuple[str, Kernel], ...]
    pool: tuple[int, int] = (1, 1)
    unit: int = 0

    def spread(self, values: Tensor) -> Tensor:
        """Return per-channel values as a map [height, width, channels] in float32."""
        target = self.shape if values.ndim != 1 or self.shape[1:] != (1, 1) else (self.shape[0],)
        return values.float().expand(target).reshape(self.shape).permute(1, 2, 0).contiguous()

    def channel_rows(self, table: Tensor) -> Tensor:
        """Return a table [rows, ...] that differs by channel only as [rows, channels]; raise UnsupportedError otherwise."""
        rows = torch.stack([self.spread(row) for row in table]).flatten(1, 2)
        if bool((rows != rows[:, :1]).any()):
            raise UnsupportedError(f"the bias currents of {self.name!r} differ from place to place")
        return rows[:, 0].contiguous()


@dataclass
class Lowering:
    """Forms of the values of a network, found in order; `terms` may begin with those of inputs."""

    network: Network
    sizes: dict[str, tuple[int, ...]] = field(init=False)
    terms: dict[str, tuple[tuple[str, Kernel], ...]] = field(default_factory=dict)
    kinds: tuple[type[Neuron], ...] = (IntegrateAndFire, Ternary, Saturating, Wrapping)

    def __post_init__(self) -> None:
        self.sizes = shapes(self.network)

    def stages(self) -> list[Stage]:
        """Return the stages of the network; raise UnsupportedError with the reason if there is a node without a form."""
        answers, found = decoded(self.network), []
        for name, node in self.network.nodes.items():
            if name in answers and not isinstance(node.op, Decoder):
                self.check_answer(name, answers)
                continue
            if isinstance(node.op, Neuron | Decoder):
                found.append(self.stage(name))
                self.terms[name] = ((name, identity(self.sizes[name])),)
            elif isinstance(node.op, AccumulatedMaxPool):
                self.check_pool(name)
            elif isinstance(node.op, Stateful):
                raise UnsupportedError(f"it has no form for {type(node.op).__name__} {place(node)}")
            else:
                self.linear(name)
        return found

    def check_answer(self, name: str, answers: set[str]) -> None:
        """Raise UnsupportedError if what follows a decoder reads anything else too."""
        node = self.network.nodes[name]
        if not all(source in answers for source in node.inputs):
            raise UnsupportedError(f"{place(node)} joins the answer with a value that is none")

    def stage(self, name: str) -> Stage:
        """Return the stage of a node of neurons or a decoder."""
        node = self.network.nodes[name]
        op, drive, pool = node.op, node.inputs[0], (1, 1)
        assert isinstance(op, Neuron | Decoder)
        if isinstance(op, Neuron):
            self.check_neuron(name, op)
        before = self.network.nodes[drive].op
        if isinstance(before, AccumulatedMaxPool):
            assert isinstance(before.pool, MaxPool)
            pool, drive = (before.pool.kernel[0], before.pool.kernel[1]), self.network.nodes[drive].inputs[0]
        try:
            shape = image(self.sizes[name])
        except NotLinearError as error:
            raise UnsupportedError(str(error)) from None
        terms = self.terms.get(drive, ())
        rows = sum(kernel.weight.shape[-2] * kernel.weight.shape[-1] * kernel.before[0] for _, kernel in terms)
        if rows > MOST_ROWS:
            raise UnsupportedError(f"{place(node)} has {rows:,} inputs per neuron")
        return Stage(name, op, drive, shape, terms, pool)

    def check_neuron(self, name: str, op: Neuron) -> None:
        """Raise UnsupportedError for neurons that the engine does not know."""
        node = self.network.nodes[name]
        if type(op) not in self.kinds:
            raise UnsupportedError(f"it has no form for {type(op).__name__} {place(node)}")
        if op.height is not None and len(op.height) > 1:
            raise UnsupportedError(f"the spikes of {place(node)} change their height from step to step")

    def check_pool(self, name: str) -> None:
        """Raise UnsupportedError unless a max-pool stands right before neurons and its windows tile the image."""
        node = self.network.nodes[name]
        op = node.op
        assert isinstance(op, AccumulatedMaxPool)
        reader = self.network.only_user(name)
        after = None if reader is None else self.network.nodes[reader].op
        fits = type(after) is IntegrateAndFire and not after.delay and not op.of_spikes and not op.restarts
        if not fits or not tiling(op.pool):
            raise UnsupportedError(f"it has no form for the max-pool {place(node)}")

    def linear(self, name: str) -> None:
        """Find the form of a node that keeps no state, if spikes reach it."""
        node = self.network.nodes[name]
        parts = [self.terms.get(source, ()) for source in node.inputs]
        if not any(parts):
            return
        after = self.sizes[name]
        try:
            if isinstance(node.op, Add):
                self.terms[name] = self.added(node.op, node.inputs, parts, after)
            elif isinstance(node.op, Concatenate):
                self.terms[name] = self.joined(node.op, node.inputs, parts, after)
            else:
                self.terms[name] = tuple((source, then(kernel, node.op, after)) for source, kernel in parts[0])
        except NotLinearError as error:
            raise UnsupportedError(f"the way to {place(node)} is no convolution of spikes: {error}") from None

    def added(self, op: Add, inputs: Iterable[str], parts: list, after: tuple[int, ...]) -> tuple[tuple[str, Kernel], ...]:
        """Return the terms of a sum."""
        if any(self.sizes[source] != after for source, terms in zip(inputs, parts, strict=True) if terms):
            raise NotLinearError("a sum that repeats values")
        scaled = [(s, dataclasses.replace(k, weight=k.weight * op.scale)) for s, k in parts[1]] if op.scale != 1 else parts[1]
        return (*parts[0], *scaled)

    def joined(
        self, op: Concatenate, inputs: Iterable[str], parts: list, after: tuple[int, ...]
    ) -> tuple[tuple[str, Kernel], ...]:
        """Return the terms of channels that are joined."""
        if op.axis != 1:
            raise NotLinearError("a concatenation along other axes than the channels")
        first, found = 0, []
        for source, terms in zip(inputs, parts, strict=True):
            channels = self.sizes[source][0]
            for origin, kernel in terms:
                if kernel.flat:
                    raise NotLinearError("a concatenation of vectors")
                dense = kernel.dense()
                weight = dense.new_zeros(after[0], *dense.shape[1:])
                weight[first : first + channels] = dense
                found.append((origin, dataclasses.replace(kernel, weight=weight, after=image(after))))
            first += channels
        return tuple(found)


def tiling(pool: Op) -> bool:
    """Whether the windows of a max-pool tile the image and fit a tile."""
    return (
        isinstance(pool, MaxPool)
        and tuple(pool.kernel) == tuple(pool.stride)
        and tuple(pool.kernel) in WINDOWS
        and not any(pool.padding)
        and not pool.ceil_mode
        and set(pool.dilation) == {1}
    )


def lowered(network: Network) -> list[Stage]:
    """Return the stages of a spiking network, checked against it on random spikes.

    Weights are multiplied by the heights of the spikes that they meet. Raises UnsupportedError with the reason if the engine
    has no form for it.
    """
    stages = Lowering(network).stages()
    check_forms(network, stages)
    return [scaled(stage, {other.name: other for other in stages}) for stage in stages]


def scaled(stage: Stage, stages: Mapping[str, Stage]) -> Stage:
    """Return a stage whose weights are multiplied by the heights of the spikes that they meet."""
    terms = []
    for source, kernel in stage.terms:
        height = worth(stages[source].op).double().flatten()
        if height.numel() not in (1, kernel.before[0]):
            raise UnsupportedError(f"the spikes of {source!r} differ in height from place to place")
        factor = height.reshape(-1, 1, 1) if kernel.diagonal else height.reshape(1, -1, 1, 1)
        terms.append((source, dataclasses.replace(kernel, weight=kernel.weight * factor)))
    return dataclasses.replace(stage, terms=tuple(terms))


def worth(op: Op) -> Tensor:
    """Return what a spike of neurons is worth, broadcasting against one sample."""
    assert isinstance(op, Neuron)
    return op.threshold if op.height is None else op.height[0]


def check_forms(network: Network, stages: list[Stage]) -> None:
    """Raise UnsupportedError if a stage gets anything else than its terms say, tried on one sample of random spikes."""
    double = network.to("cpu", torch.float64)
    sizes, draw = shapes(network), torch.Generator().manual_seed(0)
    spikes = {s.name: (torch.rand((1, *sizes[s.name]), generator=draw, dtype=torch.float64) < 0.5).double() for s in stages}  # noqa: PLR2004
    driven = [stage.drive for stage in stages]
    silent = drives(double, driven, {name: torch.zeros_like(x) for name, x in spikes.items()}, {})
    loud = drives(double, driven, spikes, {})
    for stage in stages:
        expected = loud[stage.drive] - silent[stage.drive]
        found = torch.zeros_like(expected)
        for source, kernel in stage.terms:
            found += kernel(spikes[source].reshape(1, *kernel.before)).reshape(expected.shape)
        if not torch.allclose(found, expected, rtol=0, atol=TOLERANCE * (1 + float(expected.abs().max()))):
            raise UnsupportedError(f"what reaches {stage.name!r} is no sum of convolutions of spikes")


def whole_unit(stage: Stage, constant: Tensor, time_steps: int, coarsest: int = 0) -> int:
    """Return the unit, at least 2^coarsest, in which all numbers of a stage are whole and sums fit 32 bits; 0 if none is."""
    values = [kernel.weight for _, kernel in stage.terms] + [constant.double()]
    if isinstance(stage.op, Neuron):
        retract = stage.op.retract if isinstance(stage.op, Ternary) else 0.0
        values += [
            stage.op.threshold.double(),
            stage.op.first_potential().double(),
            stage.op.threshold.double() * retract,
        ]
        values += [] if stage.op.bias is None else [stage.op.bias.double()]
    for bits in range(coarsest, FINEST + 1):
        if isinstance(stage.op, IntegerIntegrateAndFire) and bits:
            return 0  # the bits of its potentials are those of whole numbers
        if all(bool((value * 2**bits == (value * 2**bits).round()).all()) for value in values):
            return 2**bits if largest_sum(stage, constant) * 2**bits * time_steps < LARGEST_SUM else 0
    return 0


def largest_sum(stage: Stage, constant: Tensor) -> float:
    """Return the largest magnitude that can reach a neuron in one step."""
    weights = sum(float(kernel.weight.abs().flatten(1).sum(1).max()) for _, kernel in stage.terms)
    bias = 0.0 if not isinstance(stage.op, Neuron) or stage.op.bias is None else float(stage.op.bias.abs().max())
    return weights + float(constant.abs().max()) + bias
