"""The output neuron: it integrates and never fires."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from transpike.ops import Identity
from transpike.parts import Decoder, Op, State


class Accumulated(State):
    """The accumulated potential [batch, ...] after `steps` steps; after a delay, what accumulated since its end."""

    def __init__(self, potential: Tensor) -> None:
        self.potential: Tensor = potential
        self.steps = 0


@dataclass(frozen=True, eq=False)
class Integrator(Decoder):
    """Decode a temporal signal as its running mean: y[t] = (x[1] + ... + x[t]) / t, the accumulated potential over t.

    With a `delay` of d steps the sum starts anew after them: y[t] = (x[d+1] + ... + x[t]) / (t - d) for t > d. Until then it
    is the running mean of all steps, so that there is an answer at any time.
    """

    keeps: ClassVar[frozenset[str]] = frozenset({"potential"})

    delay: int = field(default=0, kw_only=True)

    def start(self, x: Tensor, first_sample: int = 0) -> Accumulated:  # noqa: ARG002 - deterministic
        return Accumulated(torch.zeros_like(x))

    def step(self, state: Accumulated, x: Tensor) -> Tensor:
        if state.steps == self.delay:
            state.potential.zero_()
        state.steps += 1
        counted = state.steps - self.delay if state.steps > self.delay else state.steps
        return state.potential.add_(x) / counted

    def over_time(self, x: Tensor) -> Tensor:
        """Return what `step` gives for each of the inputs x [time, batch, ...] from the start, by the same sums."""
        late = min(self.delay, len(x))
        parts = []
        for part in (x[:late], x[late:]) if late else (x,):
            sums = torch.from_numpy(np.add.accumulate(part.cpu().numpy(), axis=0))  # one after the other, unlike cumsum
            steps = torch.arange(1, len(part) + 1, dtype=x.dtype).reshape(-1, *[1] * (x.ndim - 1))
            parts.append(sums.div_(steps))
        return torch.cat(parts) if late else parts[0]

    def analogue(self) -> Op:
        return Identity()
