"""The answers of the ANN, of its clipped form and of the leaping walk on samples, and how often two of them agree."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.network import Network
from transpike.neurons import Neuron
from transpike.parts import Op, Stateful


@dataclass(frozen=True, eq=False)
class Ceiled(Op):
    """ReLU1: an activation that cannot exceed what its neuron can send, y = min(activation(x), ceiling)."""

    activation: Op
    ceiling: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Return the clipped activation."""
        clipped: Tensor = torch.minimum(self.activation(x), self.ceiling)
        return clipped


def clipped(network: Network) -> Network:
    """Return the ANN whose activations are clipped at the largest mean that each neuron can send.

    It is what the spiking network approaches as T grows: clipping is the only error that no number of steps removes.
    Source: the ReLU1 activation for prototyping, section 3.3.3 of the thesis on conversion.
    """

    def change(op: Op) -> Op:
        if isinstance(op, Neuron):
            return Ceiled(op.analogue(), op.ceiling())
        return op.analogue() if isinstance(op, Stateful) else op

    return network.map_ops(lambda node: change(node.op))


@dataclass(frozen=True)
class Answers:
    """Scores [samples, classes] of the ANN, the clipped ANN, the walk at the end of each leap; labels [samples] if known.

    `simulated` holds the scores of the spiking network itself on the first of the samples.
    """

    ann: Tensor
    clipped: Tensor
    walk: Mapping[int, Tensor]
    simulated: Mapping[int, Tensor]
    labels: Tensor | None

    def residuals(self, step: int) -> Tensor:
        """Return what the walk missed on the simulated samples [simulated, classes]."""
        true = self.simulated[step]
        return true - self.walk[step][: len(true)]

    def shares(self, scores: Tensor) -> tuple[float, float | None]:
        """Return how often scores agree with the ANN's answer, and how often they are right."""
        given = scores.argmax(1)
        right = None if self.labels is None else float((given == self.labels).double().mean())
        return float((given == self.ann.argmax(1)).double().mean()), right


def expected_shares(answers: Answers, step: int) -> tuple[float, float | None]:
    """Return the shares of the walk's scores plus the residuals of simulated samples, averaged over all pairs.

    P(agree) = mean over samples i and residuals j of [argmax(walk[i] + residual[j]) = the ANN's answer to i]: the
    residuals add the bias and the spread that the walk lacks, and every sample speaks, not only the simulated ones.
    """
    pairs = [answers.shares(answers.walk[step] + residual) for residual in answers.residuals(step)]
    agreement = statistics.fmean(agree for agree, _ in pairs)
    return agreement, None if answers.labels is None else statistics.fmean(right for _, right in pairs if right is not None)
