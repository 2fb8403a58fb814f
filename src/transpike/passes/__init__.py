"""The menu of passes: each takes a network and returns a new one."""

from __future__ import annotations

from transpike.passes.base import Pass, apply
from transpike.passes.decode_outputs import DecodeOutputs
from transpike.passes.encode_input import EncodeAsPoisson
from transpike.passes.fold_batch_norm import FoldBatchNorm
from transpike.passes.insert_neurons import InsertNeurons
from transpike.passes.lif import InvertRateCurve
from transpike.passes.max_pool import AccumulateMaxPool, PoolBeforeActivation
from transpike.passes.restarts import CalibrateOffsets, SilenceByResidual
from transpike.passes.split_signed import SplitSigned
from transpike.passes.thresholds import Percentile, Threshold

__all__ = [
    "AccumulateMaxPool",
    "CalibrateOffsets",
    "DecodeOutputs",
    "EncodeAsPoisson",
    "FoldBatchNorm",
    "InsertNeurons",
    "InvertRateCurve",
    "Pass",
    "Percentile",
    "PoolBeforeActivation",
    "SilenceByResidual",
    "SplitSigned",
    "Threshold",
    "apply",
]
