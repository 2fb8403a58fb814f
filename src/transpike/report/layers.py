"""Figures with one row or panel per layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from transpike.analysis import Layer, LayerLoss, Raster, Report
from transpike.analysis.findings import POOR_LAYER
from transpike.errors import choose
from transpike.report.style import BLUE, GREY, SMALL, VERMILION, empty_figure, new_figure, styled
from transpike.report.wording import number, short

ROW = 0.19  # inch
LEGENDS = 0.75  # inch above a heat map
TALLEST = 14.0  # inch: beyond, not every row is named
FAINTEST = 1e-4  # shares below one in ten thousand look alike
MANY_SPIKES = 4000  # beyond, spikes become pixels, or the file would grow without bound


@styled
def layer_errors(report: Report) -> Figure:
    """Draw the relative error of each layer's decoded activation as bars in network order."""
    layers = report.layers
    if not layers:
        return empty_figure("This network has no layer of neurons.")
    figure = new_figure(row_height(len(layers)))
    axes = figure.subplots()
    widest = max((layer.error for layer in layers if math.isfinite(layer.error)), default=0.0) or 1.0
    widths = [0.0 if math.isnan(layer.error) else min(layer.error, widest) for layer in layers]
    colours = [VERMILION if layer.error > POOR_LAYER else BLUE for layer in layers]
    bars = axes.barh(range(len(layers)), widths, 0.72, color=colours)
    worded = [number(100 * layer.error, 1) for layer in layers]
    stride = name_rows(axes, layers)
    shown = [text if i % stride == 0 else "" for i, text in enumerate(worded)]
    clear = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}  # of the dotted line
    axes.bar_label(bars, shown, padding=2, fontsize=SMALL, bbox=clear)
    if widest > POOR_LAYER:
        axes.axvline(POOR_LAYER, color=GREY, linestyle=":", linewidth=1.2)
    axes.set_xlim(0, 1.16 * widest)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
    axes.set_xlabel("Relative error (%)")
    axes.grid(visible=False, axis="y")
    return figure


@styled
def firing_rates(report: Report) -> Figure:
    """Draw how firing rates are spread in each layer: shares of neurons times samples per bin, and the mean as a dot."""
    layers = report.layers
    if not layers or not layers[0].rates:
        return empty_figure("This network has no layer of neurons.")
    figure = new_figure(row_height(len(layers)) + LEGENDS)
    axes = figure.subplots()
    shares = np.array([layer.rates for layer in layers])
    edges = np.linspace(0, 1, shares.shape[1] + 1)
    rows = np.arange(len(layers) + 1) - 0.5
    look: dict[str, Any] = {
        "cmap": "cividis_r",
        "norm": LogNorm(FAINTEST, 1, clip=True),
        "edgecolors": "white",
        "linewidth": 0.4,
    }
    mesh = axes.pcolormesh(edges, rows, np.ma.masked_less_equal(shares, 0), **look)
    means = [layer.spikes_per_neuron / report.time_steps for layer in layers]
    dots: dict[str, Any] = {"color": VERMILION, "markeredgecolor": "white", "markersize": 6, "linestyle": ""}
    axes.plot(means, range(len(layers)), "o", label="mean rate", zorder=4, **dots)
    name_rows(axes, layers)
    axes.set_xlim(-0.03, 1.03)  # room for dots at the ends
    axes.set_xlabel("Firing rate (spikes per neuron and step)")
    axes.grid(visible=False)
    figure.legend(loc="outside upper left")
    bar = figure.colorbar(mesh, ax=axes, location="top", aspect=28, pad=0.02)
    bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
    bar.ax.xaxis.set_minor_locator(NullLocator())
    bar.set_label("Share of neurons and samples (%)")
    bar.outline.set_visible(False)
    return figure


@styled
def spike_raster(report: Report, layers: Sequence[str] | None = None) -> Figure:
    """Draw when neurons fire on one sample, one panel per recorded layer (`layers` chooses by name).

    Raises ArgumentError if a layer was not recorded.
    """
    known = {raster.node: raster for raster in report.rasters}
    names = list(known) if layers is None else [choose("recorded layer", name, known) for name in layers]
    if not names:
        return empty_figure("No spikes were recorded.")
    sizes = {layer.name: layer.neurons for layer in report.layers}
    figure = new_figure(0.6 + 1.3 * len(names))
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    many = sum(len(times) for name in names for times in known[name].times) > MANY_SPIKES
    for axes, name in zip(panels, names, strict=True):
        draw_raster(axes, known[name], sizes.get(name), pixels=many)
    panels[-1].set_xlim(0.5, report.time_steps + 0.5)
    panels[-1].xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    panels[-1].set_xlabel("Time step")
    return figure


def draw_raster(axes: Axes, raster: Raster, size: int | None, *, pixels: bool) -> None:
    """Draw one raster: a row per neuron, a stroke per spike."""
    count = len(raster.neurons)
    of = f" of {number(size, 0)}" if size is not None else ""
    axes.set_title(f"{short(raster.node)}: {count}{of} neuron{'' if (size or count) == 1 else 's'}", loc="left", fontsize=9)
    axes.grid(visible=False)
    axes.set_yticks([])
    axes.set_ylabel("Neuron")
    if not any(raster.times):
        axes.text(0.5, 0.5, "no spikes on this sample", transform=axes.transAxes, ha="center", va="center", color=GREY)
        return
    strokes: Any = axes.eventplot(
        [list(times) for times in raster.times], linelengths=0.8, linewidths=1.4, colors=BLUE, lineoffsets=range(count)
    )
    for stroke in strokes:
        stroke.set_rasterized(pixels)
    axes.set_ylim(count - 0.4, -0.6)


def row_height(rows: int) -> float:
    """Return the height in inch of a figure with this many rows."""
    return min(TALLEST, 1.1 + ROW * max(4, rows))


def name_rows(axes: Axes, layers: Sequence[Layer | LayerLoss]) -> int:
    """Name rows after layers, the first on top, every n-th where there is no room for all; return n."""
    stride = math.ceil(len(layers) * ROW / TALLEST)
    axes.set_yticks(range(0, len(layers), stride), [short(layer.name) for layer in layers[::stride]], fontsize=SMALL)
    axes.set_ylim(len(layers) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    return stride
