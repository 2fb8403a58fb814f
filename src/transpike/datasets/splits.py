"""Which split is meant: samples to calibrate on never come from a test split."""

from __future__ import annotations

from pathlib import Path

from transpike.datasets.base import ALL, Source
from transpike.errors import DataError, choose

TRAIN, VALIDATION, TEST = "train", "validation", "test"
ALIASES = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "dev": VALIDATION,
    "test": TEST,
    "testing": TEST,
    "t10k": TEST,
}
INSTEAD = {TRAIN: (TRAIN, VALIDATION), TEST: (TEST, VALIDATION, TRAIN)}  # what serves a purpose, the best first


def known_split(name: str) -> str | None:
    """Return the split that a name of a file or folder stands for, if it does."""
    return ALIASES.get(name.casefold())


def named(spec: str) -> tuple[str, str | None]:
    """Return what names the data and what names the split in `data@split`.

    >>> named("faces@validation"), named("faces"), named("hf:stanfordnlp/imdb@test")
    (('faces', 'validation'), ('faces', None), ('hf:stanfordnlp/imdb', 'test'))
    """
    source, at, split = spec.rpartition("@")
    return (source, split) if at and source and split and "/" not in split else (spec, None)


def choose_split(source: Source, purpose: str, asked: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the split of `source` for a purpose, "train" or "test", and what is to say about the choice.

    `asked` is what the user named. Raises DataError where samples to test on would calibrate, and ArgumentError for a split
    that there is not.
    """
    there = source.splits
    if asked is not None:
        wanted = asked if asked in there else (known_split(asked) or asked)
        chosen = choose(f"split of {source.name}", wanted, there)
        if purpose == TRAIN and known_split(chosen) == TEST:
            raise DataError(
                f"{source.name}@{asked} is for testing: calibrate on training samples, so that accuracy means something."
            )
        return chosen, ()
    if there == (ALL,) and purpose in {*INSTEAD, ALL}:
        return ALL, () if Path(source.name).is_file() else (alone(source.name),)
    if purpose not in INSTEAD:
        return choose(f"split of {source.name}", purpose, there), ()
    for name in INSTEAD[purpose]:
        for split in there:
            if known_split(split) == name:
                return split, substitution(source.name, purpose, name, split)
    if purpose == TRAIN and all(known_split(split) == TEST for split in there):
        raise DataError(
            f"{source.name} has a test split alone, which calibration must not see: give training samples; they need no labels."
        )
    others = ", ".join(there)
    raise DataError(f"{source.name} has no split for {purpose}ing; it has {others}: name one, as in {source.name}@{there[0]}.")


def alone(source: str) -> str:
    """Say that there is one split only."""
    return f"{source} has one split only: what calibrates a network must not be what it is evaluated on."


def substitution(source: str, purpose: str, found: str, split: str) -> tuple[str, ...]:
    """Say so where another split than that of the purpose is taken."""
    if found == purpose:
        return ()
    if purpose == TRAIN:
        return (f"{source} has no training split: its split {split} calibrates.",)
    meaning = "" if found == VALIDATION else ", so accuracy is that on samples which may have calibrated or trained the network"
    return (f"{source} has no test split: its split {split} is evaluated{meaning}.",)
