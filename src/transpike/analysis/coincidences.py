"""How many pairs of spikes meet in products of spikes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.analysis.connections import pattern
from transpike.network import Network, shapes
from transpike.network.grammar import Carried, carried
from transpike.neurons import SpikeProduct
from transpike.ops import PRODUCTS, AdaptiveAveragePool, AveragePool, Mean
from transpike.parts import Op


@dataclass(frozen=True)
class Meetings:
    """The products of spikes of a network, and how spikes get there: what each node carries, and its shape."""

    network: Network
    products: tuple[str, ...]
    kinds: Mapping[str, Carried]
    sizes: Mapping[str, tuple[int, ...]]

    def __call__(self, counts: Mapping[str, Tensor]) -> dict[str, float]:
        """Return how many pairs of spikes meet in each product, summed over all samples, given the spikes of all neurons."""
        known: dict[str, Tensor] = {name: count.double() for name, count in counts.items()}
        found = {}
        for name in self.products:
            node = self.network.nodes[name]
            assert isinstance(node.op, SpikeProduct)
            one, other = (self.arriving(source, known) for source in node.inputs)
            found[name] = float(node.op.op(one, other).sum())
        return found

    def arriving(self, name: str, known: dict[str, Tensor], still: float = 0.0) -> Tensor:
        """Return how many spikes a node passes on for each of its values [batch, ...]; `still` for what never changes."""
        if self.kinds[name] is Carried.STATIC:
            return torch.full((1, *self.sizes[name]), still, dtype=torch.float64)
        if name not in known:
            node = self.network.nodes[name]
            factor = float(isinstance(node.op, tuple(PRODUCTS)))  # each spike reaches as many values as it is multiplied with
            known[name] = counting(node.op)(*[self.arriving(source, known, factor) for source in node.inputs])
        return known[name]


def meetings(network: Network) -> Meetings:
    """Return what counts the pairs of spikes that meet in the products of a network."""
    names = tuple(node.name for node in network.having(SpikeProduct))
    return Meetings(network, names, carried(network) if names else {}, shapes(network) if names else {})


def counting(op: Op) -> Callable[..., Tensor]:
    """Return what does to numbers of spikes what `op` does to their worth: sums for means, 1 for each factor."""
    if isinstance(op, Mean):
        return dataclasses.replace(op, sum=True)
    if isinstance(op, AveragePool):
        return dataclasses.replace(op, divisor=1)
    if isinstance(op, AdaptiveAveragePool):
        return lambda x: op(x) * (math.prod(x.shape[1:]) / math.prod(op(x).shape[1:]))
    return pattern(op)
