"""Does a network fit a chip, and where do its layers go."""

from __future__ import annotations

from transpike.placement.fitting import fit
from transpike.placement.result import Fit, Place
from transpike.placement.rules import RULES

__all__ = ["RULES", "Fit", "Place", "fit"]
