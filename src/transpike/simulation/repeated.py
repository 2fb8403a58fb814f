"""Density coding: the mean over repeated runs of a network with random input."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from transpike.codings import Poisson
from transpike.errors import ArgumentError
from transpike.network import Network, Node
from transpike.parts import Op
from transpike.simulation.recording import Record, Recording
from transpike.simulation.run import simulate


class Moments:
    """The running mean and the sum of squared deviations of tensors, in float64 (Welford)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = torch.zeros((), dtype=torch.float64)
        self.squares = torch.zeros((), dtype=torch.float64)

    def add(self, value: Tensor) -> None:
        """Count one more value."""
        self.count += 1
        change = value.double() - self.mean
        self.mean = self.mean + change / self.count
        self.squares = self.squares + change * (value.double() - self.mean)

    def standard_error(self) -> Tensor:
        """Return the standard error of the mean: sqrt(squares / (count (count - 1)))."""
        return (self.squares / (self.count * (self.count - 1))).sqrt()


@dataclass(frozen=True)
class Density:
    """What repeated runs give on average, in float64.

    `outputs` [time, batch, ...] is the mean answer after each step and `standard_error` alike its standard error
    (mappings from output key where the model has several). `spikes` [time, batch, ...] is, for each recorded node, the
    share of runs in which a neuron fired at a step: the spike density, or peri-stimulus time histogram.
    `spike_counts` [batch] are mean spikes per sample by node.
    """

    outputs: Tensor | Mapping[str, Tensor]
    standard_error: Tensor | Mapping[str, Tensor]
    spikes: Mapping[str, Tensor]
    spike_counts: Mapping[str, Tensor]
    time_steps: int
    runs: int


def density(network: Network, inputs: Any, time_steps: int, runs: int, *, record: Record | None = None) -> Density:
    """Simulate `network` `runs` times with independent random input spikes and return means with standard errors.

    p[t] = (number of spikes at step t in all runs) / runs, and outputs alike. Run k is that of the seed + k, so that any
    one of them can be had alone. `record` names nodes whose spike densities to keep. Raises ArgumentError for fewer
    than 2 runs, for a network without random input, and for other traces than spikes. Source: Gerstner et al. 2014
    (Neuronal Dynamics), section 7.2 (spike density over repetitions).

    >>> import torch
    >>> import transpike as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> network = tp.convert(model, torch.rand(64, 4), tp.recipes["rate"].poisson())
    >>> mean = density(network, torch.rand(5, 4), time_steps=16, runs=8)
    >>> mean.outputs.shape, bool((mean.standard_error > 0).any())
    (torch.Size([16, 5, 3]), True)
    """
    record = record or Record()
    if isinstance(runs, bool) or not isinstance(runs, int) or runs < 2:  # noqa: PLR2004 - one run has no spread
        raise ArgumentError(f"runs must be a whole number of at least 2, not {runs!r}: the spread of one run is unknown.")
    if not network.having(Poisson):
        raise ArgumentError("This network has no random part, so every run is the same: convert it with recipe.poisson().")
    if record.potentials or record.counts:
        raise ArgumentError("density keeps spikes only: leave potentials and counts out of record=.")
    outputs, spikes, counts = (dict[str, Moments]() for _ in range(3))
    single = False
    for k in range(runs):
        run = simulate(reseeded(network, k), inputs, time_steps, record=record)
        single = isinstance(run.outputs, Tensor)
        for moments, values in ((outputs, keyed(run)), (spikes, run.spikes), (counts, run.spike_counts)):
            for name, value in values.items():
                moments.setdefault(name, Moments()).add(value)
    means = {key: moments.mean for key, moments in outputs.items()}
    errors = {key: moments.standard_error() for key, moments in outputs.items()}
    return Density(
        means["output"] if single else means,
        errors["output"] if single else errors,
        {name: moments.mean for name, moments in spikes.items()},
        {name: moments.mean for name, moments in counts.items()},
        time_steps,
        runs,
    )


def keyed(run: Recording) -> Mapping[str, Tensor]:
    """Return the outputs of a run by key; a single one is called "output"."""
    return {"output": run.outputs} if isinstance(run.outputs, Tensor) else run.outputs


def reseeded(network: Network, offset: int) -> Network:
    """Return the network with `offset` added to the seed of every random input."""

    def change(node: Node) -> Op:
        op = node.op
        return dataclasses.replace(op, seed=op.seed + offset) if isinstance(op, Poisson) else op

    return network.map_ops(change)
