"""Functions of signals in time: what is sent stands for the ANN's function of what the inputs stand for, at every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.parts import Op, State, Stateful, rows_of


class Decoded(State):
    """What the inputs stand for after `steps` steps, and the function of that."""

    def __init__(self) -> None:
        self.steps = 0
        self.values: list[Tensor | None] = []
        self.last: Tensor | None = None

    def keep(self, rows: Tensor, batch: int) -> None:
        super().keep(rows, batch)
        self.values = [rows_of(v, rows) if v is not None and len(v) == batch else v for v in self.values]


@dataclass(frozen=True, eq=False)
class FunctionOfSignals(Stateful):
    """An op of one or several signals, computed on numbers at every step: no spikes do that, and reports count it apart.

    The inputs at the positions `held` do not change over time: they are given as they are, not as signals.
    """

    joins: ClassVar[bool] = True

    op: Op
    held: tuple[int, ...] = ()

    def start(self, x: Tensor, first_sample: int = 0) -> Decoded:  # noqa: ARG002 - deterministic
        return Decoded()

    def step(self, state: Decoded, *inputs: Tensor) -> Tensor:
        state.steps += 1
        before = state.values or [None] * len(inputs)
        given = [None if i in self.held else inputs[i] for i in range(len(inputs))]
        state.values = [
            None if x is None else self.decoded(value, x, state.steps) for value, x in zip(before, given, strict=True)
        ]
        now: Tensor = self.op(*[x if value is None else value for value, x in zip(state.values, inputs, strict=True)])
        sent = self.change(state.last, now, state.steps)
        state.last = now
        return sent

    def stretch(self, state: Decoded, inputs: Sequence[Tensor], steps: int) -> Tensor:
        """Make `steps` steps with one call of the op, for inputs [time, batch, ...]; returns alike."""
        batch = max(x.shape[1] for x in inputs)
        before = state.values or [None] * len(inputs)
        state.values, folded = [], []
        for i, x in enumerate(inputs):
            values = None if i in self.held else self.over_time(before[i], x, state.steps)
            state.values.append(None if values is None else values[-1])
            whole = x if values is None else values
            alone = values is None and x.shape[1] == 1  # which broadcasts by itself
            folded.append(x[0] if alone else whole.expand(steps, batch, *x.shape[2:]).flatten(0, 1))
        now: Tensor = self.op(*folded).unflatten(0, (steps, batch))
        sent = torch.empty_like(now)
        for k in range(steps):
            self.change(now[k - 1] if k else state.last, now[k], state.steps + k + 1, sent[k])
        state.last, state.steps = now[-1], state.steps + steps
        return sent

    def over_time(self, before: Tensor | None, x: Tensor, steps: int) -> Tensor:
        """Return what an input [time, batch, ...] stands for after each step, given that after the first `steps`."""
        values = torch.empty_like(x)
        for k in range(len(x)):
            before = self.decoded(before, x[k], steps + k + 1, values[k])
        return values

    def decoded(self, before: Tensor | None, x: Tensor, step: int, out: Tensor | None = None) -> Tensor:
        """Return, in `out` or a new tensor, what an input stands for after `step` steps, given that before and what comes."""
        raise NotImplementedError

    def change(self, before: Tensor | None, now: Tensor, step: int, out: Tensor | None = None) -> Tensor:
        """Return, in `out` if given, what to send to stand for `now` after `step` steps, and for `before` until then."""
        raise NotImplementedError

    def analogue(self) -> Op:
        return self.op


@dataclass(frozen=True, eq=False)
class MeanFunction(FunctionOfSignals):
    """Send the increments of t f(mean inputs): the mean of what is sent is f of the mean inputs, exactly, at every step.

    With X[t] the sums of the inputs up to t: y[t] = t f(X[t] / t) - (t-1) f(X[t-1] / (t-1)), for gates, norms and attention
    between spiking layers. In codes with windows it is f of the decoded values.
    Source: Huang et al. 2024 (ACM MM, ECMT: expectation compensation), for products too.
    """

    def decoded(self, before: Tensor | None, x: Tensor, step: int, out: Tensor | None = None) -> Tensor:
        return copied(x, out) if before is None else torch.lerp(before, x, 1 / step, out=out)

    def change(self, before: Tensor | None, now: Tensor, step: int, out: Tensor | None = None) -> Tensor:
        return copied(now, out) if before is None else torch.lerp(before, now, step, out=out)


@dataclass(frozen=True, eq=False)
class StepFunction(FunctionOfSignals):
    """Act on each step by itself: y[t] = f(x[t]).

    Right where the input is the same at each step. Else the mean of f is not f of the mean, and the difference does not fall
    with T. Source: the hybrid networks of a thesis on conversion, its section 4.4.
    """

    def decoded(self, before: Tensor | None, x: Tensor, step: int, out: Tensor | None = None) -> Tensor:  # noqa: ARG002
        return copied(x, out)

    def change(self, before: Tensor | None, now: Tensor, step: int, out: Tensor | None = None) -> Tensor:  # noqa: ARG002
        return copied(now, out)


@dataclass(frozen=True, eq=False)
class DifferenceFunction(FunctionOfSignals):
    """Send how f of the decoded inputs changes: under differential coding the decoded output is f of the decoded inputs.

    r[t] = r[t-1] + x[t] / t for each input;  y[t] = t (f(r[t]) - f(r[t-1])), and y[1] = f(r[1]), exactly, at every step.
    Constants in f are sent once, at the first step, and nothing is sent while the inputs are silent. For products of two
    signals the source computes the same as A[t] B[t] / t + A[t] RB[t-1] + RA[t-1] B[t], two products of matrices where this
    takes one. Source: Huang et al. 2025 (ICML, DCGS: differential graded units).
    """

    def decoded(self, before: Tensor | None, x: Tensor, step: int, out: Tensor | None = None) -> Tensor:
        return copied(x, out) if before is None else torch.add(before, x, alpha=1 / step, out=out)

    def change(self, before: Tensor | None, now: Tensor, step: int, out: Tensor | None = None) -> Tensor:
        return copied(now, out) if before is None else torch.sub(now, before, out=out).mul_(step)


def copied(x: Tensor, out: Tensor | None) -> Tensor:
    """Return `x` in `out`, or in a new tensor."""
    return x.clone() if out is None else out.copy_(x)


FUNCTIONS: tuple[type[FunctionOfSignals], ...] = (MeanFunction, StepFunction, DifferenceFunction)
