"""How near a spiking network is to its ANN on samples, and what it costs there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.analysis.operations import count_work, synaptic_operations
from transpike.analysis.summary import SENDING
from transpike.answers import DIVERGENCE, criterion, distance, tells_classes
from transpike.data import Batch
from transpike.network import Network
from transpike.neurons import Neuron
from transpike.simulation import blocks


@dataclass(frozen=True)
class Measurement:
    """Distance from the ANN, shares of agreement and of right answers, and costs per sample; see `trials.Trial`."""

    divergence: float
    agreement: float | None
    accuracy: float | None
    spikes_per_neuron: float
    bits_per_spike: int
    energy: float
    busiest: float  # spikes per neuron and time step in the layer that fires most, while it sends


def measure(network: Network, samples: Batch, reference: Sequence[Tensor], time_steps: int) -> Measurement:
    """Simulate `network` on `samples` and compare its outputs with `reference`, the ANN's, each [samples, ...].

    One output of class scores is compared by the divergence of its softmax in nats, others by their relative squared error.
    """
    work = count_work(network)
    parts: list[list[Tensor]] = []
    spikes: dict[str, float] = defaultdict(float)
    operations = 0.0
    members = {node.name: node.op.members for node in network.having(Neuron) if isinstance(node.op, Neuron)}
    sending = {node.name for node in network.having(*SENDING)}
    sizes: dict[str, int] = {}
    for part in blocks(network, iter([samples]), time_steps):
        parts.append([output[-1].cpu() for output in part.outputs.values()])
        totals = dict(part.totals)
        for name in sending & totals.keys():
            spikes[name] += float(totals[name].double().sum()) / len(samples)
        operations += sum(synaptic_operations(totals, work).values())
        sizes = {name: count[0].numel() * members[name] for name, count in totals.items() if name in members}
    found = [torch.cat(outputs) for outputs in zip(*parts, strict=True)]
    energy = work.energy(operations / len(samples), time_steps)[0]
    agreement, accuracy = shares(found, reference, samples.labels)
    return Measurement(
        distance(found, reference, samples.labels),
        agreement,
        accuracy,
        sum(spikes.values()) / max(1, sum(sizes.values())),
        max((node.op.bits_per_spike for node in network.having(Neuron) if isinstance(node.op, Neuron)), default=1),
        energy.ratio,
        max((spikes[name] / (size * time_steps) for name, size in sizes.items() if size), default=0.0),
    )


def shares(found: Sequence[Tensor], reference: Sequence[Tensor], labels: Tensor | None) -> tuple[float | None, float | None]:
    """Return how often classes are those of the ANN, and how often they are right; None where that means nothing."""
    if labels is not None and not tells_classes(reference[0], labels):
        return None, None
    right = None if labels is None else float((found[0].argmax(1) == labels).double().mean())
    if criterion(reference, labels) != DIVERGENCE:
        return None, right
    return float((found[0].argmax(1) == reference[0].argmax(1)).double().mean()), right
