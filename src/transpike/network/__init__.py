"""The network: its graph, its value, what is legal in it, and how it is kept on disk."""

from __future__ import annotations

from transpike.network.forward import forward, shapes
from transpike.network.graph import Network, Node

__all__ = ["Network", "Node", "forward", "shapes"]
