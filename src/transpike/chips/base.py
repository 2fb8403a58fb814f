"""A chip as data: what is published of it, each value with its source, and what is not."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Quantity:
    """A published value with its unit, source, year and confidence; `low` and `high` where sources differ or it varies."""

    value: float | tuple[float, ...]
    unit: str
    source: str
    year: int
    confidence: str
    low: float | None = None
    high: float | None = None
    note: str = ""

    @property
    def number(self) -> float:
        """The value, of a list the largest."""
        return max(self.value) if isinstance(self.value, tuple) else self.value

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest published value."""
        return (self.number if self.low is None else self.low), (self.number if self.high is None else self.high)

    def worded(self) -> str:
        """Return the value in words, with the range if there is one.

        >>> Quantity(26.0, "pJ", "a paper", 2014, "measured", low=2.5).worded()
        '26 (2.5 to 26) pJ'
        >>> Quantity((16384.0, 16384.0, 32768.0), "1", "a tool", 2024, "documented").worded()
        '2 x 16,384, 32,768'
        """
        parts = self.value if isinstance(self.value, tuple) else (self.value,)
        runs = [(part, len(list(same))) for part, same in itertools.groupby(parts)]
        said = ", ".join(f"{many} x {part:,.12g}" if many > 1 else f"{part:,.12g}" for part, many in runs)
        low, high = self.spread
        if low != high and not isinstance(self.value, tuple):
            said += f" ({low:,.12g} to {high:,.12g})"
        return said if self.unit == "1" else f"{said} {self.unit}"


@dataclass(frozen=True)
class Chip:
    """What is published of a chip. A quantity that is missing is not published, or was not found.

    `placement` names the rule by which networks are placed on it, if one is published; `abilities` are what its neurons
    can do, None where that is not known. Raises nothing: files are checked by `read_chip`.
    """

    name: str
    title: str
    maker: str
    year: int
    circuits: str  # digital, analogue, mixed
    models: str
    quantities: Mapping[str, Quantity]
    placement: str | None = None
    abilities: frozenset[str] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "quantities", MappingProxyType(dict(self.quantities)))

    def get(self, name: str) -> float | None:
        """Return a value (of a list the largest), or None if none is published."""
        found = self.quantities.get(name)
        return None if found is None else found.number

    def whole(self, name: str) -> int | None:
        """Return a value that counts things, or None if none is published."""
        found = self.get(name)
        return None if found is None else int(found)

    def several(self, name: str) -> tuple[int, ...] | None:
        """Return a list of values, or None if none is published."""
        found = self.quantities.get(name)
        return None if found is None or not isinstance(found.value, tuple) else tuple(map(int, found.value))
