"""Replace activations that were trained with a threshold by neurons with that threshold."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from transpike.calibration import Samples
from transpike.errors import ConversionError
from transpike.network import Network
from transpike.network.grammar import decoded, place
from transpike.neurons import IntegrateAndFire, Neuron
from transpike.ops import QUANTISED, RECTIFIERS, Clamped, Qcfs, SlipRelu
from transpike.parts import Op


@dataclass(frozen=True)
class UseTrainedThresholds:
    """Replace each QCFS or SlipReLU by neurons with threshold = lambda and v[0] = shift * lambda; ClampedReLU has no shift.

    For a constant input z, T steps send lambda/T clip(floor(z T / lambda + shift), 0, T), which is QCFS with T levels: equal
    to the trained one for T = levels (theorem 1), and for shift 1/2 equal to it on average over z for any T (theorem 2).
    `neuron` makes a neuron of (threshold, initial, activation). Raises ConversionError where an activation brings no
    threshold. Source: Bu et al. 2022, theorems 1 and 2; Jiang et al. 2023 (SlipReLU).
    """

    neuron: Callable[[Tensor, Tensor, Op], Neuron] = IntegrateAndFire
    removes: ClassVar[tuple[type[Op], ...]] = QUANTISED

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - the thresholds are trained
        read_out = decoded(network)
        neurons: dict[str, Op] = {}
        for node in network.having(*RECTIFIERS):
            if node.name in read_out:
                continue
            if not isinstance(node.op, Qcfs | SlipRelu | Clamped):
                raise ConversionError(
                    f"{type(node.op).__name__} {place(node)} was not trained with a threshold. transpike.training.prepare "
                    "replaces ReLU, ReLU6 and Hardtanh from 0 by activations that are: use one of these there, prepare and "
                    "train the model; or choose a recipe that calibrates thresholds."
                )
            initial = node.op.threshold.new_tensor(0.0 if isinstance(node.op, Clamped) else node.op.shift)
            neuron = self.neuron(node.op.threshold, initial, node.op)
            neurons[node.name] = dataclasses.replace(neuron, threshold=neuron.threshold / neuron.most)
        return network.map_ops(lambda node: neurons.get(node.name, node.op))
