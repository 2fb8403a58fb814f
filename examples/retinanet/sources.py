"""Where pictures with boxes come from: each source is a row of a table, and all have the same few methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from anchors import Anchors
from canvases import Digits
from cells import Cells


class Source(Protocol):
    """Pictures [n, channels, height, width] in [0, 1] with targets [n, objects, 5]: left, top, right, bottom, class.

    Class -1 is no object. Parts have as many pictures as asked for, or all that there are, and share none with each other.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """What the classes are called."""

    @property
    def channels(self) -> int:
        """Values of a pixel."""

    @property
    def anchors(self) -> Anchors:
        """Boxes of the sizes and shapes that occur."""

    def training(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return pictures to learn from, others for each seed."""

    def calibration(self, count: int) -> tuple[Tensor, Tensor]:
        """Return pictures to calibrate with."""

    def choice(self, count: int) -> tuple[Tensor, Tensor]:
        """Return pictures to choose a recipe by."""

    def test(self, count: int) -> tuple[Tensor, Tensor]:
        """Return pictures to judge by."""


SOURCES: dict[str, Callable[[int], Source]] = {"digits": Digits, "cells": Cells}  # by how many times smaller pictures are
