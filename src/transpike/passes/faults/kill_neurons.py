"""Neurons that never fire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.network import Network, Node
from transpike.neurons import Broken, Neuron, Population
from transpike.passes.faults.base import FaultPass, at_root, on_neurons, on_spikes, root_of, with_members


@dataclass(frozen=True)
class KillNeurons(FaultPass):
    """Let each neuron be dead with probability `level`: it sends nothing. In a population its members die, each by itself.

    >>> import torch, transpike as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> faulty = tp.faulty(tp.convert(model, torch.rand(64, 4)), KillNeurons(0.25, seed=1))
    >>> faulty.nodes["1"].op.happens.dead.tolist()
    [False, False, False, False, False, True, False, True]
    """

    number: ClassVar[int] = 1

    def worded(self) -> str:
        return f"{100 * self.level:.3g} % of the neurons are dead"

    def changed(self, network: Network) -> Network:
        return on_neurons(network, self.killed)

    def killed(self, node: Node, op: Neuron, shape: tuple[int, ...], line: int) -> Neuron:
        """Return neurons of which some are dead."""
        generator = self.generator(line)
        if isinstance(root_of(op), Population):
            return at_root(op, lambda root: with_members(root, shape, lambda x: self.never(x, generator)))  # type: ignore[arg-type]
        dead = torch.rand(shape, generator=generator) < self.level
        return on_spikes(node, op, Broken(dead=dead.to(op.threshold.device)), self.seed, line)

    def never(self, thresholds: Tensor, generator: torch.Generator) -> Tensor:
        """Return thresholds of which some are out of reach."""
        dead = torch.rand(thresholds.shape, generator=generator) < self.level
        return thresholds.masked_fill(dead.to(thresholds.device), torch.inf)
