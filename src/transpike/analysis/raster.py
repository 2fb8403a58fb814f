"""The spikes of some neurons on one sample."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from transpike.analysis.report import Raster
from transpike.data import Batch
from transpike.network import Network
from transpike.neurons import IntegrateAndFire
from transpike.simulation import Record, simulate

NEURONS = 40


def rasters(network: Network, first: Batch, time_steps: int, layers: Sequence[str] | None) -> tuple[Raster, ...]:
    """Return rasters of `layers` (default: the first, the middle and the last) on the first sample of a batch.

    Neurons are taken evenly from those that fire, as many as fit a picture.
    """
    names = [node.name for node in network.having(IntegrateAndFire)]
    chosen = list(dict.fromkeys([names[0], names[len(names) // 2], names[-1]])) if layers is None and names else layers
    if not chosen:
        return ()
    recording = simulate(network, first[:1].inputs, time_steps, record=Record(spikes=chosen))
    found = []
    for name in chosen:
        spikes = recording.spikes[name][:, 0].flatten(1)
        firing = spikes.any(0).nonzero().flatten()
        picks = firing[torch.linspace(0, len(firing) - 1, min(NEURONS, len(firing))).long()] if len(firing) else firing
        times = tuple(tuple((spikes[:, i].nonzero().flatten() + 1).tolist()) for i in picks)
        found.append(Raster(name, tuple(picks.tolist()), times))
    return tuple(found)
