"""Sums over samples from which a report is made; they add up block by block and can be kept on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from transpike.analysis.operations import Work, synaptic_operations
from transpike.analysis.reference import NO_LABEL, Expected
from transpike.network import Network, forward
from transpike.neurons import Neuron
from transpike.simulation import Block
from transpike.simulation.stepper import channels_last

RATE_BINS = 20
ROUNDING = 1e-6


@dataclass
class Tally:
    """Named sums over all samples seen so far; `samples` counts them."""

    samples: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)

    def add(self, name: str, value: Tensor | float) -> None:
        """Add a value to the sum called `name`."""
        tensor = torch.as_tensor(value).double().cpu()
        self.sums[name] = self.sums[name] + tensor if name in self.sums else tensor.clone()

    def __getitem__(self, name: str) -> Tensor:
        return self.sums[name]

    def mean(self, name: str) -> Tensor:
        """Return a sum per sample."""
        return self.sums[name] / max(1, self.samples)


def checkpoints(time_steps: int) -> list[int]:
    """Return the steps at which spikes and operations are reported: powers of two, and the last."""
    return sorted({2**k for k in range(time_steps.bit_length()) if 2**k <= time_steps} | {time_steps})


def add_answers(tally: Tally, outputs: Mapping[str, Tensor], expected: Expected) -> None:
    """Add how the decoded answers [time, batch, ...] stand to the ANN's and to the labels, at every step."""
    for key, reference in expected.outputs.items():
        wanted = reference.double()
        tally.add(f"output.error.{key}", torch.stack([(now.double() - wanted).square().sum() for now in outputs[key]]))
        tally.add(f"output.power.{key}", wanted.square().sum())
    if not expected.classes:
        return
    answers, right = next(iter(outputs.values())).argmax(2), expected.first.argmax(1)
    tally.add("agreement", alike(answers, right))
    tally.add("places", right.numel())
    if expected.labels is not None:
        tally.add("correct", alike(answers, expected.labels))
        tally.add("reference.correct", alike(right[None], expected.labels)[0])


def alike(answers: Tensor, wanted: Tensor) -> Tensor:
    """Return how many samples of answers [..., batch, places] are as wanted [batch, places]; of many places their share.

    Places without a label are left out.
    """
    same = (answers == wanted).double().reshape(*answers.shape[: answers.ndim - wanted.ndim], len(wanted), -1)
    labelled = (wanted != NO_LABEL).double().reshape(len(wanted), -1).sum(1).clamp(min=1)
    return (same.sum(-1) / labelled).sum(-1)


def add_layers(tally: Tally, network: Network, block: Block, inputs: Sequence[Tensor], time_steps: int) -> None:
    """Add, per neuron layer, spikes, rates, saturation, clipping and the error against the ANN's activation.

    Each element of a sequence counts as a sample of the layers in a loop.
    """

    def observe(name: str, activation: Tensor) -> None:
        neuron = network.nodes[name].op
        if not isinstance(neuron, Neuron):
            return
        sums, totals = (part.reshape(activation.shape) for part in (block.sums[name], block.totals[name]))
        sent, most = sums / neuron.counted(time_steps), neuron.reach(time_steps)
        rate = (sent / most).clamp(0, 1)
        tally.add(f"{name}.error", torch.linalg.vector_norm(sent - activation, dtype=torch.float64) ** 2)
        tally.add(f"{name}.power", torch.linalg.vector_norm(activation, dtype=torch.float64) ** 2)
        tally.add(f"{name}.clipped", (activation > most * (1 + ROUNDING)).sum())
        tally.add(f"{name}.saturated", (rate > 1 - ROUNDING).sum())
        tally.add(f"{name}.spikes", totals.sum(0).double())
        tally.add(f"{name}.rates", torch.histc(rate.float(), RATE_BINS, 0, 1))

    forward(network.analogue(), [channels_last(x) for x in inputs], observe)


def measured(counts: Mapping[str, Tensor], work: Work) -> dict[str, float]:
    """Return the spikes and the synaptic operations of each node, summed over a block, under the names of their sums."""
    units = {name: count.sum(0).double().cpu() for name, count in counts.items()}  # whole numbers, exact in any float
    spikes = {f"spikes.{name}": float(unit.sum()) for name, unit in units.items()}
    met = work.meetings(counts) if work.meetings else {}
    return spikes | {f"operations.{name}": value for name, value in (synaptic_operations(units, work) | met).items()}


def add_operations(tally: Tally, sums: Mapping[str, float], step: int) -> None:
    """Add what was measured after `step` steps."""
    for name, value in sums.items():
        tally.add(f"{step}.{name}", value)
