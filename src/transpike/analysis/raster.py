"""The spikes of some neurons on one sample."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from transpike.analysis.report import Raster
from transpike.data import Batch
from transpike.errors import ArgumentError
from transpike.network import Network
from transpike.neurons import Neuron
from transpike.simulation import Record, simulate

NEURONS = 40


def rasters(network: Network, first: Batch, time_steps: int, layers: Sequence[str] | None) -> tuple[Raster, ...]:
    """Return rasters of `layers` (default: the first, the middle and the last) on the first sample of a batch.

    A layer is a node, or a node and neurons in it, "layer1.0.relu:3,17"; else neurons are taken evenly from those that
    fire, as many as fit a picture. Raises ArgumentError for nodes and neurons that do not exist.
    """
    names = [node.name for node in network.having(Neuron)]
    chosen = list(dict.fromkeys([names[0], names[len(names) // 2], names[-1]])) if layers is None and names else layers
    if not chosen:
        return ()
    wanted = dict(split(layer) for layer in chosen)
    recording = simulate(network, first[:1].inputs, time_steps, record=Record(spikes=list(wanted)))
    found = []
    for name, neurons in wanted.items():
        spikes = recording.spikes[name][:, 0].reshape(time_steps, -1)
        picks = evenly(spikes) if neurons is None else torch.tensor(neurons)
        if len(picks) and not 0 <= int(picks.min()) <= int(picks.max()) < spikes.shape[1]:
            raise ArgumentError(f"Layer {name!r} has neurons 0 to {spikes.shape[1] - 1}, not all of {neurons}.")
        times = tuple(tuple((spikes[:, i].nonzero().flatten() + 1).tolist()) for i in picks)
        found.append(Raster(name, tuple(picks.tolist()), times))
    return tuple(found)


def split(layer: str) -> tuple[str, list[int] | None]:
    """Read "node" or "node:3,17"."""
    name, colon, text = layer.partition(":")
    if not colon:
        return name, None
    try:
        return name, [int(part) for part in text.split(",")]
    except ValueError:
        raise ArgumentError(f"Neurons of {name!r} must be numbers with commas between, not {text!r}.") from None


def evenly(spikes: torch.Tensor) -> torch.Tensor:
    """Return some of the neurons that fire in `spikes` [time, neurons], evenly spread."""
    firing = spikes.any(0).nonzero().flatten()
    return firing[torch.linspace(0, len(firing) - 1, min(NEURONS, len(firing))).long()] if len(firing) else firing
