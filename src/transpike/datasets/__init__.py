"""Data in the forms that people have: one file per form, all read in batches, prepared for a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from transpike.datasets.arrays import Arrays
from transpike.datasets.base import ALL, Reading, Source, Split, Steps
from transpike.datasets.digits import Digits
from transpike.datasets.folders import Folders
from transpike.datasets.hub import Hub
from transpike.datasets.idx import Idx
from transpike.datasets.splits import TEST, TRAIN, choose_split, named
from transpike.datasets.trains import Trains
from transpike.errors import DataError

# The first that takes what is named reads it; folders of files come last, since they take most.
FORMS: tuple[Callable[[str], Source | None], ...] = (Digits.at, Hub.at, Idx.at, Trains.at, Arrays.at, Folders.at)
KNOWN = (
    "digits (bundled), .npz or .npy arrays, idx files, folders with a sub-folder for each class, event recordings, or "
    "hf:owner/name of Hugging Face"
)


def find(spec: str) -> Source:
    """Return the source that `spec` names; raises DataError if there is none, or it is of no form that is known."""
    for at in FORMS:
        source = at(spec)
        if source is not None:
            return source
    raise DataError(f"Data {spec!r} must be {KNOWN}.")


def load(spec: str, purpose: str = TRAIN, reading: Reading | None = None) -> Split:
    """Return the samples that `spec` names for a purpose: "train" (or to calibrate), "test", or a split by name.

    `spec` is a file, a folder, "digits", or `hf:owner/name`; `spec@split` names a split. Calibration never gets a test split,
    and where another split than that of the purpose has to serve, `notes` say so. What is returned is an iterable of batches,
    as `convert`, `simulate` and `evaluate` take it. Raises DataError for what is damaged, or not what it claims to be.

    >>> digits = load("digits", "test")
    >>> print(digits.worded())
    bundled digits, split test: 360 samples of 1 x 8 x 8, no names of classes.
    """
    name, asked = named(spec)
    source = find(name)
    split, notes = choose_split(source, purpose, asked)
    found = source.read(split, reading or Reading())
    return dataclasses.replace(found, notes=(*notes, *found.notes))


__all__ = ["ALL", "FORMS", "TEST", "TRAIN", "Reading", "Source", "Split", "Steps", "find", "load", "named"]
