"""Walk a spiking network layer by layer, each through a stretch of time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain

import torch
from torch import Tensor

from transpike.codings import BiasOnce, DifferenceInput
from transpike.network import Network, Node
from transpike.neurons import FunctionOfSignals
from transpike.neurons.functions import Decoded
from transpike.ops import Add, Convolution, Input, Linear
from transpike.parts import Stateful
from transpike.simulation.functions import computed
from transpike.simulation.joins import Join
from transpike.simulation.playing import IMAGES, Player, player
from transpike.simulation.stages import Stage, Stages
from transpike.simulation.stepper import channels_last
from transpike.simulation.whole import WholeConvolution


class Observer:
    """Sees a walk; this one wants to see nothing."""

    def stops(self, name: str) -> Collection[int]:  # noqa: ARG002 - nowhere
        """Return the steps, counted from 1, after which to see the state of a node."""
        return ()

    def look(self, name: str, step: int) -> None:
        """See the state of a node after a step."""

    def keep(self, name: str, value: Tensor) -> None:
        """See what a node sends [time, batch, ...] in the steps of a stretch; only kept values are seen."""


class Layers:
    """The state of a spiking network for one block of samples between two stretches of time.

    A static value is [batch, ...], a temporal one [time, batch, ...]; ops without a state see time folded into the batch.
    Values that pass by between two kept ones are computed `tile` bytes at a time.
    """

    def __init__(
        self,
        network: Network,
        stages: Stages,
        whole: Mapping[str, WholeConvolution],
        joins: Mapping[str, Join],
        inputs: Sequence[Tensor],
        first_sample: int,
        tile: int,
    ) -> None:
        self.network = network
        self.stages = stages
        self.whole = whole
        self.joins = {name: join for name, join in joins.items() if join.shortcut not in stages.static | stages.kept}
        self.first_sample = first_sample
        self.tile = tile // (inputs[0].shape[0] * inputs[0].element_size())
        self.players: dict[str, Player] = {}
        self.functions: dict[str, Decoded] = {}
        self.steps = 0
        self.values: dict[str, Tensor] = {}
        given = dict(zip(network.inputs, map(channels_last, inputs), strict=True))
        self.static: dict[str, Tensor] = {}
        for name, node in network.nodes.items():
            if name in stages.static:
                sources = [self.static[source] for source in node.inputs]
                self.static[name] = given[name] if isinstance(node.op, Input) else node.op(*sources)

    def advance(self, steps: int, observer: Observer) -> None:
        """Advance by a stretch of `steps` time steps, of which the observer sees all."""
        for stage in self.stages.order:
            op = self.network.nodes[stage.name].op
            if isinstance(op, FunctionOfSignals):
                value = self.computed(stage.name, op, steps)
            elif isinstance(op, BiasOnce):
                value = self.biased(stage.name, op, steps)
            elif isinstance(op, DifferenceInput) and self.network.nodes[stage.name].inputs[0] in self.stages.static:
                value = self.entered(self.static[self.network.nodes[stage.name].inputs[0]], steps)
            elif isinstance(op, Stateful):
                value = self.play(stage, steps, observer)
            else:
                value = self.combined(stage.name, 0, steps)
            observer.keep(stage.name, value)
            self.values[stage.name] = value
            for done in stage.frees:
                del self.values[done]
        self.steps += steps

    def play(self, stage: Stage, steps: int, observer: Observer) -> Tensor:
        """Return what an op with a state sends [time, batch, ...]."""
        node = self.network.nodes[stage.name]
        assert isinstance(node.op, Stateful)
        tiles = self.tiles(node.inputs[0], steps, max(1, self.tile // stage.width))
        first = next(tiles)
        if stage.name not in self.players:
            self.players[stage.name] = player(node.op, first[0], self.first_sample)
        before = self.steps
        stops = [step - before for step in observer.stops(stage.name) if before < step <= before + steps]
        look = partial(self.seen, observer, stage.name)
        return self.players[stage.name].play(chain([first], tiles), steps, stops, look)

    def computed(self, name: str, op: FunctionOfSignals, steps: int) -> Tensor:
        """Return what a function of signals sends [time, batch, ...], for the whole stretch at once."""
        state = self.functions.setdefault(name, Decoded())
        sources = self.network.nodes[name].inputs
        return computed(op, state, [self.value(source, 0, steps) for source in sources], steps)

    def entered(self, x: Tensor, steps: int) -> Tensor:
        """Return a value that never changes as a differential stream [time, batch, ...]: sent once, at the very first step."""
        value = x.new_zeros((steps, *x.shape))
        if self.steps == 0:
            value[0] = x
        return value

    def biased(self, name: str, op: BiasOnce, steps: int) -> Tensor:
        """Return a value [time, batch, ...] with a bias at the very first step; later ones pass by as they are."""
        (source,) = self.network.nodes[name].inputs
        value = self.value(source, 0, steps)
        if self.steps:
            return value
        others = {kept.untyped_storage().data_ptr() for kept in (*self.values.values(), *self.static.values())}
        if value.untyped_storage().data_ptr() in others:
            images = value[0].ndim == IMAGES and value[0].is_contiguous(memory_format=torch.channels_last)
            value = value.clone(memory_format=torch.preserve_format if images else torch.contiguous_format)
        value[0] += op.bias
        return value

    def seen(self, observer: Observer, name: str, step: int) -> None:
        """Let the observer look at a state after a step of this stretch."""
        observer.look(name, self.steps + step)

    def tiles(self, name: str, steps: int, tile: int) -> Iterator[Tensor]:
        """Yield the value [time, batch, ...] of a node in this stretch, `tile` steps at a time; one that is there at once."""
        size = steps if name in self.stages.static or name in self.stages.kept else tile
        for begin in range(0, steps, size):
            yield self.value(name, begin, min(begin + size, steps))

    def value(self, name: str, begin: int, end: int) -> Tensor:
        """Return the value [time, batch, ...] of a node in the steps `begin` to `end` of this stretch."""
        if name in self.stages.static:
            return self.static[name].expand(end - begin, *self.static[name].shape)
        return self.values[name][begin:end] if name in self.stages.kept else self.combined(name, begin, end)

    def combined(self, name: str, begin: int, end: int) -> Tensor:
        """Return the value [time, batch, ...] of an op without a state, computed for all these steps at once."""
        node, join = self.network.nodes[name], self.joins.get(name)
        sources = node.inputs if join is None else (join.first, join.spikes)
        values = {source: self.value(source, begin, end) for source in sources}
        batch = max(value.shape[1] for value in values.values())
        folded = [self.folded(source, values[source], batch) for source in sources]
        in_place = self.adds_in_place(node, sources, values)
        if join is not None:
            first, spikes = folded
            result = first.addcmul_(spikes, join.scale) if in_place else torch.addcmul(first, spikes, join.scale)
        else:
            result = folded[0].add_(folded[1]) if in_place else self.whole.get(name, node.op)(*folded)
        return result.unflatten(0, (end - begin, batch))

    def folded(self, name: str, value: Tensor, batch: int) -> Tensor:
        """Return [time, batch, ...] as [time * batch, ...]; a static value of one sample repeats by itself."""
        if name in self.stages.static and value.shape[1] == 1:
            return self.static[name]
        return value.expand(value.shape[0], batch, *value.shape[2:]).flatten(0, 1)

    def adds_in_place(self, node: Node, sources: Sequence[str], values: Mapping[str, Tensor]) -> bool:
        """Whether a sum may overwrite its first summand: a new tensor of its size that nobody else reads."""
        if not isinstance(node.op, Add) or node.op.scale != 1:
            return False
        first, second = sources
        passes = not {first, second} & self.stages.static and first not in self.stages.kept
        new = passes and isinstance(self.network.nodes[first].op, Linear | Convolution)
        return new and values[first].shape == values[second].shape
