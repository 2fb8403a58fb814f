"""The menu of passes: each takes a network and returns a new one."""

from __future__ import annotations

from transpike.passes.base import Pass, apply
from transpike.passes.decode_outputs import DecodeOutputs
from transpike.passes.differential import CodeDifferentially, InsertMultiThreshold, LeastSquares, SplitClips
from transpike.passes.encode_input import EncodeInputs
from transpike.passes.fold_batch_norm import FoldBatchNorm
from transpike.passes.insert_neurons import InsertNeurons
from transpike.passes.max_pool import (
    AccumulateMaxPool,
    ActivateBeforePool,
    CompeteForMax,
    GateMaxPool,
    MaxPoolForm,
    PoolBeforeActivation,
    PoolEachStep,
)
from transpike.passes.outputs import CountSpikes, NormaliseOutputs
from transpike.passes.split_signed import SplitSigned
from transpike.passes.thresholds import Percentile, Threshold

__all__ = [
    "AccumulateMaxPool",
    "ActivateBeforePool",
    "CodeDifferentially",
    "CompeteForMax",
    "CountSpikes",
    "DecodeOutputs",
    "EncodeInputs",
    "FoldBatchNorm",
    "GateMaxPool",
    "InsertMultiThreshold",
    "InsertNeurons",
    "LeastSquares",
    "MaxPoolForm",
    "NormaliseOutputs",
    "Pass",
    "Percentile",
    "PoolBeforeActivation",
    "PoolEachStep",
    "SplitClips",
    "SplitSigned",
    "Threshold",
    "apply",
]
