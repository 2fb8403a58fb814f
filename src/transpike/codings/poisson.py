"""Poisson input: each value becomes a random spike train of that rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from transpike.ops import Identity
from transpike.parts import Op, State, Stateful


class SpikeSource(State):
    """One random generator per sample, so that chunking and batching do not change a sample's spikes."""

    def __init__(self, generators: list[np.random.Generator], count: Tensor) -> None:
        self.generators = generators
        self.count: Tensor = count


@dataclass(frozen=True, eq=False)
class Poisson(Stateful):
    """Send sign(x) * amplitude with probability min(|x| / amplitude, 1) at each step, else 0.

    The mean over T steps is x with standard error sqrt(|x| (amplitude - |x|) / T). `amplitude` (a scalar tensor, positive)
    is the largest magnitude of the calibration samples; larger values are clipped to it. Runs are repeatable: sample i
    draws from a generator seeded with (seed, line, i), where `line` tells the inputs of one network apart. A negative
    value needs a second, inhibitory line: one signed bit.
    """

    keeps: ClassVar[frozenset[str]] = frozenset({"count"})

    amplitude: Tensor
    seed: int = 0
    line: int = 0

    def start(self, x: Tensor, first_sample: int = 0) -> SpikeSource:
        generators = [np.random.default_rng([self.seed, self.line, first_sample + i]) for i in range(x.shape[0])]
        return SpikeSource(generators, torch.zeros_like(x))

    def step(self, state: SpikeSource, x: Tensor) -> Tensor:
        draws = np.stack([generator.random(tuple(x.shape[1:]), dtype=np.float32) for generator in state.generators])
        spikes = torch.from_numpy(draws).to(x.device, x.dtype) < x.abs() / self.amplitude
        state.count.add_(spikes)
        return spikes * torch.sign(x) * self.amplitude

    def analogue(self) -> Op:
        return Identity()
