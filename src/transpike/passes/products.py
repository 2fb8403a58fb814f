"""Products of numbers of spikes, as gates need them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from transpike.calibration import Samples
from transpike.network import Network, Node
from transpike.neurons import CountProduct, Levels, MeanFunction, Population
from transpike.ops import Multiply
from transpike.parts import Op
from transpike.passes.functions import MultiplyMeans


@dataclass(frozen=True)
class MultiplyCounts:
    """Let products multiply numbers of spikes where populations send one factor or both; see `CountProduct`.

    What neither a population sends, nor one whose neurons have weights of their own, is multiplied as by `MultiplyMeans`.
    """

    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:
        def change(node: Node) -> Op:
            levels = [levels_of(network.nodes[source].op) for source in node.inputs]
            product = isinstance(node.op, MeanFunction) and isinstance(node.op.op, Multiply)
            return CountProduct(Multiply(), (), *levels) if product and any(levels) else node.op

        return MultiplyMeans()(network, samples).map_ops(change)

    def worded(self) -> str:
        """Say in words what products are of."""
        return "products of spike counts"


def levels_of(op: Op) -> Levels | None:
    """Return what the counts of a population stand for; None of what is no population, or not told by one number."""
    if not isinstance(op, Population) or op.table is not None:
        return None
    if op.inhibitory is None:
        return Levels(float(op.base), float(op.excitation), float(op.excitation))
    both = float(op.thresholds.min()) <= 0 or float(op.inhibitory.min()) <= 0  # neurons of either sign may fire at once
    if both and op.excitation != op.inhibition:
        return None
    return Levels(float(op.base), float(op.excitation), float(op.inhibition))
