"""Compile trained neural networks into spiking networks, run them, and see what it cost."""

from __future__ import annotations

from transpike import codings as codings
from transpike import datasets as datasets
from transpike import export as export
from transpike import training as training
from transpike.analysis import Diagnosis as Diagnosis
from transpike.analysis import Perplexity as Perplexity
from transpike.analysis import Report as Report
from transpike.analysis import diagnose as diagnose
from transpike.analysis import draw_populations as draw_populations
from transpike.analysis import evaluate as evaluate
from transpike.analysis import faulty as faulty
from transpike.analysis import perplexity as perplexity
from transpike.analysis import tolerance as tolerance
from transpike.conversion import convert as convert
from transpike.data import Batch as Batch
from transpike.exits import early_exit as early_exit
from transpike.export import load_nir as load_nir
from transpike.network import Network as Network
from transpike.network.archive import load as load
from transpike.network.archive import save as save
from transpike.placement import Fit as Fit
from transpike.placement import fit as fit
from transpike.prediction import Prediction as Prediction
from transpike.prediction import predict as predict
from transpike.recipe import RECIPES as recipes  # noqa: F401, N811 - the public table reads as a menu
from transpike.recipe import Recipe as Recipe
from transpike.recordings import play as play
from transpike.selection import Limits as Limits
from transpike.selection import Selection as Selection
from transpike.selection import percentile_by_noise as percentile_by_noise
from transpike.selection import search as search
from transpike.simulation import Record as Record
from transpike.simulation import Recording as Recording
from transpike.simulation import Stream as Stream
from transpike.simulation import density as density
from transpike.simulation import generate as generate
from transpike.simulation import simulate as simulate

__version__ = "0.1.0"
