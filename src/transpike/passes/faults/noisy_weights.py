"""Weights that are not what was written into them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import torch

from transpike.network import Network
from transpike.ops import DENSE, TransposedConvolution
from transpike.parts import Op
from transpike.passes.faults.base import FaultPass


@dataclass(frozen=True)
class NoisyWeights(FaultPass):
    """Multiply each weight of linear layers and convolutions by 1 + `level` e with e normal: w' = w (1 + level e).

    Weights of 0 stay 0, biases as they are; the ANN keeps its own weights.
    """

    number: ClassVar[int] = 6
    level_name: ClassVar[str] = "sigma"
    highest: ClassVar[float] = torch.inf

    def worded(self) -> str:
        return f"Weights are off by {100 * self.level:.3g} % of themselves (standard deviation)"

    def changed(self, network: Network) -> Network:
        made: dict[str, Op] = {}
        for line, node in enumerate(network.having(*DENSE)):
            op = node.op
            assert isinstance(op, DENSE)
            noise = torch.randn(op.weight.shape, generator=self.generator(line), dtype=torch.float64)
            weight = op.weight * (1 + self.level * noise).to(op.weight)
            kept = {} if isinstance(op, TransposedConvolution) else {"original": op.analogue()}
            made[node.name] = dataclasses.replace(op, weight=weight, **kept)  # type: ignore[arg-type]
        return network.map_ops(lambda node: made.get(node.name, node.op))
