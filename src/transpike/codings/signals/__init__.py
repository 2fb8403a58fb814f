"""The menu of signal encodings: name -> code. Each has settings that work as they are."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from transpike.codings.signals.base import Bound, Properties, SignalCode, SpikeTrains, ValueCode
from transpike.codings.signals.binary import BinaryHalves, BinaryPresence, ParallelBinary
from transpike.codings.signals.contrast import MovingWindow, StepForward, ThresholdBased
from transpike.codings.signals.correlation import Amplitude, SparseDistributed
from transpike.codings.signals.filters import BSA, HSA, ModifiedHSA, gamma_kernel, raised_cosine
from transpike.codings.signals.intervals import Burst, InterSpikeInterval
from transpike.codings.signals.optimiser import GAGamma, Solution
from transpike.codings.signals.population import PopulationRate, TuningCurves
from transpike.codings.signals.rate import DensityRate, PoissonRate, RegularRate
from transpike.codings.signals.referenced import FirstSpikeInverse, FirstSpikeLinear, Phase, RankOrder

SIGNAL_CODES: Mapping[str, type[SignalCode]] = MappingProxyType(
    {
        "regular-rate": RegularRate,
        "poisson-rate": PoissonRate,
        "density-rate": DensityRate,
        "population-rate": PopulationRate,
        "tuning-curves": TuningCurves,
        "first-spike-inverse": FirstSpikeInverse,
        "first-spike-linear": FirstSpikeLinear,
        "phase": Phase,
        "rank-order": RankOrder,
        "binary-presence": BinaryPresence,
        "binary-halves": BinaryHalves,
        "inter-spike-interval": InterSpikeInterval,
        "burst": Burst,
        "sparse-distributed": SparseDistributed,
        "amplitude": Amplitude,
        "parallel-binary": ParallelBinary,
        "hsa": HSA,
        "modified-hsa": ModifiedHSA,
        "bsa": BSA,
        "gagamma": GAGamma,
        "threshold-based": ThresholdBased,
        "step-forward": StepForward,
        "moving-window": MovingWindow,
    }
)

__all__ = [
    "BSA",
    "HSA",
    "SIGNAL_CODES",
    "Amplitude",
    "BinaryHalves",
    "BinaryPresence",
    "Bound",
    "Burst",
    "DensityRate",
    "FirstSpikeInverse",
    "FirstSpikeLinear",
    "GAGamma",
    "InterSpikeInterval",
    "ModifiedHSA",
    "MovingWindow",
    "ParallelBinary",
    "Phase",
    "PoissonRate",
    "PopulationRate",
    "Properties",
    "RankOrder",
    "RegularRate",
    "SignalCode",
    "Solution",
    "SparseDistributed",
    "SpikeTrains",
    "StepForward",
    "ThresholdBased",
    "TuningCurves",
    "ValueCode",
    "gamma_kernel",
    "raised_cosine",
]
