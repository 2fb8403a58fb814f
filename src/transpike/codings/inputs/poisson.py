"""Poisson input: each value becomes a random spike train of that rate."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from transpike.codings.inputs.rate import RateCode
from transpike.codings.sampling import draws, sources
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
        return SpikeSource(sources(self.seed, self.line, first_sample, len(x)), torch.zeros_like(x))

    def step(self, state: SpikeSource, x: Tensor) -> Tensor:
        spikes = draws(state.generators, tuple(x.shape[1:])).to(x.device, x.dtype) < x.abs() / self.amplitude
        state.count.add_(spikes)
        return spikes * torch.sign(x) * self.amplitude
