"""Compile trained neural networks into spiking networks, run them, and see what it cost."""

from __future__ import annotations

from transpike.analysis import Report as Report
from transpike.analysis import evaluate as evaluate
from transpike.conversion import convert as convert
from transpike.network import Network as Network
from transpike.network.archive import load as load
from transpike.network.archive import save as save
from transpike.recipe import RECIPES as recipes  # noqa: F401, N811 - the public table reads as a menu
from transpike.recipe import Recipe as Recipe
from transpike.simulation import Record as Record
from transpike.simulation import Recording as Recording
from transpike.simulation import Stream as Stream
from transpike.simulation import density as density
from transpike.simulation import simulate as simulate

__version__ = "0.1.0"
