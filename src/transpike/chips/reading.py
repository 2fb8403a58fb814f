"""Read chips from YAML files, those of the package or the user's own, and say what is wrong with one."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from transpike.chips.base import Chip, Quantity
from transpike.chips.quantities import ABILITIES, CONFIDENCES, QUANTITIES
from transpike.errors import ArchiveError, ArgumentError, DataError, choose
from transpike.files import read_bytes

DATA = Path(__file__).parent / "data"
SUFFIXES = (".yaml", ".yml")
FIELDS = ("title", "maker", "year", "circuits", "models", "placement", "abilities", "notes", "quantities")
REQUIRED = ("title", "year", "circuits", "quantities")
VALUE_FIELDS = ("value", "unit", "source", "year", "confidence", "low", "high", "note")
VALUE_REQUIRED = ("value", "unit", "source", "year", "confidence")
CIRCUITS = ("digital", "analogue", "mixed")
YEARS = range(1980, 2101)


def chip_names() -> tuple[str, ...]:
    """Return the names of the chips that the package knows."""
    return tuple(sorted(path.stem for path in DATA.glob("*.yaml")))


def find_chip(chip: str | Chip) -> Chip:
    """Return a chip by name, or from the user's own file (a path that ends in .yaml or .yml).

    Raises ArgumentError for an unknown name, ArchiveError for a file that cannot be read, DataError for one that is wrong.

    >>> find_chip("speck").whole("cores")
    9
    """
    if isinstance(chip, Chip):
        return chip
    if str(chip).endswith(SUFFIXES):
        return read_chip(Path(chip))
    return known_chip(choose("chip", chip, chip_names()))


@cache
def known_chip(name: str) -> Chip:
    """Return a chip of the package."""
    return read_chip(DATA / f"{name}.yaml")


def read_chip(path: Path) -> Chip:
    """Return the chip that a YAML file describes; raises ArchiveError or DataError saying what is wrong, and where."""
    try:
        values = yaml.safe_load(read_bytes(path, "chip").decode())
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ArchiveError(f"The chip {path} is not YAML: {' '.join(str(error).split())}") from None
    return chip_from(values, path.stem, str(path))


def chip_from(values: Any, name: str, place: str) -> Chip:
    """Return the chip that plain values describe; raises DataError naming the field and its place."""
    fields(values, FIELDS, REQUIRED, place)
    found = values["quantities"] or {}
    if not isinstance(found, dict):
        raise DataError(f"{place}: quantities must be a mapping from name to value, unit, source, year and confidence.")
    for key in found:
        allowed(place, "quantity", key, QUANTITIES)
    given = {key: quantity(one, f"{place}, quantity {key!r}", key) for key, one in found.items() if one is not None}
    sizes = {key: len(one.value) for key, one in given.items() if key.endswith("_entries") and isinstance(one.value, tuple)}
    if "cores" in given and sizes:
        sizes["cores"] = int(given["cores"].number)
    if len(set(sizes.values())) > 1:
        raise DataError(f"{place}: these must have one entry for each core, but have {sizes}.")
    abilities = values.get("abilities")
    return Chip(
        name,
        text(values["title"], place, "title"),
        text(values.get("maker") or "", place, "maker"),
        year(values["year"], place),
        allowed(place, "kind of circuits", values["circuits"], CIRCUITS),
        text(values.get("models") or "", place, "models"),
        given,
        None if values.get("placement") is None else text(values["placement"], place, "placement"),
        None if abilities is None else frozenset(allowed(place, "ability", one, ABILITIES) for one in texts(abilities, place)),
        texts(values.get("notes") or [], place),
    )


def quantity(values: Any, place: str, name: str) -> Quantity:
    """Return one value with its unit and source."""
    fields(values, VALUE_FIELDS, VALUE_REQUIRED, place)
    kind = QUANTITIES[name]
    if str(values["unit"]) != kind.unit:
        raise DataError(f"{place}: the unit must be {kind.unit!r}, not {values['unit']!r}: convert the value.")
    allowed(place, "confidence", values["confidence"], CONFIDENCES)
    given = values["value"]
    if kind.several != isinstance(given, list) or given == []:
        raise DataError(f"{place}: the value must be {'a list of numbers' if kind.several else 'one number'}, not {given!r}.")
    value = tuple(count(one, place, name) for one in given) if kind.several else count(given, place, name)
    low, high = (None if values.get(end) is None else number(values[end], place) for end in ("low", "high"))
    found = Quantity(
        value,
        kind.unit,
        text(values["source"], place, "source"),
        year(values["year"], place),
        values["confidence"],
        low,
        high,
        text(values.get("note") or "", place, "note"),
    )
    if not found.spread[0] <= found.number <= found.spread[1]:
        raise DataError(f"{place}: {found.number:g} does not lie between low and high ({low}, {high}).")
    if not found.source.strip():
        raise DataError(f"{place}: the source is empty. A value without a source is left out.")
    return found


def fields(values: Any, known: tuple[str, ...], required: tuple[str, ...], place: str) -> None:
    """Raise DataError unless `values` is a mapping with the required fields and no unknown ones."""
    if not isinstance(values, dict):
        raise DataError(f"{place}: a mapping with {', '.join(required)} is needed, not {values!r}.")
    for key in values:
        allowed(place, "field", key, known)
    missing = [key for key in required if values.get(key) is None and key != "quantities"]
    if missing or any(key not in values for key in required):
        raise DataError(f"{place}: {', '.join(missing) or 'quantities'} missing.")


def allowed(place: str, kind: str, name: object, choices: Any) -> str:
    """Return `name` if it is among the choices, else raise DataError with the place and the nearest match."""
    try:
        return choose(kind, name, choices)
    except ArgumentError as error:
        raise DataError(f"{place}: {error}") from None


def number(value: Any, place: str) -> float:
    """Return a number that is finite and not negative."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise DataError(f"{place}: {value!r} is no number of at least 0. Leave out what is not published.")
    return value


def count(value: Any, place: str, name: str) -> float:
    """Return a value of a quantity; what counts things or bits is a whole number above 0, but for a padding of none."""
    found = number(value, place)
    if QUANTITIES[name].unit in {"1", "bit"} and (found != int(found) or (found == 0 and name != "padding")):
        raise DataError(f"{place}: {value!r} must be a whole number of at least 1. Leave out what is not published.")
    return found


def year(value: Any, place: str) -> int:
    """Return a year."""
    if isinstance(value, bool) or not isinstance(value, int) or value not in YEARS:
        raise DataError(f"{place}: {value!r} is no year.")
    return value


def text(value: Any, place: str, name: str) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise DataError(f"{place}: {name} must be text, not {value!r}.")
    return value


def texts(value: Any, place: str) -> tuple[str, ...]:
    """Return a list of texts."""
    if not isinstance(value, list):
        raise DataError(f"{place}: {value!r} must be a list.")
    return tuple(text(one, place, "an entry") for one in value)
