"""Figures of what was predicted and of what a search found."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transpike.prediction import Estimate, Prediction
from transpike.report.curves import log_axis, percent_axis, time_axis
from transpike.report.style import BLACK, BLUE, HEIGHT, ORANGE, SKY, VERMILION, new_figure, styled
from transpike.report.wording import plain
from transpike.selection import Selection, Trial


@styled
def predicted_over_time(prediction: Prediction) -> Figure:
    """Draw the estimates against time steps, the best ones with their band; without labels, agreement with the ANN."""
    figure = new_figure()
    axes = figure.subplots()
    draw_estimates(axes, prediction.over_time, "Estimated", color=SKY if prediction.corrected else BLUE)
    if prediction.corrected:
        draw_estimates(axes, prediction.corrected, f"with {prediction.simulated} samples simulated", color=BLUE)
    steps = [estimate.time_steps for estimate in prediction.best]
    bands = [(estimate.band or 0.0) / 100 for estimate in prediction.best]
    low = [max(0.0, estimate.value - band) for estimate, band in zip(prediction.best, bands, strict=True)]
    high = [min(1.0, estimate.value + band) for estimate, band in zip(prediction.best, bands, strict=True)]
    axes.fill_between(steps, low, high, color=SKY, alpha=0.3, linewidth=0, label="as far off as measured")
    line: dict[str, Any] = {"linestyle": (0, (5, 3)), "linewidth": 1.2}
    axes.axhline(prediction.clipped.value, color=ORANGE, label="limit of many steps (clipped)", **line)
    if prediction.reference_accuracy is not None:
        axes.axhline(prediction.reference_accuracy, color=BLACK, label="ANN", **line)
    time_axis(axes, steps[-1])
    percent_axis(axes, "agreement" if prediction.clipped.accuracy is None else "accuracy")
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def draw_estimates(axes: Axes, estimates: Sequence[Estimate], label: str, **look: Any) -> None:
    """Draw a list of estimates."""
    steps, values = [one.time_steps for one in estimates], [one.value for one in estimates]
    axes.plot(steps, values, marker="o", markersize=4, label=label, zorder=3, **look)


@styled
def search_front(selection: Selection) -> Figure:
    """Draw every trial of a search: accuracy (agreement without labels) against latency above, against spikes below.

    Where nothing is chosen among classes, the error of the output takes the place of accuracy.

    Trials within the limits that no other beats are filled, the one that was chosen is a star.
    """
    figure = new_figure(1.7 * HEIGHT)
    measures = ("accuracy", "agreement")
    known = (name for name in measures if all(getattr(one, name) is not None for one in selection.trials))
    measure = next(known, "output_error")
    latency, spikes = figure.subplots(2, 1)
    draw_trials(latency, selection, measure, lambda one: one.latency)
    draw_trials(spikes, selection, measure, lambda one: one.spikes_per_neuron)
    time_axis(latency, selection.limits.time_steps)
    log_axis(spikes.xaxis, [one.spikes_per_neuron for one in selection.trials], plain)
    spikes.set_xlabel("Spikes per neuron and sample")
    handles, labels = latency.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2)
    return figure


def draw_trials(axes: Axes, selection: Selection, measure: str, place: Callable[[Trial], float]) -> None:
    """Draw trials in three kinds: outside the limits, within, not beaten; and the best."""
    front = set(selection.front)
    within = [one for one in selection.within if one not in front]
    outside = [one for one in selection.trials if selection.limits.excess(one) > 0]
    best = [] if selection.best is None else [selection.best]
    kinds: tuple[tuple[Sequence[Trial], str, str, dict[str, Any]], ...] = (
        (outside, "x", "outside the limits", {"color": VERMILION, "markersize": 5}),
        (within, "o", "within the limits", {"color": SKY, "markersize": 5, "markerfacecolor": "white"}),
        (selection.front, "o", "not beaten", {"color": BLUE, "markersize": 5}),
        (best, "*", "chosen", {"color": ORANGE, "markeredgecolor": "white", "markersize": 14}),
    )
    for trials, marker, label, look in kinds:
        if trials:
            values = [math.sqrt(one.divergence) if measure == "output_error" else getattr(one, measure) for one in trials]
            axes.plot([place(one) for one in trials], values, marker, linestyle="", label=label, **look)
    percent_axis(axes, measure)
