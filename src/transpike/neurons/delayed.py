"""A line that holds signals back for some time steps."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.errors import positive_whole
from transpike.ops import Identity
from transpike.parts import Op, State, Stateful, rows_of


class Line(State):
    """What has entered a delay line and not left it yet, oldest first."""

    def __init__(self, waiting: deque[Tensor], empty: Tensor) -> None:
        self.waiting = waiting
        self.sent = empty

    def keep(self, rows: Tensor, batch: int) -> None:
        super().keep(rows, batch)
        self.waiting = deque(rows_of(signal, rows) for signal in self.waiting)


@dataclass(frozen=True, eq=False)
class Delayed(Stateful):
    """Pass on each signal `steps` time steps later: y[t] = x[t - steps], and 0 until then.

    Raises ArgumentError, where it is made, unless `steps` is a whole number from 1.
    """

    routes: ClassVar[bool] = True

    steps: int

    def __post_init__(self) -> None:
        positive_whole("steps", self.steps)

    @property
    def copies(self) -> int:  # type: ignore[override]  # of one line, not of all
        """How many tensors of the size of its input the state holds."""
        return self.steps + 1

    def start(self, x: Tensor, first_sample: int = 0) -> Line:  # noqa: ARG002 - deterministic
        return Line(deque(torch.zeros_like(x) for _ in range(self.steps)), torch.empty_like(x))

    def step(self, state: Line, x: Tensor) -> Tensor:
        free, state.sent = state.sent, state.waiting.popleft()
        state.waiting.append(free.copy_(x))
        return state.sent

    def analogue(self) -> Op:
        return Identity()
