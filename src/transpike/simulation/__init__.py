"""Run spiking networks."""

from __future__ import annotations

from transpike.simulation.recording import Block, Record, Recording, counting_nodes
from transpike.simulation.simulate import Stream, blocks, simulate

__all__ = ["Block", "Record", "Recording", "Stream", "blocks", "counting_nodes", "simulate"]
