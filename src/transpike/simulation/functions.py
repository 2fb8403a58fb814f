"""Functions of signals through a stretch of time, by compiled loops where there are some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from transpike.neurons import DifferenceFunction, FunctionOfSignals
from transpike.neurons.functions import Decoded
from transpike.simulation.playing import SCANNED
from transpike.simulation.scan import implementation
from transpike.simulation.scan.plain import scan as plain


def computed(op: FunctionOfSignals, state: Decoded, inputs: Sequence[Tensor], steps: int) -> Tensor:
    """Return what a function of signals sends in `steps` steps [time, batch, ...], with one call of its op."""
    first = inputs[0]
    able = first.device.type == "cpu" and first.dtype in SCANNED and implementation("cpu") is not plain
    if not able or type(op) is not DifferenceFunction:
        return op.stretch(state, inputs, steps)
    return Compiled(op, state).stretch(inputs, steps)


class Compiled:
    """A function of differentially coded signals; the values in its state are changed in place."""

    def __init__(self, op: DifferenceFunction, state: Decoded) -> None:
        self.op, self.state = op, state

    def stretch(self, inputs: Sequence[Tensor], steps: int) -> Tensor:
        """As `FunctionOfSignals.stretch`."""
        from transpike.simulation.scan import streams  # which needs numba

        state, batch = self.state, max(x.shape[1] for x in inputs)
        if not state.values:
            state.values = [None if i in self.op.held else self.nothing(x) for i, x in enumerate(inputs)]
        folded = []
        for x, value in zip(inputs, state.values, strict=True):
            if value is None:
                alone = x.shape[1] == 1  # which broadcasts by itself
                folded.append(x[0] if alone else x.expand(steps, batch, *x.shape[2:]).flatten(0, 1))
                continue
            whole = streams.decoded(x if streams.lies_flat(x) else x.contiguous(), value, state.steps)
            folded.append(whole.expand(steps, batch, *x.shape[2:]).flatten(0, 1))
        now: Tensor = self.op.op(*folded).contiguous().unflatten(0, (steps, batch))
        if state.last is None:
            state.last = self.nothing(now)
        streams.sent(now, state.last, state.steps)
        state.steps += steps
        return now

    @staticmethod
    def nothing(x: Any) -> Tensor:
        """Return zeros [values] for a stream [time, batch, ...]."""
        return torch.zeros(x[0].numel(), dtype=x.dtype)
