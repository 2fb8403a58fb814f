"""The menu of passes: each takes a network and returns a new one."""

from __future__ import annotations

from transpike.passes.base import Pass, apply
from transpike.passes.binary_values import SendBits
from transpike.passes.correct_integers import CorrectIntegers
from transpike.passes.correct_layers import CorrectLayers
from transpike.passes.decode_outputs import DecodeOutputs
from transpike.passes.difference_scales import FitScales
from transpike.passes.differential import CodeDifferentially, InsertDifferenceNeurons, LeastSquares, SplitClips
from transpike.passes.encode_currents import EncodeCurrents
from transpike.passes.encode_input import EncodeInputs
from transpike.passes.faults import (
    FAULT_PASSES,
    DropSpikes,
    FaultPass,
    JitterSpikes,
    KillNeurons,
    LimitRate,
    NoisyWeights,
    SpreadThresholds,
    StickNeurons,
)
from transpike.passes.few_spikes import FewSpikeRelu, FitFewSpikes
from transpike.passes.first_spikes import AnnounceSpikes, HoldPulses
from transpike.passes.fit_window import FitWindow
from transpike.passes.fold_batch_norm import FoldBatchNorm
from transpike.passes.functions import ActOnValues, ComputeOnce, MultiplyMeans, SendActivations
from transpike.passes.insert_neurons import InsertNeurons
from transpike.passes.integers import FitIntegers
from transpike.passes.lif import InvertRateCurve
from transpike.passes.look_ahead import StaggerWindows
from transpike.passes.max_pool import (
    AccumulateMaxPool,
    ActivateBeforePool,
    CompeteForMax,
    GateMaxPool,
    MaxPoolForm,
    PoolBeforeActivation,
    PoolEachStep,
)
from transpike.passes.normalise_weights import NormaliseWeights
from transpike.passes.outputs import CountSpikes, NormaliseOutputs
from transpike.passes.populations import InsertPopulations
from transpike.passes.products import MultiplyCounts
from transpike.passes.relays import InsertRelays
from transpike.passes.restarts import CalibrateOffsets, SilenceByResidual
from transpike.passes.settle import AfterFirstSpikes, AfterShare, AfterSteps, ClampVoltage, DelayReadOut
from transpike.passes.snap_to_grid import SnapToGrid
from transpike.passes.spike_products import MultiplySpikes
from transpike.passes.split_signed import SplitSigned
from transpike.passes.thresholds import (
    MMSE,
    CalibratedThresholds,
    Gaussian,
    Hardware,
    LocalBalance,
    NormalThresholds,
    Percentile,
    PerNeuron,
    PopulationThresholds,
    QuantileThresholds,
    Threshold,
    WeightBound,
    WithMargin,
)
from transpike.passes.trained_thresholds import UseTrainedThresholds
from transpike.passes.write_out import WriteOut

__all__ = [
    "FAULT_PASSES",
    "MMSE",
    "AccumulateMaxPool",
    "ActOnValues",
    "ActivateBeforePool",
    "AfterFirstSpikes",
    "AfterShare",
    "AfterSteps",
    "AnnounceSpikes",
    "CalibrateOffsets",
    "CalibratedThresholds",
    "ClampVoltage",
    "CodeDifferentially",
    "CompeteForMax",
    "ComputeOnce",
    "CorrectIntegers",
    "CorrectLayers",
    "CountSpikes",
    "DecodeOutputs",
    "DelayReadOut",
    "DropSpikes",
    "EncodeCurrents",
    "EncodeInputs",
    "FaultPass",
    "FewSpikeRelu",
    "FitFewSpikes",
    "FitIntegers",
    "FitScales",
    "FitWindow",
    "FoldBatchNorm",
    "GateMaxPool",
    "Gaussian",
    "Hardware",
    "HoldPulses",
    "InsertDifferenceNeurons",
    "InsertNeurons",
    "InsertPopulations",
    "InsertRelays",
    "InvertRateCurve",
    "JitterSpikes",
    "KillNeurons",
    "LeastSquares",
    "LimitRate",
    "LocalBalance",
    "MaxPoolForm",
    "MultiplyCounts",
    "MultiplyMeans",
    "MultiplySpikes",
    "NoisyWeights",
    "NormalThresholds",
    "NormaliseOutputs",
    "NormaliseWeights",
    "Pass",
    "PerNeuron",
    "Percentile",
    "PoolBeforeActivation",
    "PoolEachStep",
    "PopulationThresholds",
    "QuantileThresholds",
    "SendActivations",
    "SendBits",
    "SilenceByResidual",
    "SnapToGrid",
    "SplitClips",
    "SplitSigned",
    "SpreadThresholds",
    "StaggerWindows",
    "StickNeurons",
    "Threshold",
    "UseTrainedThresholds",
    "WeightBound",
    "WithMargin",
    "WriteOut",
    "apply",
]
