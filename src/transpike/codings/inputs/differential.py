"""Differential coding: what enters a network whose neurons send changes of their estimated rate.

Any stream x[t] is decoded as r[t] = r[t-1] + x[t] / t from r[0] = 0, so that a value sent at step 1 stays, and one sent
at step t moves the decoded value by x[t] / t. Ops that are linear in the stream are linear in the decoded value.
Source: Huang et al. 2025 (ICML, DCGS), section on differential coding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.codings.inputs.rate import InputCode
from transpike.ops import Affine
from transpike.parts import Op, State, Stateful


class RunningMean(State):
    """The mean of all values so far [batch, ...] after `steps` steps."""

    def __init__(self, mean: Tensor) -> None:
        self.mean = mean
        self.steps = 0


@dataclass(frozen=True, eq=False)
class DifferenceInput(InputCode):
    """Encode a signal differentially: send y[t] = x[t] - (x[1] + ... + x[t-1]) / (t-1), and y[1] = x[1].

    The decoded value r[t] = r[t-1] + y[t] / t is the running mean of x, exactly. A constant is sent once, at the first
    step, and then nothing: y[t] = 0 for t > 1.
    """

    routes: ClassVar[bool] = True

    def worded(self) -> str:
        return "the input sent once, at the first step"

    def start(self, x: Tensor, first_sample: int = 0) -> RunningMean:  # noqa: ARG002 - deterministic
        return RunningMean(torch.zeros_like(x))

    def step(self, state: RunningMean, x: Tensor) -> Tensor:
        state.steps += 1
        change = x - state.mean
        state.mean.add_(change / state.steps)
        return change


class Steps(State):
    """The number of steps so far."""

    steps = 0


@dataclass(frozen=True, eq=False)
class BiasOnce(Stateful):
    """Add the bias at the first step only: y[1] = x[1] + bias, y[t] = x[t]; decoded, that is a bias at every step.

    Since the first step is divided by 1, this is the same as a bias sent before it. `bias` broadcasts against one sample.
    """

    routes: ClassVar[bool] = True

    bias: Tensor

    def start(self, x: Tensor, first_sample: int = 0) -> Steps:  # noqa: ARG002 - deterministic
        return Steps()

    def step(self, state: Steps, x: Tensor) -> Tensor:
        state.steps += 1
        return x + self.bias if state.steps == 1 else x

    def analogue(self) -> Op:
        return Affine(None, self.bias)
