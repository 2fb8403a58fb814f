"""How near a spiking network is to its ANN on samples, and what it costs there."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from transpike.analysis.operations import count_work, synaptic_operations
from transpike.analysis.summary import SENDING
from transpike.data import Batch
from transpike.errors import DataError
from transpike.network import Network
from transpike.neurons import Neuron
from transpike.simulation import blocks


@dataclass(frozen=True)
class Measurement:
    """Divergence in nats, shares of agreement and of right answers, and costs per sample; see `trials.Trial`."""

    divergence: float
    agreement: float
    accuracy: float | None
    spikes_per_neuron: float
    bits_per_spike: int
    energy: float
    busiest: float  # spikes per neuron and time step in the layer that fires most, while it sends


def measure(network: Network, samples: Batch, reference: Tensor, time_steps: int) -> Measurement:
    """Simulate `network` on `samples` and compare its answers with `reference`, the ANN's scores [samples, classes].

    Raises DataError for outputs that are not [samples, classes].
    """
    work = count_work(network)
    parts: list[Tensor] = []
    spikes: dict[str, float] = defaultdict(float)
    operations = 0.0
    members = {node.name: node.op.members for node in network.having(Neuron) if isinstance(node.op, Neuron)}
    sending = {node.name for node in network.having(*SENDING)}
    sizes: dict[str, int] = {}
    for part in blocks(network, iter([samples]), time_steps):
        parts.append(next(iter(part.outputs.values()))[-1].cpu())
        totals = dict(part.totals)
        for name in sending & totals.keys():
            spikes[name] += float(totals[name].double().sum()) / len(samples)
        operations += sum(synaptic_operations(totals, work).values())
        sizes = {name: count[0].numel() * members[name] for name, count in totals.items() if name in members}
    scores = torch.cat(parts)
    energy = work.energy(operations / len(samples), time_steps)[0]
    labels = samples.labels
    return Measurement(
        divergence(scores, reference),
        float((scores.argmax(1) == reference.argmax(1)).double().mean()),
        None if labels is None else float((scores.argmax(1) == labels).double().mean()),
        sum(spikes.values()) / max(1, sum(sizes.values())),
        max((node.op.bits_per_spike for node in network.having(Neuron) if isinstance(node.op, Neuron)), default=1),
        energy.ratio,
        max((spikes[name] / (size * time_steps) for name, size in sizes.items() if size), default=0.0),
    )


def divergence(scores: Tensor, reference: Tensor) -> float:
    """Return the mean over samples of KL(softmax(reference) || softmax(scores)) in nats, for scores [samples, classes].

    >>> divergence(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 3.0]]))
    0.0
    """
    if scores.ndim != 2 or scores.shape != reference.shape:  # noqa: PLR2004 - [samples, classes]
        raise DataError(f"Only answers [samples, classes] can be compared, but the model gives {tuple(scores.shape)}.")
    logs = F.log_softmax(scores.double(), 1), F.log_softmax(reference.double(), 1)
    return max(0.0, float(F.kl_div(*logs, reduction="batchmean", log_target=True)))
