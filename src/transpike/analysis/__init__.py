"""What a conversion cost: accuracy over time, errors and rates per layer, operations, energy, findings in words."""

from __future__ import annotations

from transpike.analysis.bearing import Borne, Tolerance, faulty, tolerance
from transpike.analysis.causes import diagnose
from transpike.analysis.diagnosis import Diagnosis, LayerLoss
from transpike.analysis.draws import Drawn, Draws, draw_populations
from transpike.analysis.evaluation import evaluate
from transpike.analysis.language import Perplexity, perplexity
from transpike.analysis.measures import MEASURES
from transpike.analysis.metric import Measured, Metric
from transpike.analysis.report import Checkpoint, Exits, Layer, Raster, Report, Turns

__all__ = [
    "MEASURES",
    "Borne",
    "Checkpoint",
    "Diagnosis",
    "Drawn",
    "Draws",
    "Exits",
    "Layer",
    "LayerLoss",
    "Measured",
    "Metric",
    "Perplexity",
    "Raster",
    "Report",
    "Tolerance",
    "Turns",
    "diagnose",
    "draw_populations",
    "evaluate",
    "faulty",
    "perplexity",
    "tolerance",
]
