"""Neuromorphic chips as data: what is published of them, each value with its source."""

from __future__ import annotations

from transpike.chips.base import Chip, Quantity
from transpike.chips.quantities import ABILITIES, CONFIDENCES, QUANTITIES
from transpike.chips.reading import chip_names, find_chip, read_chip
from transpike.chips.table import chip_page

__all__ = [
    "ABILITIES",
    "CONFIDENCES",
    "QUANTITIES",
    "Chip",
    "Quantity",
    "chip_names",
    "chip_page",
    "find_chip",
    "read_chip",
]
