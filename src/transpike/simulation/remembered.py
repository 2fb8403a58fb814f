"""What engines make of a network once, kept as long as it lives."""

from __future__ import annotations

import weakref
from typing import Any

from transpike.network import Network

KEPT: dict[int, tuple[weakref.ref, dict[Any, Any]]] = {}


def remembered(network: Network) -> dict[Any, Any]:
    """Return what is kept for a network as long as it lives."""
    found = KEPT.get(id(network))
    if found is None or found[0]() is not network:
        found = weakref.ref(network), {}
        KEPT[id(network)] = found
        weakref.finalize(network, KEPT.pop, id(network), None).atexit = False
    return found[1]
