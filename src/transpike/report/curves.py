"""Figures over time steps and over energy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from transpike.analysis import Checkpoint, Report
from transpike.analysis.energy import Energy
from transpike.errors import choose
from transpike.report.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    HEIGHT,
    ORANGE,
    SKY,
    SMALL,
    VERMILION,
    empty_figure,
    new_figure,
    styled,
)
from transpike.report.wording import accuracy_digits, percent, plain, short, tick

FEW_STEPS = 16  # up to here each step gets a dot
MOST_TICKS = 11
CLOSE = 1.4  # checkpoints nearer than this factor share a label
NARROW, NARROWEST = 100, 6  # a logarithmic axis over less has ticks at 2 and 5 as well, or at every digit
LATENCY_MARKS = (("D", ORANGE), ("v", VERMILION), ("s", GREEN))
OTHERS = (SKY, ORANGE, GREEN, VERMILION, GREY)
MEASURES = {
    "accuracy": "Accuracy (%)",
    "agreement": "Agreement with the ANN (%)",
    "output_error": "Relative output error (%)",
}


@styled
def accuracy_over_time(report: Report) -> Figure:
    """Draw accuracy (agreement, if known) against time steps; without labels, the error of the output."""
    if report.accuracy is None:
        return error_over_time(report)
    figure = new_figure()
    axes = figure.subplots()
    draw_steps(axes, report.accuracy, "SNN", color=BLUE, zorder=3)
    if report.agreement is not None:
        draw_steps(axes, report.agreement, "SNN agrees with ANN", color=SKY, linewidth=1, zorder=2)
    if report.reference_accuracy is not None:
        label = f"ANN, {percent(report.reference_accuracy, accuracy_digits(report.samples))}"
        axes.axhline(report.reference_accuracy, color=BLACK, linestyle=(0, (5, 3)), linewidth=1.2, label=label)
    reached = [(name, step) for name, step in report.latency.items() if step is not None]
    for (name, step), (marker, colour) in zip(reached, LATENCY_MARKS, strict=False):
        label = f"{name.replace('%', ' %')} of ANN: step {step}"
        look: dict[str, Any] = {"color": colour, "markeredgecolor": "white", "markersize": 9, "linestyle": "", "zorder": 4}
        axes.plot([step], [report.accuracy[step - 1]], marker, label=label, **look)
    time_axis(axes, report.time_steps)
    percent_axis(axes, "accuracy")
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def error_over_time(report: Report) -> Figure:
    """Draw the output error against time steps on logarithmic axes, and the agreement below if it is known."""
    figure = new_figure(HEIGHT if report.agreement is None else 1.5 * HEIGHT)
    panels = figure.subplots(1 if report.agreement is None else 2, 1, sharex=True, squeeze=False)[:, 0]
    for number, (key, errors) in enumerate(report.output_errors.items()):
        draw_steps(panels[0], errors, short(key), color=OTHERS[number % len(OTHERS)], linewidth=1)
    draw_steps(panels[0], report.output_error, "all outputs" if report.output_errors else "SNN", color=BLUE)
    if report.output_errors:
        panels[0].legend(loc="best", fontsize=SMALL, ncols=2)
    everything = [*report.output_error, *(error for errors in report.output_errors.values() for error in errors)]
    log_axis(panels[0].yaxis, everything, lambda value: plain(100 * value))
    panels[0].set_ylabel(MEASURES["output_error"])
    if report.agreement is not None:
        draw_steps(panels[1], report.agreement, "SNN", color=BLUE)
        percent_axis(panels[1], "agreement")
    time_axis(panels[-1], report.time_steps)
    return figure


@styled
def metrics_over_time(report: Report) -> Figure:
    """Draw what else was measured against time steps, a panel for each metric, with the ANN's value as a line."""
    count = len(report.metrics)
    if not count:
        return empty_figure("No metric was asked for.")
    figure = new_figure(HEIGHT * (0.4 + 0.6 * count))
    panels = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    for axes, one in zip(panels, report.metrics, strict=True):
        axes.plot(one.steps, one.values, "o-", markersize=4, color=BLUE, label="SNN", zorder=3)
        axes.axhline(one.reference, color=BLACK, linestyle=(0, (5, 3)), linewidth=1.2, label="ANN")
        axes.set_ylabel(short(one.name))
        axes.margins(y=0.12)
    time_axis(panels[-1], report.time_steps)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


@styled
def operations_over_time(report: Report) -> Figure:
    """Draw synaptic operations per sample at each checkpoint against the multiply-accumulates of the ANN."""
    figure = new_figure()
    axes = figure.subplots()
    steps = [point.time_steps for point in report.checkpoints]
    operations = [point.synaptic_operations for point in report.checkpoints]
    axes.plot(steps, operations, "o-", color=BLUE, label="SNN: synaptic operations", zorder=3)
    look: dict[str, Any] = {"color": BLACK, "linestyle": (0, (5, 3)), "linewidth": 1.2}
    axes.axhline(report.ann_connections, label="ANN: multiply-accumulates", **look)
    time_axis(axes, report.time_steps)
    log_axis(axes.yaxis, [*operations, report.ann_connections])
    axes.set_ylabel("Operations per sample")
    figure.legend(loc="outside upper left", ncols=2)
    return figure


@styled
def accuracy_against_energy(report: Report, model: str | None = None) -> Figure:
    """Draw accuracy at the checkpoints against energy per sample under an energy model (default: the first).

    Without labels, agreement with the ANN takes the place of accuracy, or else the error of the output. Raises
    ArgumentError if the report knows no such energy model.
    """
    measure = "accuracy" if report.accuracy else "agreement" if report.agreement else "output_error"
    points = [(point, energy_under(point, model)) for point in report.checkpoints]
    heights = [getattr(report, measure)[point.time_steps - 1] for point, _ in points]
    kept, anew = [energy.snn for _, energy in points], [energy.snn_recomputed for _, energy in points]
    ann = points[-1][1].ann
    top = {"accuracy": report.reference_accuracy, "agreement": 1.0, "output_error": 0.0}[measure]
    figure = new_figure()
    axes = figure.subplots()
    look: dict[str, Any] = {"color": SKY, "linestyle": "--", "linewidth": 1, "markersize": 4, "markerfacecolor": "white"}
    axes.plot(anew, heights, "o", label="first layer anew each step", **look)
    axes.plot(kept, heights, "o-", color=BLUE, label="SNN after T steps", zorder=3)
    if top is not None:
        star: dict[str, Any] = {"color": VERMILION, "markeredgecolor": "white", "markersize": 15, "linestyle": ""}
        axes.plot([ann], [top], "*", label="ANN", zorder=4, **star)
    below = measure == "output_error"
    for point, x, y in labelled(report.checkpoints, kept, heights):
        offset = (4, 4) if below else (4, -12)
        axes.annotate(f"{point.time_steps}", (x, y), offset, textcoords="offset points", fontsize=SMALL, color=BLACK)
    log_axis(axes.xaxis, [*kept, *anew, ann], plain)
    axes.set_xlabel("Energy per sample (µJ), arithmetic only")
    percent_axis(axes, measure)
    figure.legend(loc="outside upper left", ncols=3, columnspacing=0.8, handletextpad=0.4)
    return figure


def energy_under(point: Checkpoint, model: str | None) -> Energy:
    """Return the energy of a checkpoint under a model by name, or under the first."""
    known = {energy.model: energy for energy in point.energy}
    return known[choose("energy model", model, known)] if model is not None else point.energy[0]


def labelled(
    checkpoints: Sequence[Checkpoint], xs: Sequence[float], ys: Sequence[float]
) -> list[tuple[Checkpoint, float, float]]:
    """Return the checkpoints whose labels have room, with their places; the last always has."""
    following = [*(later.time_steps for later in checkpoints[1:]), math.inf]
    rows = zip(checkpoints, xs, ys, following, strict=True)
    return [(point, x, y) for point, x, y, after in rows if after > CLOSE * point.time_steps]


def draw_steps(axes: Axes, values: Sequence[float], label: str, **look: Any) -> None:
    """Draw one value per time step, the first after step 1."""
    marker = "o" if len(values) <= FEW_STEPS else ""
    axes.plot(range(1, len(values) + 1), values, marker=marker, markersize=4, label=label, **look)


def time_axis(axes: Axes, time_steps: int) -> None:
    """Make the x axis one of time steps, doubling from tick to tick."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(1 / 1.12, time_steps * 1.12)
    stride = 1 + int(math.log2(time_steps)) // MOST_TICKS
    axes.xaxis.set_major_locator(FixedLocator([2.0**k for k in range(0, time_steps.bit_length(), stride)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    axes.set_xlabel("Time steps")


def percent_axis(axes: Axes, measure: str) -> None:
    """Make the y axis one of percent, for values that are fractions."""
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
    axes.set_ylabel(MEASURES[measure])
    axes.margins(y=0.12)


def log_axis(axis: Axis, values: Sequence[float], words: Callable[[float], str] = tick) -> None:
    """Make an axis logarithmic with plain tick labels, if any of its values can be shown on one."""
    positive = [value for value in values if value > 0 and math.isfinite(value)]
    axes: Any = axis.axes
    set_scale, set_limits = (axes.set_xscale, axes.set_xlim) if axis is axes.xaxis else (axes.set_yscale, axes.set_ylim)
    if not positive:
        set_limits(-0.05, 1)
        return
    set_scale("log", nonpositive="mask")
    low, high = min(positive) / 1.35, max(positive) * 1.35
    set_limits(low, high)
    axis.set_major_locator(LogLocator(base=10, subs=tick_positions(high / low), numticks=12))
    axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(FuncFormatter(lambda value, _: words(value)))
    axis.set_tick_params(which="minor", color=GREY, length=2)


def tick_positions(span: float) -> tuple[float, ...]:
    """Return where in a decade ticks stand on a logarithmic axis over a factor of `span`, so that two are seen."""
    if span < NARROWEST:
        return tuple(float(digit) for digit in range(1, 10))
    return (1.0, 2.0, 5.0) if span < NARROW else (1.0,)
