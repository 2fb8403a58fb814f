"""The menu of rules that give neurons their thresholds."""

from __future__ import annotations

from transpike.passes.thresholds.balance import LocalBalance
from transpike.passes.thresholds.base import Found, Layer, PerNeuron, Streamed, Threshold
from transpike.passes.thresholds.gaussian import Gaussian
from transpike.passes.thresholds.margin import WithMargin
from transpike.passes.thresholds.percentile import Percentile
from transpike.passes.thresholds.populations import (
    CalibratedThresholds,
    Hardware,
    NormalThresholds,
    PopulationThresholds,
    QuantileThresholds,
)
from transpike.passes.thresholds.quantisation import MMSE
from transpike.passes.thresholds.weights import WeightBound

__all__ = [
    "MMSE",
    "CalibratedThresholds",
    "Found",
    "Gaussian",
    "Hardware",
    "Layer",
    "LocalBalance",
    "NormalThresholds",
    "PerNeuron",
    "Percentile",
    "PopulationThresholds",
    "QuantileThresholds",
    "Streamed",
    "Threshold",
    "WeightBound",
    "WithMargin",
]
