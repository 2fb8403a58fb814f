"""Choose for how long a code by first spikes runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.answers import DIVERGENCE, criterion, relative_error
from transpike.calibration import Samples
from transpike.errors import positive_whole
from transpike.network import Network, forward
from transpike.neurons import FirstSpike
from transpike.parts import Finding, Op
from transpike.simulation import simulate

JUDGES = 200  # samples
LEAST = 0.5  # share of decisions of the ANN, or relative error, beyond which no number of steps will do


@dataclass(frozen=True)
class FitWindow:
    """Let first-spike neurons run for the number of steps after which the answers are most often the ANN's.

    The network runs for `most` steps on the first 200 calibration samples; of equally good numbers the smallest counts. Too
    few steps miss spikes that are on their way; too many give late spikes, which stand for small values, as much weight as
    early ones. Outputs that are no classes are judged by their relative error. If time steps were given, they are taken.
    Source: this project.
    """

    most: int = 384
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __post_init__(self) -> None:
        positive_whole("most", self.most)

    def __call__(self, network: Network, samples: Samples) -> Network:
        if samples.time_steps is not None:
            return lasting(network, samples.time_steps)
        inputs = samples.first(JUDGES)
        wanted = forward(network.analogue(), inputs)
        outputs = simulate(lasting(network, self.most), inputs).outputs
        answers = {next(iter(wanted)): outputs} if isinstance(outputs, Tensor) else outputs
        scores = likeness([answers[key] for key in wanted], [value.cpu() for value in wanted.values()])
        steps = int(scores.argmax()) + 1
        finding = self.finding(steps, len(inputs[0]), float(scores.max()))
        return dataclasses.replace(lasting(network, steps), findings=(*network.findings, finding))

    def finding(self, steps: int, count: int, score: float) -> Finding:
        """Say what was chosen; with a warning at the end of the search, and where no number of steps will do."""
        like = f"{100 * score:.0f} % decided alike" if score >= 0 else f"a relative error of {-score:.2g}"
        told = (
            f"The network runs for {steps} step{'s' * (steps != 1)}: of 1 to {self.most}, those after which {count} "
            f"calibration samples are answered most like the ANN does ({like})."
        )
        if score < -LEAST or 0 <= score < LEAST:
            advice = "First spikes lose this model, as they do deep and residual ones: take a code in windows, recipe='phase'."
            return Finding("window", told, advice, severity="warning")
        if steps == self.most:
            return Finding("window", told, "Let it search further, FitWindow(most=...).", severity="warning")
        return Finding("window", told, "Take another number by giving time steps.", severity="note")


def likeness(answers: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Return how like the wanted outputs [batch, ...] the answers [time, batch, ...] are after each step; more is better."""
    if criterion(wanted) == DIVERGENCE:
        return (answers[0].argmax(2) == wanted[0].argmax(1)).float().mean(1)
    return -torch.tensor([relative_error(now, wanted) for now in zip(*answers, strict=True)], dtype=torch.float64)


def lasting(network: Network, steps: int) -> Network:
    """Return the network whose first-spike neurons run for `steps`."""
    return network.map_ops(lambda node: node.op.with_window(steps) if isinstance(node.op, FirstSpike) else node.op)
