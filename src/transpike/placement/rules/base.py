"""What all rules of placement share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from transpike.chips import Chip
from transpike.network.grammar import place as where
from transpike.parts import Finding
from transpike.placement.layers import Demand, Layer
from transpike.placement.result import Place, Placed


@dataclass(frozen=True)
class Rule:
    """A published way to place layers: the quantities of the chip that it needs, and the limits that it checks itself."""

    place: Callable[[Demand, Chip], Placed]
    needs: tuple[str, ...]
    source: str
    handles: frozenset[str] = frozenset()


def obstacle(kind: str, layer: Layer, message: str, advice: str) -> Finding:
    """Return why a layer cannot be placed; the message goes on after its name."""
    return Finding(kind, f"{where(layer.node)} {message}", advice, node=layer.name, severity="warning")


def too_many_cores(needed: int, chip: Chip) -> tuple[Finding, ...]:
    """Return the finding that a network needs more cores than the chip has, if so."""
    cores = chip.whole("cores")
    if cores is None or needed <= cores:
        return ()
    return (
        Finding(
            "cores",
            f"The network needs {needed:,} cores, {chip.title} has {cores:,}.",
            f"Join {-(-needed // cores)} chips where the maker offers that, or make the network smaller: the layers with most "
            "cores first.",
            severity="warning",
        ),
    )


def upwards(value: float, unit: float) -> int:
    """Return how many units hold a value."""
    return -int(-value // unit)


def total(places: Iterable[Place]) -> int:
    """Return how many cores all places take."""
    return sum(one.cores or 0 for one in places)
