"""The menu of faults: what goes wrong in hardware, as passes on any spiking network."""

from __future__ import annotations

from transpike.passes.faults.base import FaultPass
from transpike.passes.faults.drop_spikes import DropSpikes
from transpike.passes.faults.jitter_spikes import JitterSpikes
from transpike.passes.faults.kill_neurons import KillNeurons
from transpike.passes.faults.limit_rate import LimitRate
from transpike.passes.faults.noisy_weights import NoisyWeights
from transpike.passes.faults.spread_thresholds import SpreadThresholds
from transpike.passes.faults.stick_neurons import StickNeurons

FAULT_PASSES: dict[str, type[FaultPass]] = {  # in the order in which they are put on: parameters before spikes
    "threshold-spread": SpreadThresholds,
    "weight-noise": NoisyWeights,
    "dead": KillNeurons,
    "stuck": StickNeurons,
    "drop": DropSpikes,
    "jitter": JitterSpikes,
    "pause": LimitRate,
}

__all__ = [
    "FAULT_PASSES",
    "DropSpikes",
    "FaultPass",
    "JitterSpikes",
    "KillNeurons",
    "LimitRate",
    "NoisyWeights",
    "SpreadThresholds",
    "StickNeurons",
]
