"""What a spiking network bears: its accuracy against the level of a fault, over draws."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from transpike.analysis.draws import answers, blocks_of, labels_of, shares
from transpike.analysis.spread import OverDraws
from transpike.calibration import Samples
from transpike.data import Batch
from transpike.errors import ArgumentError, choose, positive_whole
from transpike.network import Network
from transpike.network.turns import steps_for
from transpike.passes import FAULT_PASSES, FaultPass, LimitRate, apply
from transpike.simulation import simulate


@dataclass(frozen=True)
class Borne(OverDraws):
    """What a network comes to with a fault of one level, drawn some times: right answers, or the ANN's if unlabelled."""

    level: float
    accuracy: tuple[float, ...]  # of each draw
    agreement: tuple[float, ...]  # with the ANN's own answers


@dataclass(frozen=True)
class Tolerance:
    """Accuracy against the level of a fault; see `tolerance`."""

    fault: str
    samples: int
    reference_accuracy: float  # of the ANN; 1 without labels
    rows: tuple[Borne, ...]

    def to_json(self) -> str:
        """Return the rows as JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=1)


def faulty(network: Network, *faults: FaultPass) -> Network:
    """Return a spiking network with faults, put on in this order; `transpike.passes` has them.

    A finding says each of them. Raises ConversionError for neurons for which a fault has no meaning.

    >>> import torch
    >>> from transpike import convert
    >>> from transpike.passes import DropSpikes, KillNeurons
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> network = faulty(convert(model, torch.rand(64, 4)), KillNeurons(0.02), DropSpikes(0.1))
    >>> [finding.message for finding in network.findings if finding.kind == "fault"]
    ['2 % of the neurons are dead.', '10 % of the spikes are lost.']
    """
    return apply(faults, network, Samples())


def tolerance(
    network: Network,
    samples: Any,
    fault: str | type[FaultPass],
    levels: Sequence[float],
    *,
    draws: int = 3,
    time_steps: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Tolerance:
    """Return the accuracy of a spiking network with a fault at each of some levels, drawn with seeds 0 ... draws - 1.

    `fault` is a name of `passes.FAULT_PASSES` or a pass; `samples` are as in `evaluate`. Codes with a window of their own need
    no `time_steps`. Nothing is drawn at level 0, or for a limited rate. `progress` counts simulated samples.
    Raises ArgumentError and ConversionError.

    >>> import torch
    >>> from transpike import convert
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> network = convert(model, torch.rand(64, 4))
    >>> found = tolerance(network, torch.rand(20, 4), "dead", (0, 0.5), draws=2, time_steps=16)
    >>> [(row.level, len(row.accuracy)) for row in found.rows]
    [(0, 1), (0.5, 2)]
    """
    positive_whole("draws", draws)
    if not levels:
        raise ArgumentError("Give at least one level of the fault, such as 0.01.")
    kind = FAULT_PASSES[choose("fault", fault, FAULT_PASSES)] if isinstance(fault, str) else fault
    name = next((known for known, one in FAULT_PASSES.items() if one is kind), kind.__name__)
    steps = steps_for(network, time_steps)
    judged = list(blocks_of(network, samples))
    reference = answers(network.analogue(), judged)
    labels = labels_of(judged, reference)
    rows = []
    for level in levels:
        seeds = range(1 if level == 0 or kind is LimitRate else draws)
        broken = [faulty(network, kind(level, seed)) if level else network for seed in seeds]
        found = [decisions(one, judged, steps, progress) for one in broken]
        rows.append(Borne(level, shares(found, labels), shares(found, reference)))
    return Tolerance(name, len(reference), shares([reference], labels)[0], tuple(rows))


def decisions(network: Network, judged: Sequence[Batch], steps: int, progress: Callable[[int], None] | None = None) -> Tensor:
    """Return the class that a spiking network decides for at the end."""
    joined = judged[0]
    for batch in judged[1:]:
        joined = joined.followed_by(batch)
    outputs = simulate(network, joined.inputs, steps, progress=progress).outputs
    answer = outputs if isinstance(outputs, Tensor) else next(iter(outputs.values()))
    return answer[-1].argmax(1)
