"""Poisson input: each value becomes a random spike train of that rate."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from transpike.codings.rate import RateCode
from transpike.parts import State


class SpikeSource(State):
    """One random generator per sample, so that chunking and batching do not change a sample's spikes."""

    def __init__(self, generators: list[np.random.Generator], count: Tensor) -> None:
        self.generators = generators
        self.count: Tensor = count

    def keep(self, rows: Tensor, batch: int) -> None:
        super().keep(rows, batch)
        self.generators = [self.generators[row] for row in rows.tolist()]


@dataclass(frozen=True, eq=False)
class Poisson(RateCode):
    """Send sign(x) * amplitude with probability min(|x| / amplitude, 1) at each step, else 0.

    The mean over T steps is x with standard error sqrt(|x| (amplitude - |x|) / T): it falls as one over the square root
    of the number of spikes. Runs are repeatable: sample i draws from a generator seeded with (seed, line, i), where
    `line` tells the inputs of one network apart. Source: Gerstner et al. 2014 (Neuronal Dynamics), chapter 7.
    """

    seed: int = 0
    line: int = 0

    def fitted(self, amplitude: Tensor, line: int) -> Self:
        return dataclasses.replace(self, amplitude=amplitude, line=line)

    def worded(self) -> str:
        return f"Poisson spikes, seed {self.seed}"

    def start(self, x: Tensor, first_sample: int = 0) -> SpikeSource:
        generators = [np.random.default_rng([self.seed, self.line, first_sample + i]) for i in range(x.shape[0])]
        return SpikeSource(generators, torch.zeros_like(x))

    def step(self, state: SpikeSource, x: Tensor) -> Tensor:
        draws = np.stack([generator.random(tuple(x.shape[1:]), dtype=np.float32) for generator in state.generators])
        spikes = torch.from_numpy(draws).to(x.device, x.dtype) < x.abs() / self.amplitude
        state.count.add_(spikes)
        return spikes * torch.sign(x) * self.amplitude
