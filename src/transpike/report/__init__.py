"""A report for people: its figures, each also for papers, and the page that gathers everything in one file."""

from __future__ import annotations

from transpike.report.bearing import accuracy_against_faults
from transpike.report.courses import draw_course, draw_step_errors, draw_strong_then_weak, draw_three_pulses
from transpike.report.curves import accuracy_against_energy, accuracy_over_time, metrics_over_time, operations_over_time
from transpike.report.document import page, write_page
from transpike.report.encodings import draw_code
from transpike.report.figures import FIGURES, Drawing
from transpike.report.layers import firing_rates, layer_errors, spike_raster
from transpike.report.losses import error_growth, loss_by_layer
from transpike.report.plans import predicted_over_time, search_front
from transpike.report.style import save_figure

__all__ = [
    "FIGURES",
    "Drawing",
    "accuracy_against_energy",
    "accuracy_against_faults",
    "accuracy_over_time",
    "draw_code",
    "draw_course",
    "draw_step_errors",
    "draw_strong_then_weak",
    "draw_three_pulses",
    "error_growth",
    "firing_rates",
    "layer_errors",
    "loss_by_layer",
    "metrics_over_time",
    "operations_over_time",
    "page",
    "predicted_over_time",
    "save_figure",
    "search_front",
    "spike_raster",
    "write_page",
]
