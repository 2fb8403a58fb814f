"""Take ops that keep a state through several time steps: in one fused scan, or step by step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from itertools import chain
from typing import Any, Protocol

import torch
from torch import Tensor

from transpike.neurons import Neuron
from transpike.neurons.base import Membrane, row
from transpike.neurons.differential import DifferenceNeuron
from transpike.parts import State, Stateful, full_map
from transpike.simulation.decoded import Follower
from transpike.simulation.scan import Rule, implementation, rule_of
from transpike.simulation.scan.plain import scan as plain
from transpike.simulation.stepper import channels_last

SCANNED = (torch.float32, torch.float64)
IMAGES = 4  # axes of [batch, channels, height, width]


class Player(Protocol):
    """An op with its state, for one block of samples."""

    state: Any

    def play(self, tiles: Iterable[Tensor], steps: int, stops: Collection[int], look: Callable[[int], None]) -> Tensor:
        """Return what is sent in each of `steps` time steps [time, batch, ...], for the input [time, batch, ...] in tiles.

        `look(t)` is called after each step t in `stops`, counted from 1 within these steps.
        """
        ...


def player(op: Stateful, x: Tensor, first_sample: int) -> Player:
    """Return an op before its first step, for inputs shaped like `x` [batch, ...]."""
    if compiles_differences(op, x):
        return Differences(op, x)  # type: ignore[arg-type]
    x = channels_last(x)
    state = op.start(x, first_sample)
    rule = rule_of(op)
    if rule is None or x.dtype not in SCANNED:
        return Stepped(op, state)
    assert isinstance(op, Neuron)
    assert isinstance(state, Membrane)
    return Scanned(op, rule, state)


def compiles_differences(op: Stateful, x: Tensor) -> bool:
    """Whether there are compiled loops for difference neurons of this kind on this device."""
    return (
        type(op) in {DifferenceNeuron, Follower}
        and x.device.type == "cpu"
        and x.dtype in SCANNED
        and implementation("cpu") is not plain
    )


class Stepped:
    """Any op: it makes its own steps."""

    def __init__(self, op: Stateful, state: State) -> None:
        self.op = op
        self.state = state

    def play(self, tiles: Iterable[Tensor], steps: int, stops: Collection[int], look: Callable[[int], None]) -> Tensor:
        sent: Tensor | None = None
        for t, x in enumerate(chain.from_iterable(tiles)):
            value = self.op.step(self.state, x)
            if sent is None:
                sent = room(value, steps)
            sent[t] = value
            if t + 1 in stops:
                look(t + 1)
        assert sent is not None
        return sent


class Differences:
    """Difference neurons, in compiled loops; images stay channels-last, attention heads as they are."""

    def __init__(self, op: DifferenceNeuron | Follower, x: Tensor) -> None:
        self.neuron, self.follows = (op.neuron, True) if isinstance(op, Follower) else (op, False)
        self.images = x.ndim == IMAGES and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
        self.state = op.start(x if self.images else x.contiguous(), blank=True)
        self.threshold, self.potential, self.total, self.count = (
            self.flat(part[None])[0]
            for part in (self.state.threshold, self.state.potential, self.state.total, self.state.count)
        )

    def flat(self, x: Tensor) -> Tensor:
        """Return [time, neurons] of [time, batch, ...], in the order of the memory of the states."""
        return flat(x) if self.images else x.reshape(len(x), -1)

    def play(self, tiles: Iterable[Tensor], steps: int, stops: Collection[int], look: Callable[[int], None]) -> Tensor:
        from transpike.simulation.scan.differences import scan_differences, scan_followers  # which need numba

        scan = scan_followers if self.follows else scan_differences
        like = self.state.potential
        sent = room(like, steps) if self.images else like.new_empty((steps, *like.shape))
        trains = self.flat(sent)
        end = 0
        for current in tiles:
            begin, end = end, end + len(current)
            currents = self.flat(current[:1] if current.stride(0) == 0 else current)
            first = begin
            for last in sorted({step for step in stops if begin < step < end} | {end}):
                received = currents if len(currents) == 1 else currents[first - begin : last - begin]
                unseen = self.follows and last not in stops  # then potentials of followers need not be written
                potential = self.potential[:0] if unseen else self.potential
                kept = (self.threshold, potential, self.total, self.count)
                scan(received, *kept, trains[first:last], self.neuron, self.state.steps)
                self.state.steps += last - first
                if last in stops:
                    look(last)
                first = last
        return sent


class Scanned:
    """Neurons that the fused scan knows."""

    def __init__(self, op: Neuron, rule: Rule, state: Membrane) -> None:
        self.op = op
        self.rule = rule
        self.state = state
        self.scan = implementation(state.potential.device.type)
        self.threshold = flat(state.threshold[None])[0]
        self.bias = None if op.bias is None or len(op.bias) > 1 else self.spread(op.bias[:1])
        self.height = flat(state.height[None])
        net, accumulated = (state.net if rule.signed else None), state.accumulated
        self.kept = [None if part is None else flat(part[None])[0] for part in (state.potential, state.count, net, accumulated)]

    def play(self, tiles: Iterable[Tensor], steps: int, stops: Collection[int], look: Callable[[int], None]) -> Tensor:
        sent = room(self.state.potential, steps)
        trains = flat(sent)
        quiet = self.op.delay - self.state.steps
        end = 0
        for current in tiles:
            begin, end = end, end + len(current)
            currents = flat(current[:1] if current.stride(0) == 0 else current)
            first = begin
            for last in sorted({step for step in (*stops, quiet) if begin < step < end} | {end}):
                received = currents if len(currents) == 1 else currents[first - begin : last - begin]
                self.fire(received, trains[first:last], silent=last <= quiet)
                if last in stops:
                    look(last)
                first = last
        return sent

    def fire(self, current: Tensor, sent: Tensor, *, silent: bool) -> None:
        """Make some steps: current [time or 1, neurons], sent [time, neurons]."""
        steps = len(sent)
        if silent:
            sent.zero_()
        else:
            bias = self.rows(self.op.bias, steps) if self.bias is None else self.bias
            height = self.rows(self.op.height, steps) if self.state.accumulated is not None else self.height
            self.scan(current, bias, self.threshold, height, *self.kept, sent, self.rule.retract, self.rule.forgives_debt)
        self.state.steps += steps

    def rows(self, table: Tensor | None, steps: int) -> Tensor | None:
        """Return the rows of a table for the next steps [time, neurons of a sample]."""
        if table is None:
            return None
        first = self.state.steps + 1
        return self.spread(torch.stack([row(table, step) for step in range(first, first + steps)]))

    def spread(self, rows: Tensor) -> Tensor:
        """Spread rows that broadcast against a sample over its neurons."""
        return torch.cat([flat(full_map(values, self.state.potential)[None]) for values in rows])


def room(value: Tensor, steps: int) -> Tensor:
    """Return memory for `steps` values like `value` [batch, ...], images channels-last: [time, batch, ...]."""
    layout = torch.channels_last if value.ndim == IMAGES else torch.contiguous_format
    shape = (steps * len(value), *value.shape[1:])
    return torch.empty(shape, dtype=value.dtype, device=value.device, memory_format=layout).view(steps, *value.shape)


def flat(x: Tensor) -> Tensor:
    """Return [time, neurons] of [time, batch, ...], in the order of the memory: channels last, without a copy."""
    return (x.movedim(2, -1) if x.ndim == IMAGES + 1 else x).reshape(len(x), -1)
