"""A decision as soon as one class leads: the answer of a sample stands from then on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.errors import ArgumentError
from transpike.neurons.integrator import Accumulated, Integrator


class Race(Accumulated):
    """The accumulated potential [batch, classes], the answer so far, and when each sample was decided [batch] (0: not yet)."""

    def __init__(self, potential: Tensor) -> None:
        super().__init__(potential)
        self.answer = torch.zeros_like(potential)
        self.decided: Tensor = torch.zeros(len(potential), dtype=torch.int64, device=potential.device)


@dataclass(frozen=True, eq=False)
class FirstToMargin(Integrator):
    """Decide for the first class whose accumulated potential leads all others by `margin`, and stay with it.

    V[t] = x[1] + ... + x[t]; the answer is V[t] / t until the largest V leads the second by at least `margin` (in the
    units of the output times steps), and stays that of this step. Each sample has a latency of its own: `decided` in the
    recording. With a `delay` the sum starts anew after it, and nothing is decided before. Inputs are [batch, classes].
    Raises ArgumentError unless margin is above 0.

    >>> x = torch.tensor([[1.0, 0.5]])
    >>> race = FirstToMargin(margin=1.0)
    >>> state = race.start(x)
    >>> [race.step(state, x).tolist() for x in (x, x, -4 * x)], state.decided.tolist()
    ([[[1.0, 0.5]], [[1.0, 0.5]], [[1.0, 0.5]]], [2])
    """

    margin: float = 1.0

    def __post_init__(self) -> None:
        if not self.margin > 0:
            raise ArgumentError(f"margin must be above 0, not {self.margin}: nobody leads at a margin of 0.")

    def lead(self, potential: Tensor) -> Tensor:
        """Return by how much the first class leads the second [...], of potentials [..., classes]."""
        first, second = potential.topk(2, dim=-1).values.unbind(-1)
        return first - second

    def start(self, x: Tensor, first_sample: int = 0) -> Race:  # noqa: ARG002 - deterministic
        return Race(torch.zeros_like(x))

    def step(self, state: Race, x: Tensor) -> Tensor:  # type: ignore[override]
        undecided = state.decided == 0
        running = super().step(state, x)
        state.answer = torch.where(undecided[:, None], running, state.answer)
        if state.steps > self.delay:
            state.decided.masked_fill_(undecided & (self.lead(state.potential) >= self.margin), state.steps)
        return state.answer


@dataclass(frozen=True, eq=False)
class EarlyExit(FirstToMargin):
    """`FirstToMargin` that ends the simulation of a sample at its decision, with what was promised of its margin.

    With the given `confidence` at most a share `loss` of all samples like the `samples` that calibrated it decide otherwise
    than after `time_steps` steps; see `transpike.early_exit`. With an infinite margin no sample ends early.
    """

    time_steps: int = 1
    loss: float = 0.0
    confidence: float = 0.0
    samples: int = 0
