"""Recorded input: spikes that were there before, such as those of an event camera, played step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.codings.inputs.rate import InputCode
from transpike.ops import Mean
from transpike.parts import Op, State


class Playback(State):
    """The steps played so far, and the spikes of each input line [batch, ...]."""

    def __init__(self, count: Tensor) -> None:
        self.steps = 0
        self.count: Tensor = count


@dataclass(frozen=True, eq=False)
class Recorded(InputCode):
    """Send what was recorded: y[t] = x[:, t mod frames] of a recording x [batch, frames, ...], from t = 0.

    Values are how many spikes there are on a line in a step, so ceil(|y|) spikes are counted. After the last frame the
    recording begins anew, so that the mean over any whole number of rounds is the mean frame: what the ANN takes.
    `step_ms` is the length of a frame in milliseconds, where all recordings are cut alike.

    >>> x = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])  # one recording, two frames, two lines
    >>> code = Recorded(frames=2)
    >>> state = code.start(x)
    >>> [code.step(state, x)[0].tolist() for _ in range(3)], state.count.tolist()
    ([[1.0, 0.0], [0.0, 2.0], [1.0, 0.0]], [[2.0, 2.0]])
    """

    keeps: ClassVar[frozenset[str]] = frozenset({"count"})

    frames: int = 1
    step_ms: float | None = None

    def worded(self) -> str:
        length = "" if self.step_ms is None else f" of {self.step_ms:g} ms"
        return f"recorded spikes, {self.frames} frames{length}"

    def start(self, x: Tensor, first_sample: int = 0) -> Playback:  # noqa: ARG002 - deterministic
        return Playback(torch.zeros_like(x[:, 0]))

    def step(self, state: Playback, x: Tensor) -> Tensor:
        frame = x[:, state.steps % self.frames]
        state.steps += 1
        state.count.add_(frame.abs().ceil())
        return frame

    def analogue(self) -> Op:
        return Mean((1,), keepdim=False)
