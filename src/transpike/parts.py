"""What every part of a network is: an op, perhaps one that keeps state from one time step to the next."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, ClassVar, Self

import torch
from torch import Tensor


class Trait(Enum):
    """How an op stands to averaging over time; the conversion follows from it."""

    LINEAR = "linear"  # commutes with averaging over time: left untouched
    ACTIVATION = "activation"  # pointwise and non-linear: becomes neurons
    COUPLED = "coupled"  # several values at once, non-linear: needs a rule
    DISCRETE = "discrete"  # acts on whole numbers that come from outside, such as words: done once, before any neuron
    STATIC = "static"  # depends on no input, or is the input itself


@dataclass(frozen=True, eq=False)
class Op:
    """A function of tensors whose axis 0 is the batch; its fields are its only settings."""

    __call__: ClassVar[Callable[..., Tensor]]

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Yield the name and value of each tensor field, those of nested ops as `outer.inner`."""
        for field in fields_of(type(self)):  # type: ignore[arg-type]
            value = getattr(self, field)
            if isinstance(value, Tensor):
                yield field, value
            elif isinstance(value, Op):
                yield from ((f"{field}.{name}", tensor) for name, tensor in value.tensors())

    def analogue(self) -> Op:
        """Return the op that the ANN has in this place: itself, unless a conversion changed it."""
        return self

    def map_tensors(self, change: Callable[[Tensor], Tensor]) -> Self:
        """Return the same op with `change` applied to each tensor field."""
        changes: dict[str, Any] = {}
        for field in fields_of(type(self)):  # type: ignore[arg-type]
            value = getattr(self, field)
            if isinstance(value, Tensor):
                changes[field] = change(value)
            elif isinstance(value, Op):
                changes[field] = value.map_tensors(change)
        return dataclasses.replace(self, **changes) if changes else self


@cache
def fields_of(kind: type[Op]) -> tuple[str, ...]:
    """Return the names of the fields of a kind of op."""
    return tuple(field.name for field in dataclasses.fields(kind))


class State:
    """What a stateful op remembers between time steps; `count` is the number of spikes of each unit so far.

    `decided` is the step [batch] at which a decoder settled on its answer, 0 while it has not.
    """

    shared: ClassVar[frozenset[str]] = frozenset()  # names of tensors in it that belong to no sample

    count: Tensor | None = None
    potential: Tensor | None = None
    decided: Tensor | None = None

    def keep(self, rows: Tensor, batch: int) -> None:
        """Go on with the samples at `rows` [kept] of the `batch` so far, and forget the others.

        Tensors with an entry for each sample are cut; two names of one tensor remain two names of one.
        """
        cut: dict[int, Tensor] = {}
        for name, value in list(vars(self).items()):
            if isinstance(value, Tensor) and name not in self.shared and value.ndim and len(value) == batch:
                if id(value) not in cut:
                    cut[id(value)] = rows_of(value, rows)
                setattr(self, name, cut[id(value)])

    def transmitted(self) -> Tensor | None:
        """Return the sum of what each neuron sent so far, or since it restarted [batch, ...]; None where no neuron is."""
        return None


@dataclass(frozen=True, eq=False)
class Stateful(Op):
    """An op that is stepped through time: neurons, encoders, read-outs, pooling of accumulated values."""

    keeps: ClassVar[frozenset[str]] = frozenset()  # which of "count" (it spikes) and "potential" its state holds
    routes: ClassVar[bool] = False  # whether it passes on what it reads: spikes as spikes, currents as currents
    copies: ClassVar[int] = 4  # tensors of the size of its input or output that its state and one step hold at worst
    joins: ClassVar[bool] = False  # whether the ANN has all of its inputs; else further ones are signals in time alone

    def start(self, x: Tensor, first_sample: int = 0) -> State:
        """Return the state before the first step, for inputs shaped like `x` [batch, ...].

        `first_sample` is the position of `x[0]` in the whole run, so that random codes do not depend on chunking.
        """
        raise NotImplementedError

    def step(self, state: Any, x: Tensor) -> Tensor:
        """Advance `state` by one time step of input `x` [batch, ...] and return what is sent in that step.

        Some kinds take further inputs, signals in time that the ANN does not have.
        The returned tensor may be a buffer of the state: it is valid until the next call.
        """
        raise NotImplementedError

    def of_means(self, *means: Tensor) -> Tensor:
        """Return the mean of what is sent over a window, given those of the inputs: what the analogue does to them."""
        found: Tensor = self.analogue()(*means)
        return found

    def analogue(self) -> Op:
        """Return the op that this one approaches as the number of time steps grows."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Decoder(Stateful):
    """A stateful op whose value is the answer so far; what follows acts on decoded values."""


@dataclass(frozen=True)
class Finding:
    """Something worth knowing about a network or a run, in words, with what to do about it."""

    kind: str
    message: str
    advice: str
    node: str | None = None
    severity: str = "note"  # "note", "warning"


@dataclass(frozen=True)
class Method:
    """What a reader has to know about how a network was converted; its recipe, without the passes.

    `bits_per_spike` and `extra_steps` (steps before those that the answer is read from, part of its latency) are measured
    on the converted network.
    """

    name: str
    title: str
    citation: str
    schedule: str = "concurrent"  # all layers integrate and fire at every step: latency = time steps
    bits_per_spike: int = 1
    limits: str = ""
    extra_steps: int = 0


def rows_of(values: Tensor, rows: Tensor) -> Tensor:
    """Return the entries `rows` [kept] of a tensor [batch, ...], laid out in memory as it is."""
    return torch.index_select(values, 0, rows, out=torch.empty_like(values[: len(rows)]))


def full_map(values: Tensor, like: Tensor) -> Tensor:
    """Spread per-channel `values` over one sample shaped and laid out like `like[0]`, giving [1, ...].

    A materialised map keeps the inner loops of the neuron update contiguous in any memory layout.
    """
    spread = torch.empty_like(like[:1])
    spread.copy_(values.to(like.device, like.dtype).expand_as(spread))
    return spread
