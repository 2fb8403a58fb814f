"""The house style of all figures, and writing them to files."""

from __future__ import annotations

import functools
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.figure import Figure

from transpike.errors import choose
from transpike.files import write_bytes

# Okabe and Ito 2008: told apart with any kind of colour vision.
BLACK, GREY = "#1a1a1a", "#767676"
BLUE, SKY, GREEN, ORANGE, VERMILION = "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00"

WIDTH = 4.7  # inch: shown 340 pixels wide, the letters are about as high as their size in points
HEIGHT = 3.3
SMALL = 8.5

LOOKS = (
    *("axes.", "figure.", "font.", "grid.", "hatch.", "image.", "legend.", "lines.", "markers.", "mathtext.", "patch."),
    *("path.", "savefig.", "scatter.", "svg.", "text.", "xtick.", "ytick."),
)
STYLE: dict[Any, Any] = {  # matplotlib types its keys as literals of one version
    **{key: value for key, value in mpl.rcParamsDefault.items() if key.startswith(LOOKS)},
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same figure everywhere
    "font.size": 10,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.2,
    "figure.constrained_layout.w_pad": 0.07,  # inch
    "figure.constrained_layout.h_pad": 0.07,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e2e2e2",
    "grid.linewidth": 0.7,
    "lines.linewidth": 2,
    "text.parse_math": False,  # a layer may be called $x$
    "axes.formatter.use_mathtext": False,
    "svg.hashsalt": "transpike",
    "svg.fonttype": "path",
    "savefig.dpi": 200,
    "figure.facecolor": "white",
}
SVG_METADATA: dict[str, Any] = {"Date": None, "Creator": None, "Format": None, "Type": None}
PNG_METADATA: dict[str, Any] = {"Software": None}

P = ParamSpec("P")
LOCK = threading.RLock()


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the house style, whatever the user's own settings are, and leave those as they were.

    Matplotlib keeps its settings in one place for all threads, so one figure is drawn at a time.
    """
    with LOCK, mpl.rc_context(STYLE):
        yield


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Make a function draw its figure in the house style."""

    @functools.wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with house_style():
            return draw(*args, **kwargs)

    return wrapper


def new_figure(height: float = HEIGHT) -> Figure:
    """Return an empty figure of the house width and `height` inch, tied to no window."""
    return Figure(figsize=(WIDTH, height), layout="constrained")


def empty_figure(sentence: str) -> Figure:
    """Return a figure that says why there is nothing to see."""
    figure = new_figure(1.2)
    figure.text(0.5, 0.5, sentence, ha="center", va="center", color=GREY)
    return figure


def rendered(figure: Figure, kind: str) -> bytes:
    """Return a figure as a PNG or SVG file; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with house_style():
        figure.savefig(buffer, format=kind, metadata=SVG_METADATA if kind == "svg" else PNG_METADATA)
    return buffer.getvalue()


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG (200 dots per inch) or SVG, by the suffix of `path`; raises ArgumentError for others."""
    suffix = choose("figure format", Path(path).suffix.lower(), (".png", ".svg"))
    write_bytes(Path(path), rendered(figure, suffix[1:]))
