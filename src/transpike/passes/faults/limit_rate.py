"""Let links carry only so many spikes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from transpike.errors import ArgumentError
from transpike.network import Network, Node
from transpike.neurons import FirstSpike, Limited, Neuron, Population, Windowed
from transpike.passes.faults.base import FaultPass, on_neurons, on_spikes, root_of


@dataclass(frozen=True)
class LimitRate(FaultPass):
    """Keep the link of each neuron busy for `level` steps (whole) after a spike: spikes that come meanwhile are lost.

    Neurons that fire once, or whose members do, are as before. See `neurons.Limited`; recipe `refractory` has neurons that
    keep the charge and fire later.
    """

    number: ClassVar[int] = 5
    level_name: ClassVar[str] = "pause"
    highest: ClassVar[float] = torch.inf

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.level != int(self.level):
            raise ArgumentError(f"LimitRate: pause must be a whole number of steps, not {self.level!r}.")

    def worded(self) -> str:
        return f"A neuron's link is busy for {self.level:g} steps after each spike"

    def changed(self, network: Network) -> Network:
        return on_neurons(network, self.limited)

    def limited(self, node: Node, op: Neuron, shape: tuple[int, ...], line: int) -> Neuron:  # noqa: ARG002
        """Return neurons with links that are busy after a spike."""
        root = root_of(op)
        if isinstance(root, Population | FirstSpike) or (isinstance(root, Windowed) and root.single):
            return op
        return on_spikes(node, op, Limited(int(self.level)), self.seed, line)
