"""Pictures of signal encodings: the signal above with what is read back, its spikes below."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from transpike.codings import GAGamma, SignalCode, SpikeTrains, ValueCode
from transpike.errors import ArgumentError
from transpike.report.style import BLACK, BLUE, GREY, ORANGE, VERMILION, new_figure, styled

TALL = 2.9  # inch
ROWS, SOME = 32, 16  # lines that a raster has room for; of more, so many are shown
STEPS, VALUES = 72, 8  # of an example: so many time steps, yet no fewer values
BRIEF = 36  # steps of an example that an optimiser solves
PATTERN = (0.35, 0.8, 0.15, 0.6, 0.95, 0.5, 0.05, 0.7, 0.25, 0.45)


def example(code: SignalCode) -> Tensor:
    """Return a signal in [0, 1] that shows what a code does: a pattern, or a wave of some 72 time steps [values].

    >>> from transpike.codings import RankOrder, RegularRate
    >>> example(RegularRate(time_steps=9)).shape, example(RankOrder()).shape
    (torch.Size([8]), torch.Size([10]))
    """
    if code.properties.stimulus == "pattern":
        return torch.tensor(PATTERN, dtype=torch.float64)
    length = BRIEF if isinstance(code, GAGamma) else STEPS
    count = max(VALUES, length // code.steps) if isinstance(code, ValueCode) else length
    place = (torch.arange(count, dtype=torch.float64) + 1 / 2) / count
    return 0.5 - 0.33 * torch.cos(2 * torch.pi * place) * (1 - place / 2) + 0.12 * torch.sin(6 * torch.pi * place)


@styled
def draw_code(code: SignalCode, signal: Tensor | None = None) -> Figure:
    """Draw a signal, its spikes under a code, and what is read back where the code inverts.

    `signal` is one waveform [time] (also for codes of values: they are sent one after the other) or one pattern [n];
    without it, an example. Raises ArgumentError for signals of more axes, and what the code's `encode` raises.
    """
    signal = example(code) if signal is None else signal
    if signal.ndim != 1:
        raise ArgumentError(f"A picture shows one signal [time], not {tuple(signal.shape)}: draw its lines one by one.")
    width = code.steps if isinstance(code, ValueCode) else 1
    trains = code.encode_waveform(signal) if isinstance(code, ValueCode) else code.encode(signal)
    figure = new_figure(TALL)
    pattern = code.properties.stimulus == "pattern"
    above, below = figure.subplots(2, 1, sharex=not pattern, height_ratios=(1.15, 1))
    if pattern:
        draw_pattern(above, signal)
    else:
        draw_signal(above, signal, read(code, trains), width)
    draw_raster(below, trains)
    if width > 1:
        below.vlines(0.5 + width * np.arange(1, len(signal)), *below.get_ylim(), color=GREY, linewidth=0.8, linestyle=":")
    below.set_xlabel("Time step")
    return figure


def read(code: SignalCode, trains: SpikeTrains) -> Tensor | None:
    """Return what spike trains of a waveform decode to, None for codes that do not invert."""
    if not code.properties.inverts:
        return None
    return code.decode_waveform(trains) if isinstance(code, ValueCode) else code.decode(trains)


def draw_signal(axes: Axes, signal: Tensor, decoded: Tensor | None, width: int) -> None:
    """Draw a signal, and over it what was read back; a value lasts for `width` steps."""
    edges = 0.5 + width * np.arange(len(signal) + 1)
    axes.stairs(signal.numpy(), edges, baseline=None, color=GREY, linewidth=3.2, alpha=0.55, label="signal")
    if decoded is not None:
        axes.stairs(decoded.numpy(), edges, baseline=None, color=VERMILION, linewidth=1.3, label="read back")
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.05 * (high - low))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 0.98), ncols=2, borderaxespad=0.2)
    axes.set_ylabel("Value")
    axes.tick_params(labelbottom=False)


def draw_pattern(axes: Axes, signal: Tensor) -> None:
    """Draw the values of a pattern as bars, in the order of their neurons."""
    axes.bar(range(1, len(signal) + 1), signal.tolist(), 0.7, color=GREY)
    axes.set_xticks(range(1, len(signal) + 1))
    axes.grid(visible=False, axis="x")
    axes.set_xlabel("Neuron")
    axes.set_ylabel("Value")


def draw_raster(axes: Axes, trains: SpikeTrains) -> None:
    """Draw each spike as a stroke in the row of its line; the first lines only where there are many."""
    spikes = trains.spikes.reshape(len(trains.spikes), -1)
    lines = spikes.shape[1] if spikes.shape[1] <= ROWS else SOME
    for sign, colour, label in ((1, BLUE, "+1"), (-1, ORANGE, "-1")):
        steps, rows = (spikes[:, :lines] == sign).nonzero(as_tuple=True)
        if len(steps):
            axes.plot(*strokes(steps.numpy() + 1, rows.numpy() + 1), color=colour, label=label, linewidth=1.6)
    if bool((spikes < 0).any()):
        axes.legend(loc="lower left", bbox_to_anchor=(0, 0.98), ncols=2, borderaxespad=0.2)
    axes.set_xlim(0.5, len(spikes) + 0.5)
    axes.set_ylim(0.4, lines + 0.6)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    whole = f" (of {spikes.shape[1]})" if spikes.shape[1] > lines else ""
    axes.set_ylabel(f"Neuron{whole}" if lines > 1 else "Spikes")
    axes.grid(visible=False)
    if lines == 1:
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_color(BLACK)


def strokes(steps: np.ndarray[Any, Any], rows: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return one broken line of upright strokes, so that a raster is a single path in its file."""
    gap = np.full(len(steps), np.nan)
    x = np.stack([steps, steps, gap], 1).ravel()
    y = np.stack([rows - 0.4, rows + 0.4, gap], 1).ravel()
    return x, y
