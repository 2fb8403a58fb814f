"""Figures of single neurons: current, potential and spikes, and what the length of a step costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transpike.neurons.models import Course, StepError, orders, strong_then_weak, three_pulses
from transpike.report.curves import log_axis
from transpike.report.style import BLACK, BLUE, GREEN, GREY, HEIGHT, ORANGE, SMALL, VERMILION, new_figure, styled
from transpike.report.wording import number, plain

COLOURS = {"Euler": VERMILION, "Runge-Kutta": GREEN, "exact": BLUE}
TALL = 0.35  # of the range of the potential: how high a spike is drawn whose equations give it no height
MARKS = ("o", "s", "D", "^")


@styled
def draw_course(course: Course) -> Figure:
    """Draw the current, the potential and the spikes of a neuron against time."""
    figure = new_figure(HEIGHT + 0.4)
    current, voltage, spikes = figure.subplots(3, 1, sharex=True, height_ratios=(1, 2.6, 0.35))
    draw_current(current, course)
    draw_voltage(voltage, course, BLUE)
    draw_spikes(spikes, course)
    return figure


def draw_current(axes: Axes, course: Course) -> None:
    """Draw the current; where there are only pulses, these, as high as their charge."""
    axes.plot(course.times, course.current, color=BLACK, linewidth=1.4)
    axes.set_ylabel(f"I{unit(course.equations.current_unit)}")
    if course.pulses and not course.current.any():
        moments, sizes = zip(*course.pulses, strict=True)
        axes.vlines(moments, 0, sizes, color=BLACK, linewidth=1.6)
        axes.set_ylabel("pulses")
    axes.margins(x=0, y=0.15)


def draw_voltage(axes: Axes, course: Course, colour: str, **look: Any) -> None:
    """Draw the potential; spikes that a linear model only notes are drawn as lines above its threshold."""
    model, voltage = course.equations, course.voltage
    axes.plot(course.times, voltage, color=colour, linewidth=1.6, **look)
    if model.linear and len(course.spikes):
        before = voltage[np.searchsorted(course.times, course.spikes)]
        top = getattr(model, "threshold", voltage.max()) + TALL * np.ptp(voltage)
        axes.vlines(course.spikes, before, top, color=colour, linewidth=1.6)
    axes.set_ylabel(f"{model.shown}{unit(model.variables[model.shown])}")
    axes.margins(x=0, y=0.1)


def draw_spikes(axes: Axes, course: Course) -> None:
    """Draw the spikes as marks on a line, above the axis of time."""
    axes.eventplot(course.spikes, colors=BLACK, linewidths=1.6, lineoffsets=0.5, linelengths=0.8)
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.set_ylabel("spikes", rotation=0, ha="right", va="center", fontsize=SMALL)
    axes.set_xlim(0, course.duration)
    axes.set_xlabel(time_label(course.equations))


@styled
def draw_step_errors(course: Course, errors: Sequence[StepError]) -> Figure:
    """Draw the potential in the longest steps beside the solution, and below the errors against the length of the step."""
    figure = new_figure(1.9 * HEIGHT)
    above, height, late = figure.subplots(3, 1, height_ratios=(1.2, 1, 1))
    model = course.equations
    above.plot(course.times, course.voltage, color=BLACK, linewidth=2.4, label="solution")
    longest = max((each for each in errors if each.steps is not None), key=lambda each: each.dt, default=None)
    for each in errors:
        if each.steps is not None and longest is not None and each.dt == longest.dt:
            values = each.steps[model.shown].numpy()
            times = each.dt * np.arange(len(values))
            label = f"{each.method}, dt = {plain(each.dt)}"
            above.plot(times, values, color=COLOURS[each.method], linewidth=1.1, label=label)
    above.set_xlim(0, course.duration)
    above.set_xlabel(time_label(model))
    above.set_ylabel(f"{model.shown}{unit(model.variables[model.shown])}")
    draw_errors(height, course, errors, "error", f"Error of {model.shown}{unit(model.variables[model.shown])}")
    draw_errors(late, course, errors, "late", f"Spikes off by{unit(model.time_unit)}")
    late.set_xlabel(f"Step dt{unit(model.time_unit)}")
    figure.legend(*above.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


def draw_errors(axes: Axes, course: Course, errors: Sequence[StepError], what: str, label: str) -> None:
    """Draw one kind of error against the step on logarithmic axes, each method with its fitted order."""
    fitted = orders(course, errors)
    drawn: list[float] = []
    for (name, both), mark in zip(fitted.items(), MARKS, strict=False):
        points = [(each.dt, getattr(each, what)) for each in errors if each.method == name and getattr(each, what)]
        order = both[what == "late"]
        words = name if order is None else f"{name}: order {number(order, 1)}"
        axes.plot(*zip(*points, strict=True), f"{mark}-", color=COLOURS[name], markersize=4, label=words) if points else None
        drawn.extend(value for _, value in points)
    axes.set_ylabel(label)
    log_axis(axes.xaxis, [each.dt for each in errors], plain)
    log_axis(axes.yaxis, drawn)
    if drawn:
        axes.legend(loc="best", fontsize=SMALL)


@styled
def draw_strong_then_weak() -> Figure:
    """Draw figure 2.4 of the thesis: three neurons under a strong current and a weak one."""
    courses = strong_then_weak()
    figure = new_figure(1.75 * HEIGHT)
    figure.set_layout_engine("none")  # the solver of the layout differs in the last bit from run to run with four panels
    places = {"left": 0.14, "right": 0.98, "top": 0.985, "bottom": 0.085, "hspace": 0.45}
    panels = figure.subplots(1 + len(courses), 1, sharex=True, height_ratios=(0.7, 1.2, 1, 1), gridspec_kw=places)
    draw_current(panels[0], next(iter(courses.values())))
    panels[0].set_ylabel("I (µA/cm²)")
    for axes, (name, course), colour in zip(panels[1:], courses.items(), (VERMILION, BLUE, GREEN), strict=True):
        draw_voltage(axes, course, colour)
        threshold_line(axes, course)
        axes.set_title(f"{name}: {counted(course)}", loc="left", fontsize=SMALL)
    panels[-1].set_xlabel("Time (ms)")
    return figure


@styled
def draw_three_pulses() -> Figure:
    """Draw figure 2.5 of the thesis: three spikes into a neuron with a leak and into one without."""
    courses = three_pulses()
    figure = new_figure(1.3 * HEIGHT)
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    for axes, letter, ((name, times), course) in zip(panels.flat, "abcd", courses.items(), strict=True):
        draw_voltage(axes, course, BLUE if name == "LIF" else GREEN)
        threshold_line(axes, course)
        axes.plot(times, [-0.12] * len(times), "^", color=ORANGE, markersize=6, clip_on=False)
        words = " ".join(f"{time:g}" for time in times)
        axes.set_title(f"{letter}  {name}, spikes at {words} ms: {counted(course)}", loc="left", fontsize=SMALL - 1.5)
        axes.set_ylabel("")
        axes.set_ylim(-0.22, 1.5)
    for axes in panels[:, 0]:
        axes.set_ylabel("u / threshold")
    for axes in panels[1]:
        axes.set_xlabel("Time (ms)")
    return figure


def threshold_line(axes: Axes, course: Course) -> None:
    """Draw the threshold of a neuron that has a constant one."""
    threshold = getattr(course.equations, "threshold", None)
    if threshold is not None:
        axes.axhline(threshold, color=GREY, linestyle=(0, (4, 3)), linewidth=1)


def counted(course: Course) -> str:
    """Word a number of spikes."""
    number = len(course.spikes)
    return "no spike" if not number else f"{number} spike{'s' * (number > 1)}"


def time_label(model: Any) -> str:
    """Return the name of the axis of time."""
    return f"Time{unit(model.time_unit)}"


def unit(name: str) -> str:
    """Return a unit in brackets; nothing for numbers without one."""
    return "" if name == "1" else f" ({name})"
