"""The network: its graph, its value, what is legal in it, and how it is kept on disk."""

from __future__ import annotations

from transpike.network.graph import Network, Node
from transpike.network.value import forward, shapes

__all__ = ["Network", "Node", "forward", "shapes"]
