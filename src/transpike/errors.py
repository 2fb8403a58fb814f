"""What Transpike raises: one sentence each, naming the thing, the place, the reason and the next step."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from typing import Any


class TranspikeError(Exception):
    """Base of every error that a user can cause and mend."""


class ArgumentError(TranspikeError, ValueError):
    """An argument has a value that cannot be meant."""


class DataError(TranspikeError, ValueError):
    """Samples, labels or data files cannot be used as they are."""


class DecodingError(TranspikeError):
    """Spike trains cannot be turned back into the signal that they were made of."""


class CaptureError(TranspikeError):
    """A model cannot be read into a network."""


class ConversionError(TranspikeError):
    """A captured network cannot be turned into spikes."""


class ArchiveError(TranspikeError):
    """A saved network, report or weight file cannot be read or written."""


class ExportError(TranspikeError):
    """A network cannot be said in the format that was asked for."""


class MissingExtraError(TranspikeError, ImportError):
    """An optional package is needed that is not installed."""


class TranspikeWarning(UserWarning):
    """Something works, yet the result deserves less trust than usual."""


class SlowEngineWarning(TranspikeWarning):
    """A simulation runs on a slower engine than it could."""


def choose(kind: str, name: object, choices: Iterable[str]) -> str:
    """Return `name` if it is one of `choices`, else raise with the nearest match and the whole list.

    >>> choose("recipe", "rat", ["rate", "rate-basic"])
    Traceback (most recent call last):
    ...
    transpike.errors.ArgumentError: Recipe 'rat' is unknown. Did you mean 'rate'? Choose one of 'rate', 'rate-basic'.
    """
    known = list(choices)
    if isinstance(name, str) and name in known:
        return name
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    listed = ", ".join(repr(choice) for choice in known)
    raise ArgumentError(f"{kind.capitalize()} {name!r} is unknown.{hint} Choose one of {listed}.")


def positive_whole(name: str, value: object) -> int:
    """Return `value` if it is a whole number of at least 1, else raise naming the argument."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ArgumentError(f"{name} must be a whole number of at least 1, not {value!r}.")
    return value


def require(package: str, extra: str, what: str) -> Any:
    """Import and return an optional package; raise MissingExtraError saying what to install if it is absent.

    >>> require("no_such_package", "search", "The search")
    Traceback (most recent call last):
    ...
    transpike.errors.MissingExtraError: The search needs the package no_such_package: pip install 'transpike[search]'.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError:
        raise MissingExtraError(f"{what} needs the package {package}: pip install 'transpike[{extra}]'.") from None
