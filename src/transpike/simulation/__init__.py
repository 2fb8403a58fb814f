"""Run spiking networks."""

from __future__ import annotations

from transpike.simulation.engines import AUTO, ENGINES, Engine, StoppingEngine, Task
from transpike.simulation.generation import generate
from transpike.simulation.recording import Block, Record, Recording, Snapshots, counting_nodes
from transpike.simulation.repeated import Density, density
from transpike.simulation.run import blocks, simulate
from transpike.simulation.stream import Stream

__all__ = [
    "AUTO",
    "ENGINES",
    "Block",
    "Density",
    "Engine",
    "Record",
    "Recording",
    "Snapshots",
    "StoppingEngine",
    "Stream",
    "Task",
    "blocks",
    "counting_nodes",
    "density",
    "generate",
    "simulate",
]
