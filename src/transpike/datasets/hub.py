"""Data sets of Hugging Face: by name from the hub, or a folder in one of the library's forms."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
import yaml
from torch import Tensor

from transpike.data import Batch
from transpike.datasets import images, sounds, texts
from transpike.datasets.base import Reading, Split, batched, in_order
from transpike.errors import DataError, require

PREFIX = "hf:"
TABLES = (".parquet", ".arrow", ".jsonl", ".json", ".csv")
SAVED, SAVED_SPLIT = "dataset_dict.json", "state.json"
LABELS = ("label", "labels", "fine_label", "intent", "coarse_label")
TEXTS = ("text", "sentence", "content", "review", "comment")
PAIRS = (("sentence1", "sentence2"), ("premise", "hypothesis"), ("question", "sentence"), ("question1", "question2"))
MARKS = 2  # lines of three dashes, around the data in a description
Make = Callable[[Mapping[str, Any], int], tuple[Tensor, ...]]


@dataclass(frozen=True, eq=False)
class Hub:
    """A data set of Hugging Face's library: `hf:owner/name`, `hf:owner/name:configuration`, or a folder.

    A folder was written by `save_to_disk`, or holds tables (Parquet, JSON, CSV). Code in it is never run: scripts are refused,
    and pictures and sounds are decoded here, from bytes in the table or files inside the folder.
    """

    form: ClassVar[str] = "Hugging Face data set"

    name: str
    tables: Mapping[str, Any]
    root: Path | None

    @classmethod
    def at(cls, spec: str) -> Self | None:
        """Return the data set that `spec` names, if it begins with `hf:` or is such a folder."""
        path = Path(spec.removeprefix(PREFIX))
        if path.is_dir() and (spec.startswith(PREFIX) or is_theirs(path)):
            return cls(spec, from_folder(path), path)
        return cls(spec, from_hub(spec.removeprefix(PREFIX)), None) if spec.startswith(PREFIX) else None

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.tables)

    def read(self, split: str, reading: Reading) -> Split:
        table = self.tables[split]
        if not len(table):
            raise DataError(f"The split {split} of {self.name} holds no samples.")
        if reading.count(len(table)) < len(table):
            table = table.shuffle(seed=0)  # tables are often sorted by class
        columns = Columns.of(table.features, self.name)
        own = tuple(getattr(table.features[columns.label], "names", ())) if columns.label else ()
        names = in_order(own, reading.preparation.labels, self.name)
        tokens = texts.words(reading.preparation, self.name) if columns.kind == "text" else None
        notes = () if tokens is None else texts.without_segments(tokens, len(columns.inputs), self.name)
        make = maker(columns, table, reading, self) if tokens is None else words_of(columns, tokens)
        length = reading.count(len(table))

        def samples() -> Iterator[tuple[tuple[Tensor, ...], int | None]]:
            for row in range(length):
                values = table[row]
                label = (
                    None
                    if columns.label is None
                    else label_of(values[columns.label], names.labels, f"sample {row} of {self.name}")
                )
                yield make(values, row), label

        def read() -> Iterator[Batch]:
            return batched(samples())

        return Split(self.form, self.name, split, length, read, names.classes, (*names.notes, *notes))


def is_theirs(path: Path) -> bool:
    """Whether a folder is in a form of Hugging Face's library rather than one of ours."""
    if (path / SAVED).is_file() or (path / SAVED_SPLIT).is_file():
        return True
    return any(file.suffix in TABLES for folder in (path, path / "data") if folder.is_dir() for file in folder.iterdir())


def library() -> Any:
    """Return the library."""
    return require("datasets", "hf", "A data set of Hugging Face")


def from_folder(path: Path) -> Mapping[str, Any]:
    """Return the tables of a folder by split; raises DataError for what is damaged, or could read or run what it should not."""
    theirs = library()
    scripts = [file.name for file in path.glob("*.py")]
    if scripts:
        raise DataError(f"{path} holds code ({scripts[0]}), which is not run: save the data as Parquet, or delete the file.")
    check_card(path)
    check_saved(path)
    try:
        saved = (path / SAVED).is_file() or (path / SAVED_SPLIT).is_file()
        found = theirs.load_from_disk(str(path)) if saved else theirs.load_dataset(str(path))
        return undecoded(found if isinstance(found, Mapping) else {"all": found})
    except Exception as error:  # noqa: BLE001 - a damaged folder fails in many ways
        raise DataError(f"{path} is damaged, or no data set of Hugging Face: {images.first_line(error)}.") from None


def from_hub(spec: str) -> Mapping[str, Any]:
    """Return the tables of a data set on the hub by split; raises DataError where it cannot be had."""
    theirs = library()
    name, _, configuration = spec.partition(":")
    try:
        return undecoded(theirs.load_dataset(name, configuration or None))
    except Exception as error:  # noqa: BLE001 - networks fail in many ways
        raise DataError(
            f"There is no folder {name}, and the data set cannot be had from the hub ({images.first_line(error)}): check the "
            "name and the network, or name a folder that holds it."
        ) from None


def undecoded(tables: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return tables whose pictures and sounds are bytes or paths, so that the library opens nothing by itself."""
    theirs = library()
    found = {}
    for split, table in tables.items():
        for column, feature in table.features.items():
            if isinstance(feature, theirs.Image | theirs.Audio):
                table = table.cast_column(column, type(feature)(decode=False))  # noqa: PLW2901
        found[str(split)] = table
    return found


def check_card(path: Path) -> None:
    """Raise DataError if the description of a folder names files outside it."""
    card = path / "README.md"
    if not card.is_file():
        return
    parts = card.read_text(errors="replace").split("---")
    try:
        front = yaml.safe_load(parts[1]) if len(parts) > MARKS and not parts[0].strip() else None
    except yaml.YAMLError as error:
        raise DataError(f"{card} is damaged: {images.first_line(error)}.") from None
    for text in named_in(front.get("configs") if isinstance(front, dict) else None):
        check_name(text, card)


def check_saved(path: Path) -> None:
    """Raise DataError if what lists the files of a saved data set names some outside it."""
    for state in (path / SAVED_SPLIT, *path.glob(f"*/{SAVED_SPLIT}")):
        if state.is_file():
            try:
                files = json.loads(state.read_text()).get("_data_files", ())
            except (ValueError, AttributeError, OSError) as error:
                raise DataError(f"{state} is damaged: {images.first_line(error)}.") from None
            for text in named_in(files):
                check_name(text, state)


def named_in(value: Any) -> Iterator[str]:
    """Yield all texts in nested lists and mappings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from named_in(part)


def check_name(text: str, where: Path) -> None:
    """Raise DataError for a name that leads out of the folder."""
    if "://" in text or Path(text).is_absolute() or ".." in Path(text).parts:
        raise DataError(f"{where} names {text!r}, which is outside its folder: it is refused.")


@dataclass(frozen=True)
class Columns:
    """The columns of a table: the inputs, what they are ("image", "audio", "text", "numbers"), and the label."""

    inputs: tuple[str, ...]
    kind: str
    label: str | None

    @classmethod
    def of(cls, features: Mapping[str, Any], source: str) -> Columns:
        """Return the columns that mean what, by their types and the names that are usual; raises DataError."""
        theirs = library()
        label = next((name for name in LABELS if name in features), None)
        typed = [name for name, feature in features.items() if isinstance(feature, theirs.ClassLabel)]
        label = label or (typed[0] if len(typed) == 1 else None)
        for kind, feature in (("image", theirs.Image), ("audio", theirs.Audio)):
            found = [name for name, one in features.items() if isinstance(one, feature)]
            if found:
                return cls((found[0],), kind, label)
        words = [name for name, one in features.items() if getattr(one, "dtype", "") in {"string", "large_string"}]
        strings = [name for name in words if name != label]
        if strings:
            return cls(text_columns(strings, source), "text", label)
        others = [name for name in features if name != label]
        if len(others) != 1:
            raise DataError(
                f"{source} has columns {', '.join(features)}: which are the inputs? Keep one of them and the label."
            )
        return cls((others[0],), "numbers", label)


def text_columns(there: list[str], source: str) -> tuple[str, ...]:
    """Return which of several columns of texts are the inputs."""
    for pair in PAIRS:
        if set(pair) <= set(there):
            return pair
    known = next((name for name in TEXTS if name in there), None)
    if known is None and len(there) > 1:
        raise DataError(f"{source} has several columns of texts, {', '.join(there)}: keep one, or call it text.")
    return (known or there[0],)


def words_of(columns: Columns, tokens: texts.Words) -> Make:
    """Return what makes a row of texts into the inputs of a model."""
    return lambda values, _: tokens(*(str(values[name]) for name in columns.inputs))


def maker(columns: Columns, table: Any, reading: Reading, source: Hub) -> Make:
    """Return what makes a row of pictures, sounds or numbers into the inputs of a model."""
    preparation, (column, *_) = reading.preparation, columns.inputs
    if columns.kind == "image":
        step = max(1, len(table) // images.LOOKED_AT)
        some = [content(table[row][column], source, row) for row in range(0, len(table), step)]
        mode = images.mode_of(some, preparation)
        return lambda values, row: (images.picture(*content(values[column], source, row), mode, preparation),)
    if columns.kind == "audio":
        hear = sounds.hearing(content(table[0][column], source, 0), preparation)
        return lambda values, row: hear(*content(values[column], source, row))
    return lambda values, row: (numbers(values[column], preparation, f"sample {row} of {source.name}"),)


def numbers(value: Any, preparation: Any, where: str) -> Tensor:
    """Return nested numbers as a tensor, prepared for a model."""
    try:
        tensor = torch.from_numpy(np.asarray(value))
    except (TypeError, ValueError) as error:
        raise DataError(f"{where} is made of other than numbers: {images.first_line(error)}.") from None
    tensor = tensor.float() if tensor.is_floating_point() else tensor
    return images.prepared(tensor[None], preparation)[0]


def content(value: Any, source: Hub, row: int) -> tuple[Path | bytes, str]:
    """Return the bytes of a picture or sound, or its path where that is inside the data set, and what it is called."""
    where = f"sample {row} of {source.name}"
    if not isinstance(value, Mapping):
        raise DataError(f"{where} is missing.")
    found = sounds.sound_of(value)
    if found is not None:
        return found, where
    path = Path(str(value.get("path")))
    roots = (source.root, Path(library().config.HF_CACHE_HOME))
    if not any(root is not None and path.resolve().is_relative_to(root.resolve()) for root in roots) or not path.is_file():
        raise DataError(f"{where} points to {str(value.get('path'))!r}, which is no file inside the data set: it is refused.")
    return path, str(path)


def label_of(value: Any, order: tuple[int, ...], where: str) -> int | None:
    """Return the label of a sample in the model's order; hidden labels (-1) stay what they are."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise DataError(f"The label of {where} is {value!r}, not a whole number.")
    if not order:
        return value
    if not 0 <= value < len(order):
        raise DataError(
            f"The label of {where} is {value}, but {len(order)} classes are named: this split has no labels to test on."
        )
    return order[value]
