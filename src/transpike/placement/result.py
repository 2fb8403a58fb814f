"""What a fit found: plain values, the same in Python, in JSON and in the table."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from transpike.parts import Finding


@dataclass(frozen=True)
class Place:
    """Where a layer goes: how many cores, which ones if the rule says so, what it takes of them, and what decides that.

    `cores` is None where layers share the chip as a whole.
    """

    layer: str
    origin: str
    neurons: int
    fan_in: int
    cores: int | None
    on: tuple[int, ...] = ()
    takes: Mapping[str, int] = field(default_factory=dict)
    decides: str = ""


@dataclass(frozen=True)
class Placed:
    """What a rule of placement found; obstacles keep the network off the chip, notes do not."""

    places: tuple[Place, ...] = ()
    obstacles: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()
    relays: int = 0  # neurons that only pass spikes on
    relay_cores: int = 0


@dataclass(frozen=True)
class Fit:
    """Whether a network fits a chip, where its layers go, and what to change if it does not.

    `cores` are those that are used, None where no rule of placement is published; `available` those that the chip has.
    `checked` are the limits that were compared, `unpublished` those that could not be.
    """

    chip: str
    title: str
    neurons: int
    synapses: int
    places: tuple[Place, ...]
    cores: int | None
    available: int | None
    relays: int
    obstacles: tuple[Finding, ...]
    notes: tuple[Finding, ...]
    checked: tuple[str, ...]
    unpublished: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether no published limit stands in the way."""
        return not self.obstacles

    @property
    def chips(self) -> int | None:
        """How many chips the cores fill, where chips can be joined; None where that is not known."""
        return None if self.cores is None or not self.available else -(-self.cores // self.available)

    @property
    def verdict(self) -> str:
        """The answer in a sentence."""
        many = len(self.obstacles)
        if many:
            return f"Does not fit {self.title}: {many} obstacle{'s' * (many > 1)}."
        if not self.checked:
            return f"Nothing can be said of {self.title}: no limit of it is published."
        of = "" if self.available is None else f" of {self.available:,}"
        used = "" if self.cores is None else f", on {self.cores:,}{of} cores"
        said = f"Fits {self.title}{used}, by all limits that are published"
        return f"{said} (not published: {', '.join(self.unpublished)})." if self.unpublished else f"{said}."

    def to_json(self) -> str:
        """Return the fit as JSON text, with what follows from it."""
        values = {name: getattr(self, name) for name in ("fits", "verdict", "chips")}
        return json.dumps(values | dataclasses.asdict(self), indent=1)
