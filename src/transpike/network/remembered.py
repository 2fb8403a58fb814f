"""What is made of a network once, kept as long as it lives."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, TypeVar

from transpike.network.graph import Network

Made = TypeVar("Made")
KEPT: dict[int, tuple[weakref.ref, dict[Any, Any]]] = {}


def remembered(network: Network) -> dict[Any, Any]:
    """Return what is kept for a network as long as it lives."""
    found = KEPT.get(id(network))
    if found is None or found[0]() is not network:
        found = weakref.ref(network), {}
        KEPT[id(network)] = found
        weakref.finalize(network, KEPT.pop, id(network), None).atexit = False
    return found[1]


def once(network: Network, key: str, make: Callable[[Network], Made]) -> Made:
    """Return what `make` makes of a network, made at the first time that it is wanted; it must not hold the network itself."""
    kept = remembered(network)
    if key not in kept:
        kept[key] = make(network)
    found: Made = kept[key]
    return found
