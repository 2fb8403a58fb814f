"""Folders with a sub-folder for each class: pictures, sounds, texts, or event recordings."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from torch import Tensor

from transpike.data import Batch
from transpike.datasets import images, sounds, texts
from transpike.datasets.base import ALL, Reading, Split, batched, in_order
from transpike.datasets.events import READERS, cutter
from transpike.datasets.splits import known_split
from transpike.errors import DataError

LOOKED_AT = 1000  # files of a folder, at most, that tell what lies in it
Sample = Callable[[Path], tuple[Tensor, ...]]


def pictures(files: list[Path], reading: Reading) -> Sample:
    """Return what reads one picture, all in the mode of the data set."""
    preparation = reading.preparation
    mode = images.mode_of([(file, str(file)) for file in files], preparation)
    return lambda path: (images.picture(path, str(path), mode, preparation),)


def recordings(files: list[Path], reading: Reading) -> Sample:
    """Return what reads one recording of events, all in equally many steps."""
    cut = cutter(files, reading)
    return lambda path: (cut(path),)


def heard(files: list[Path], reading: Reading) -> Sample:
    """Return what reads one sound, all of the length of the first."""
    hear = sounds.hearing((files[0], str(files[0])), reading.preparation)
    return lambda path: hear(path, str(path))


def written(files: list[Path], reading: Reading) -> Sample:
    """Return what reads one text."""
    tokens = texts.words(reading.preparation, str(files[0].parent))
    return lambda path: tokens(texts.text_in(path))


@dataclass(frozen=True)
class Kind:
    """What lies in a folder: by the suffix of its files, and read by a function."""

    form: str
    suffixes: tuple[str, ...]
    reader: Callable[[list[Path], Reading], Sample]


EVENTS = Kind("folders of event recordings", tuple(READERS), recordings)
KINDS = (
    Kind("folders of pictures", images.SUFFIXES, pictures),
    EVENTS,
    Kind("folders of sounds", sounds.SUFFIXES, heard),
    Kind("folders of texts", texts.SUFFIXES, written),
)


@dataclass(frozen=True)
class Folders:
    """A folder with a sub-folder for each class, perhaps within folders train, val and test; or one file alone.

    Labels are the places of the classes in alphabetical order. Classes take turns in the order of the samples, so that the
    first ones are of all classes. What is neither a sub-folder nor a file of the kind that most are is passed over.
    """

    form: ClassVar[str] = "folders"

    name: str
    kind: Kind
    roots: dict[str, Path]

    @classmethod
    def at(cls, spec: str) -> Self | None:
        """Return the folder that `spec` names, or the one file, if it is of a kind that is known."""
        path = Path(spec)
        if path.is_file():
            kind = next((kind for kind in KINDS if path.suffix.lower() in kind.suffixes), None)
            return None if kind is None else cls(spec, kind, {ALL: path})
        if not path.is_dir():
            return None
        roots = {split: one for one in sorted(path.iterdir()) if one.is_dir() and (split := known_split(one.name))}
        roots = roots or {ALL: path}
        some = (file for root in roots.values() for file, _ in itertools.islice(walked(root), LOOKED_AT))
        suffixes = Counter(file.suffix.lower() for file in some)
        counts = {kind: sum(suffixes[suffix] for suffix in kind.suffixes) for kind in KINDS}
        most = max(counts, key=counts.__getitem__)
        return cls(spec, most, roots) if counts[most] else None

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.roots)

    def read(self, split: str, reading: Reading) -> Split:
        found = {
            name: [(file, group) for file, group in walked(root) if file.suffix.lower() in self.kind.suffixes]
            for name, root in self.roots.items()
        }
        own = tuple(sorted({group for files in found.values() for _, group in files if group}))
        names = in_order(own, reading.preparation.labels, self.name)
        labels = dict(zip(own, names.labels, strict=True))
        files = in_turns(found[split])[: reading.samples]
        if not files:
            raise DataError(f"{self.roots[split]} holds no files such as {', '.join(self.kind.suffixes[:3])}.")
        check_inside(self.roots[split], [file for file, _ in files])
        paths = [file for file, _ in files]
        sample = self.kind.reader(paths, reading)

        def read() -> Iterator[Batch]:
            return batched(same_shape(sample, files, labels))

        made = Split(self.kind.form, self.name, split, len(files), read, names.classes, names.notes)
        if self.kind is not EVENTS:
            return made
        frames = len(sample(paths[0])[0])
        return dataclasses.replace(made, frames=frames, step_ms=reading.steps.step_ms)


def walked(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files of a root and the class that each is of: the sub-folder, or nothing for files beside them."""
    if root.is_file():
        yield root, ""
        return
    for one in sorted(root.iterdir()):
        if one.is_dir():
            yield from ((file, one.name) for file in sorted(one.rglob("*")) if file.is_file())
        elif one.is_file():
            yield one, ""


def in_turns(files: list[tuple[Path, str]]) -> list[tuple[Path, str]]:
    """Return the files of all classes, the classes taking turns; files of no class only where all are."""
    groups: dict[str, list[tuple[Path, str]]] = {}
    for file, group in files:
        groups.setdefault(group, []).append((file, group))
    if len(groups) > 1:
        groups.pop("", None)
    rounds = itertools.zip_longest(*groups.values())
    return [one for turn in rounds for one in turn if one is not None]


def check_inside(root: Path, files: list[Path]) -> None:
    """Raise DataError for a link that leads out of the folder: a data set of others must not choose what is read."""
    real = root.resolve()
    for file in files:
        if not file.resolve().is_relative_to(real):
            raise DataError(
                f"{file} is a link that leads out of {root}: copy the file there, or name the folder that it is in."
            )


def same_shape(
    sample: Sample, files: list[tuple[Path, str]], labels: dict[str, int]
) -> Iterator[tuple[tuple[Tensor, ...], int | None]]:
    """Yield each sample with its label; raises DataError for one that has another shape than the first."""
    shape = None
    for path, group in files:
        inputs = sample(path)
        if shape is None:
            shape = inputs[0].shape
        elif inputs[0].shape != shape:
            sides = [" x ".join(map(str, sides)) for sides in (inputs[0].shape, shape)]
            raise DataError(
                f"{path} is {sides[0]}, but {files[0][0].name} is {sides[1]}: give one --size HEIGHT,WIDTH for all."
            )
        yield inputs, labels.get(group)
