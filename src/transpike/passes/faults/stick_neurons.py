"""Neurons that always fire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.network import Network, Node
from transpike.neurons import Broken, Neuron, Population
from transpike.passes.faults.base import FaultPass, at_root, on_neurons, on_spikes, root_of, with_members


@dataclass(frozen=True)
class StickNeurons(FaultPass):
    """Let each neuron be stuck with probability `level`: it fires at every step, in every slot, or first, whatever it receives.

    Graded neurons send their largest spike, bursts are as long as they can be. In a population its members are stuck, each by
    itself.
    """

    number: ClassVar[int] = 2

    def worded(self) -> str:
        return f"{100 * self.level:.3g} % of the neurons are stuck and always fire"

    def changed(self, network: Network) -> Network:
        return on_neurons(network, self.stuck)

    def stuck(self, node: Node, op: Neuron, shape: tuple[int, ...], line: int) -> Neuron:
        """Return neurons of which some are stuck."""
        generator = self.generator(line)
        if isinstance(root_of(op), Population):
            return at_root(op, lambda root: with_members(root, shape, lambda x: self.always(x, generator)))  # type: ignore[arg-type]
        stuck = torch.rand(shape, generator=generator) < self.level
        return on_spikes(node, op, Broken(stuck=stuck.to(op.threshold.device)), self.seed, line)

    def always(self, thresholds: Tensor, generator: torch.Generator) -> Tensor:
        """Return thresholds of which some are always reached."""
        stuck = torch.rand(thresholds.shape, generator=generator) < self.level
        return thresholds.masked_fill(stuck.to(thresholds.device), -torch.inf)
