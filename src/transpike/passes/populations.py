"""Replace activations by populations of threshold neurons."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import ClassVar

import torch
from torch import Tensor

from transpike.calibration import Samples
from transpike.calibration.observe import Rows, gather
from transpike.errors import ArgumentError, positive_whole
from transpike.network import Network, Node, shapes
from transpike.network.grammar import before_weights, trait
from transpike.neurons import Population
from transpike.parts import Op, Stateful, Trait
from transpike.passes.thresholds.populations import PopulationThresholds, Site

KEPT = 2**16  # inputs of an activation that are kept, of all samples
SMALLEST = 1e-6  # range of inputs


@dataclass(frozen=True)
class InsertPopulations:
    """Replace each activation by populations of `size` neurons, one for each of its units.

    `sizes` gives other sizes by patterns of node names, the first that fits: (("*.forget_gate", 1000), ...). One that
    takes both signs, such as tanh, gets a pair, an excitatory and an inhibitory population of that size each, if the rule
    of the thresholds says so. Only the activations whose names fit the pattern `only` are replaced.
    Source: a thesis on conversion, section 5.2.
    """

    thresholds: PopulationThresholds
    size: int = 1000
    sizes: tuple[tuple[str, int], ...] = ()
    only: str = "*"
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __post_init__(self) -> None:
        for size in (self.size, *(size for _, size in self.sizes)):
            positive_whole("the size of a population", size)

    def __call__(self, network: Network, samples: Samples) -> Network:
        made = self.placed(network, enumerate(self.sites(network, samples)))
        return network.map_ops(lambda node: made.get(node.name, node.op))

    def sites(self, network: Network, samples: Samples) -> list[Site]:
        """Return the places for populations with the inputs that they have on the samples."""
        nodes, sizes = self.places(network), shapes(network)
        seen, _ = gather(network.analogue(), {node.name: Rows(node.inputs[0], 1) for node in nodes}, Sampled, samples)
        kept = [(node, seen[node.name]) for node in nodes]
        return [
            Site(node.name, node.op, sizes[node.name], of.low, max(of.high, of.low + SMALLEST), torch.cat(of.kept))
            for node, of in kept
        ]

    def places(self, network: Network) -> list[Node]:
        """Return the activations to replace. Raises ArgumentError for a pattern of a size that fits none of them."""
        followed = before_weights(network)
        nodes = [
            node
            for node in network.nodes.values()
            if not isinstance(node.op, Stateful)
            and trait(node.op) is Trait.ACTIVATION
            and node.name in followed
            and fnmatch(node.name, self.only)
        ]
        names = [node.name for node in nodes]
        for pattern, _ in self.sizes:
            if not any(fnmatch(name, pattern) for name in names):
                raise ArgumentError(f"No activation is called {pattern!r}: there are {', '.join(names) or 'none'}.")
        return nodes

    def size_of(self, name: str) -> int:
        """Return how many neurons a population of a node has."""
        return next((size for pattern, size in self.sizes if fnmatch(name, pattern)), self.size)

    def placed(self, network: Network, sites: Iterable[tuple[int, Site]]) -> dict[str, Population]:
        """Return the populations of numbered places by node name, on the device and in the dtype of the network."""
        found = {site.name: self.population(site, number) for number, site in sites}
        return {name: one.map_tensors(lambda value: value.to(network.device, network.dtype)) for name, one in found.items()}

    def population(self, site: Site, number: int) -> Population:
        """Return the populations of one place."""
        placed = self.thresholds.place(site, self.size_of(site.name), number)
        return Population(
            torch.ones(()),
            torch.zeros(()),
            site.activation,
            thresholds=placed.thresholds,
            inhibitory=placed.inhibitory,
            base=precisely(placed.base),
            excitation=precisely(placed.excitation),
            inhibition=precisely(placed.inhibition),
            table=placed.table,
            gain=precisely(placed.gain),
            shift=precisely(placed.shift),
        )


def precisely(value: float) -> Tensor:
    """Return a number in float64."""
    return torch.tensor(value, dtype=torch.float64)


class Sampled:
    """The least and the greatest of all values, and some of them spread evenly over each batch."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.low, self.high = math.inf, -math.inf
        self.kept: list[Tensor] = []

    def add(self, values: Tensor) -> None:
        """Take in values."""
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
        flat = values.flatten()
        self.kept.append(flat[:: max(1, flat.numel() * (len(self.kept) + 1) // KEPT)].cpu())

    @property
    def silent(self) -> Tensor:
        """Whether no value was above 0."""
        return torch.tensor([self.high <= 0])
