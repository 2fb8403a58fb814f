"""Pictures with boxes: the ANN's and the spiking network's after more and more time steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from detection import Found

PER_INCH = 64  # pixels
SHOWN = 0.3  # boxes with a smaller score are not drawn
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#ffffff", "#999999", "#00ffcc")


def draw(pictures: Tensor, found: Mapping[str, Sequence[Found]], names: Sequence[str], path: Path) -> None:
    """Write a picture with a row for each of `pictures` [n, 1 or 3, h, w] and a column for each title of `found`."""
    height, width = (size / PER_INCH for size in pictures.shape[2:])
    figure = Figure(figsize=(width * len(found), (height + 0.1) * len(pictures)), layout="constrained")
    panels = figure.subplots(len(pictures), len(found), squeeze=False)
    for column, (title, rows) in enumerate(found.items()):
        panels[0, column].set_title(title, fontsize=9)
        for axes, picture, boxes in zip(panels[:, column], pictures, rows, strict=True):
            axes.imshow(picture.permute(1, 2, 0).numpy(), cmap="gray", vmin=0, vmax=1)
            axes.set_axis_off()
            outline(axes, boxes, names)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=75, metadata={"Software": None})


def outline(axes: Axes, found: Found, names: Sequence[str]) -> None:
    """Draw the boxes of one picture with their classes."""
    for box, score, kind in zip(found.boxes.tolist(), found.scores.tolist(), found.classes.tolist(), strict=True):
        if score >= SHOWN:
            left, top, right, bottom = box
            colour = COLOURS[int(kind) % len(COLOURS)]
            axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, color=colour, linewidth=1.2))
            axes.text(left, top - 1, f"{names[int(kind)]}  {score:.2f}", color=colour, fontsize=6, va="bottom", clip_on=True)
