"""What every form of data has in common: splits that are read in batches, prepared for a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import psutil
import torch
from torch import Tensor

from transpike.data import Batch
from transpike.errors import ArgumentError, DataError, positive_whole
from transpike.preparation import Preparation

ALL = "all"  # the split of a source that has no splits
BATCH = 100  # samples at most
BYTES = 64 << 20  # of the inputs of a batch


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The time steps of event recordings: milliseconds of one, and how many; None leaves it to the recordings."""

    step_ms: float | None = None
    time_steps: int | None = None

    def __post_init__(self) -> None:
        if self.step_ms is not None and not 0 < self.step_ms < float("inf"):
            raise ArgumentError(f"--step-ms must be positive, not {self.step_ms}.")
        if self.time_steps is not None:
            positive_whole("time_steps", self.time_steps)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How samples are read: prepared for a model, the first `samples` of them only, events cut into `steps`."""

    preparation: Preparation = field(default_factory=Preparation)
    samples: int | None = None
    steps: Steps = field(default_factory=Steps)

    def __post_init__(self) -> None:
        if self.samples is not None and self.samples < 1:
            raise ArgumentError(f"The number of samples must be at least 1, not {self.samples}.")

    def count(self, there: int) -> int:
        """Return how many of the samples that are there to read."""
        return there if self.samples is None else min(self.samples, there)


@dataclass(frozen=True, eq=False)
class Split:
    """The samples of one split: an iterable of batches, which are read anew, and prepared, each time.

    `classes` are the names of the labels in their order, where the data have names. `notes` say in sentences what a user
    should know about the choice of samples. Of event recordings, whose inputs are [batch, frames, ...], `frames` says how
    many there are, and `step_ms` how long one is, if all are equally long.
    """

    form: str
    source: str
    name: str
    length: int
    read: Callable[[], Iterator[Batch]]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    frames: int | None = None
    step_ms: float | None = None

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches."""
        return self.read()

    def first(self) -> Batch:
        """Return the first batch."""
        return next(iter(self))

    def whole(self) -> Batch:
        """Return all samples as one batch, in memory."""
        parts = list(self)
        inputs = tuple(torch.cat(values) for values in zip(*(part.inputs for part in parts), strict=True))
        labels = [part.labels for part in parts if part.labels is not None]
        return Batch(inputs, torch.cat(labels) if labels else None)

    def means(self) -> Split:
        """Return event recordings as what their ANN takes: the mean of the frames of each, [batch, ...]."""

        def read() -> Iterator[Batch]:
            for batch in self.read():
                yield Batch(tuple(x.mean(1) for x in batch.inputs), batch.labels)

        return self if self.frames is None else dataclasses.replace(self, read=read, frames=None, step_ms=None)

    def worded(self) -> str:
        """Say what was found, in one line."""
        shapes = ", ".join(" x ".join(map(str, x.shape[1:])) or "1" for x in self.first().inputs)
        shown = f"{len(self.classes)} classes" if self.classes else "no names of classes"
        return f"{self.form}, split {self.name}: {self.length:,} samples of {shapes}, {shown}."


class Source(Protocol):
    """Data of one form, where they lie: what splits there are, and how one is read."""

    form: ClassVar[str]

    @property
    def name(self) -> str:
        """What the user calls it."""
        ...

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits, `ALL` alone where it has none."""
        ...

    def read(self, split: str, reading: Reading) -> Split:
        """Return a split; raises DataError for files that are damaged or not what they claim to be."""
        ...


def per_batch(sample: Tensor) -> int:
    """Return how many samples like one make a batch."""
    return max(1, min(BATCH, BYTES // max(1, sample.numel() * sample.element_size())))


def batched(samples: Iterator[tuple[tuple[Tensor, ...], int | None]]) -> Iterator[Batch]:
    """Yield batches of single samples: inputs without the batch, and the label if there is one."""
    rows: list[tuple[Tensor, ...]] = []
    labels: list[int | None] = []
    for inputs, label in samples:
        rows.append(inputs)
        labels.append(label)
        if len(rows) >= per_batch(inputs[0]):
            yield stacked(rows, labels)
            rows, labels = [], []
    if rows:
        yield stacked(rows, labels)


def stacked(rows: list[tuple[Tensor, ...]], labels: list[int | None]) -> Batch:
    """Return samples as a batch."""
    known = [label for label in labels if label is not None]
    inputs = tuple(torch.stack(values) for values in zip(*rows, strict=True))
    return Batch(inputs, torch.tensor(known) if known else None)


def check_room(size: int, what: str) -> None:
    """Raise DataError if `size` bytes are more than this machine has free: a header, or a bomb, that cannot be meant."""
    free = psutil.virtual_memory().available
    if size > free:
        raise DataError(
            f"{what} claims to hold {size / 1e9:.1f} GB, but {free / 1e9:.1f} GB of memory are free: it is refused."
        )


@dataclass(frozen=True)
class Names:
    """The label that each class of the data has for the model, the names in that order, and what there is to say about it."""

    labels: tuple[int, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()


def in_order(own: tuple[str, ...], wanted: tuple[str, ...], source: str) -> Names:
    """Return the labels of classes called `own` for a model whose classes are called `wanted`.

    Where all names are known to the model, its order counts; where none is, that of the data. Raises DataError where only
    some are.
    """
    placeholders = all(name.upper().startswith("LABEL_") for name in wanted)
    if not own or not wanted or placeholders or own == wanted:
        return Names(tuple(range(len(own))), own)
    places = {plain(name): place for place, name in enumerate(wanted)}
    known = [plain(name) in places for name in own]
    if all(known):
        return Names(tuple(places[plain(name)] for name in own), wanted)
    if any(known):
        lost = [name for name, found in zip(own, known, strict=True) if not found]
        raise DataError(
            f"{source} has classes that the model does not know: {', '.join(lost[:5])}. The model knows "
            f"{', '.join(wanted[:5])}{' ...' if len(wanted) > 5 else ''}: rename them or leave them out."  # noqa: PLR2004
        )
    note = f"The classes of {source} ({', '.join(own[:3])} ...) have other names than those of the model: their order is taken."
    return Names(tuple(range(len(own))), own, (note,))


def plain(name: str) -> str:
    """Return a name of a class without what people write differently."""
    return name.casefold().replace("_", " ").replace("-", " ").strip()
