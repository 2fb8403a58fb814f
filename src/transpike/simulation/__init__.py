"""Run spiking networks."""

from __future__ import annotations

from transpike.simulation.engine import Stream, blocks, simulate
from transpike.simulation.recording import Block, Record, Recording, Snapshots, counting_nodes

__all__ = ["Block", "Record", "Recording", "Snapshots", "Stream", "blocks", "counting_nodes", "simulate"]
