"""The picture of what a network bears."""

from __future__ import annotations

from matplotlib.figure import Figure

from transpike.analysis import Tolerance
from transpike.report.curves import percent_axis
from transpike.report.style import BLACK, BLUE, new_figure, styled


@styled
def accuracy_against_faults(result: Tolerance) -> Figure:
    """Draw the accuracy against the level of a fault: the mean over draws, and each draw."""
    figure = new_figure()
    axes = figure.subplots()
    axes.plot([row.level for row in result.rows], [row.mean for row in result.rows], color=BLUE, label="mean over draws")
    for row in result.rows:
        axes.plot([row.level] * len(row.accuracy), row.accuracy, "o", color=BLUE, markersize=3, alpha=0.5)
    axes.axhline(result.reference_accuracy, color=BLACK, linestyle=(0, (5, 3)), linewidth=1.2, label="ANN")
    axes.set_xlabel(result.fault)
    percent_axis(axes, "accuracy")
    figure.legend(loc="outside upper left", ncols=2)
    return figure
