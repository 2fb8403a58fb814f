"""The menu of corrections of a layer, which a recipe applies in order."""

from __future__ import annotations

from transpike.passes.corrections.base import Correction
from transpike.passes.corrections.bias import ForwardTemporalBias, MatchCurrent, MatchOutput
from transpike.passes.corrections.distribution import ShiftDistribution
from transpike.passes.corrections.height import FitHeight, FitHeights
from transpike.passes.corrections.potential import MatchPotential
from transpike.passes.corrections.threshold import SearchThreshold
from transpike.passes.corrections.weights import RidgeWeights
from transpike.passes.corrections.whole import RoundAgain, RoundNeurons

__all__ = [
    "Correction",
    "FitHeight",
    "FitHeights",
    "ForwardTemporalBias",
    "MatchCurrent",
    "MatchOutput",
    "MatchPotential",
    "RidgeWeights",
    "RoundAgain",
    "RoundNeurons",
    "SearchThreshold",
    "ShiftDistribution",
]
