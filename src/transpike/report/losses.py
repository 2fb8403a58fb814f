"""Figures of a diagnosis: where errors come from, and how they grow."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from transpike.analysis import LayerLoss, Report
from transpike.analysis.diagnosis import CAUSES
from transpike.report.curves import log_axis
from transpike.report.layers import name_rows, row_height
from transpike.report.style import BLACK, BLUE, HEIGHT, ORANGE, SKY, SMALL, VERMILION, empty_figure, new_figure, styled
from transpike.report.wording import number, power

LEGEND = 0.45  # inch above the bars
PALE = "#c9c9c9"
COLOURS: Mapping[str, str] = MappingProxyType(
    {"clipping": ORANGE, "quantisation": SKY, "unevenness": VERMILION, "inherited": PALE}
)
NOT_DIAGNOSED = "This report holds no diagnosis."


@styled
def loss_by_layer(report: Report) -> Figure:
    """Draw the relative error of each layer as a bar, divided by cause in proportion to the mean squares of the parts."""
    layers = report.diagnosis.layers if report.diagnosis else ()
    if not layers:
        return empty_figure(NOT_DIAGNOSED)
    figure = new_figure(row_height(len(layers)) + LEGEND)
    axes = figure.subplots()
    lengths = [layer.relative_error for layer in layers]
    reached = [0.0] * len(layers)
    for cause in CAUSES:
        widths = [length * layer.share(cause) for length, layer in zip(lengths, layers, strict=True)]
        bars = axes.barh(range(len(layers)), widths, 0.72, reached, color=COLOURS[cause], label=worded(cause))
        reached = [start + width for start, width in zip(reached, widths, strict=True)]
    stride = name_rows(axes, layers)
    shown = [number(100 * length, 1) if i % stride == 0 else "" for i, length in enumerate(lengths)]
    axes.bar_label(bars, shown, padding=2, fontsize=SMALL)
    axes.set_xlim(0, 1.16 * (max(lengths) or 1.0))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
    axes.set_xlabel("Relative error (%)")
    axes.grid(visible=False, axis="y")
    figure.legend(loc="outside upper left", ncols=4, columnspacing=0.8, handletextpad=0.4, handlelength=1.0)
    return figure


def worded(cause: str) -> str:
    """Return the name of a cause in a legend."""
    return "inherited" if cause == "inherited" else f"own {cause}"


@styled
def error_growth(report: Report) -> Figure:
    """Draw each layer's error, and its growth on the way to the answer, against what the product of norms allows."""
    layers = report.diagnosis.layers if report.diagnosis else ()
    if not layers:
        return empty_figure(NOT_DIAGNOSED)
    figure = new_figure(1.75 * HEIGHT)
    above, below = figure.subplots(2, 1, sharex=True)
    draw_pair(above, layers, "relative_error", "relative_bound")
    above.set_ylabel("Error / activation")
    draw_pair(below, layers, "growth", "growth_bound")
    below.set_ylabel("Growth to the answer")
    below.set_xlabel("Layer of neurons, from input to output")
    below.xaxis.set_major_locator(MaxNLocator(12, integer=True, min_n_ticks=1))
    below.set_xlim(0.5, len(layers) + 0.5)
    figure.legend(handles=above.get_lines(), loc="outside upper left", ncols=2)
    return figure


def draw_pair(axes: Axes, layers: tuple[LayerLoss, ...], measured: str, bound: str) -> None:
    """Draw a measured field of each layer and the field that bounds it, on a logarithmic axis."""
    places = range(1, len(layers) + 1)
    drawn = {name: [getattr(layer, name) for layer in layers] for name in (measured, bound)}
    look: dict[str, Any] = {"color": BLACK, "linestyle": (0, (5, 3)), "linewidth": 1.2, "markersize": 3}
    axes.plot(places, drawn[bound], "o", label="bound: product of norms", **look)
    axes.plot(places, drawn[measured], "o-", color=BLUE, markersize=4, zorder=3, label="measured")
    values = [value for name in drawn for value in drawn[name]]
    log_axis(axes.yaxis, values, power)
