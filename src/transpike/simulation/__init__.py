"""Run spiking networks."""

from __future__ import annotations

from transpike.simulation.engine import Stream, blocks, simulate
from transpike.simulation.recording import Block, Record, Recording, Snapshots, counting_nodes
from transpike.simulation.repeated import Density, density

__all__ = [
    "Block",
    "Density",
    "Record",
    "Recording",
    "Snapshots",
    "Stream",
    "blocks",
    "counting_nodes",
    "density",
    "simulate",
]
