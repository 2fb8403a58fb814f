"""Products of two signals, as gates need them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from transpike.calibration import Samples
from transpike.network import Network
from transpike.network.grammar import before_weights
from transpike.neurons import MeanProduct
from transpike.ops import Multiply
from transpike.parts import Op


@dataclass(frozen=True)
class MultiplyMeans:
    """Let products of two signals that weights follow multiply what both stand for; see `MeanProduct`."""

    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        followed = before_weights(network)
        return network.map_ops(lambda n: MeanProduct() if isinstance(n.op, Multiply) and n.name in followed else n.op)
