"""Choose how to convert: the recipe within limits, and the percentile, without test data."""

from __future__ import annotations

from transpike.selection.exploration import search
from transpike.selection.noise import NoiseChoice, NoiseLoss, percentile_by_noise
from transpike.selection.trials import Limits, Selection, Trial, pareto_front

__all__ = ["Limits", "NoiseChoice", "NoiseLoss", "Selection", "Trial", "pareto_front", "percentile_by_noise", "search"]
