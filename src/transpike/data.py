"""Samples in the forms that people have them, checked and cut into batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transpike.errors import DataError
from transpike.ops import Input

WHOLE_BATCH = 100


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs of the model, each [batch, ...], and the labels [batch] where there are some."""

    inputs: tuple[Tensor, ...]
    labels: Tensor | None = None

    def __len__(self) -> int:
        return int(self.inputs[0].shape[0])

    def __getitem__(self, rows: slice) -> Batch:
        return Batch(tuple(x[rows] for x in self.inputs), None if self.labels is None else self.labels[rows])

    def followed_by(self, other: Batch) -> Batch:
        """Return both batches as one."""
        if (self.labels is None) != (other.labels is None):
            raise DataError("Some batches have labels and others have none: give labels with all or with none.")
        inputs = tuple(torch.cat(pair) for pair in zip(self.inputs, other.inputs, strict=True))
        labels = None if self.labels is None or other.labels is None else torch.cat([self.labels, other.labels])
        return Batch(inputs, labels)


def as_tensor(value: Any, what: str) -> Tensor:
    """Return `value` (tensor, array or nested numbers) as a tensor, or raise DataError."""
    if isinstance(value, Tensor):
        return value.detach()
    try:
        return torch.from_numpy(np.ascontiguousarray(value))
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} must be tensors or arrays of numbers, not {type(value).__name__} ({error}).") from None


def parts_of(item: Any) -> tuple[Any, ...]:
    """Return what a loader yields (a tensor, a sequence or a mapping) as a tuple of values."""
    if isinstance(item, Mapping):
        return tuple(item.values())
    return tuple(item) if isinstance(item, tuple | list) else (item,)


def split(values: tuple[Any, ...], inputs: int, what: str) -> Batch:
    """Return the first `inputs` values as inputs and one more, if there is one, as labels."""
    tensors = [as_tensor(value, what) for value in values]
    if len(tensors) not in {inputs, inputs + 1}:
        expected = f"{inputs} input{'s' * (inputs > 1)}"
        raise DataError(f"Each batch of {what} must hold {expected}, with or without labels, not {len(tensors)} values.")
    if any(tensor.ndim == 0 or tensor.shape[0] != tensors[0].shape[0] for tensor in tensors):
        lengths = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
        raise DataError(f"The parts of a batch of {what} differ in length: their shapes are {lengths}.")
    return Batch(tuple(tensors[:inputs]), tensors[inputs] if len(tensors) > inputs else None)


def batches(samples: Any, inputs: int = 1, what: str = "samples") -> Iterator[Batch]:
    """Yield batches from `samples`.

    `samples` is one tensor or array [n, ...], a tuple of them (inputs, then perhaps labels), or an iterable of batches
    in the same forms, such as a DataLoader. Raises DataError if it is empty, one-shot, or its parts do not fit together.
    """
    if isinstance(samples, Batch):
        yield from whole(samples)
    elif isinstance(samples, Tensor | np.ndarray) or (
        isinstance(samples, tuple) and samples and not isinstance(samples[0], tuple)
    ):
        yield from whole(split(parts_of(samples), inputs, what))
    elif isinstance(samples, Iterator):
        raise DataError(f"{what.capitalize()} can be read only once: pass a list or a DataLoader instead of an iterator.")
    elif isinstance(samples, Iterable):
        for item in samples:
            yield item if isinstance(item, Batch) else split(parts_of(item), inputs, what)
    else:
        raise DataError(f"{what.capitalize()} must be tensors or batches of tensors, not {type(samples).__name__}.")


def known_length(samples: Any) -> int | None:
    """Return how many samples there are, if that is known before they are read; a loader knows batches only."""
    if isinstance(samples, Tensor | Batch):
        return len(samples)
    length = getattr(samples, "length", None)  # of a split that is read from disk
    return length if isinstance(length, int) else None


def first_values(samples: Any) -> tuple[Any, ...]:
    """Return the inputs, and perhaps the labels, of the first batch of `samples`, as tensors where they are arrays."""
    if isinstance(samples, Iterable) and not isinstance(samples, Batch | Tensor | np.ndarray | Iterator):
        alone = isinstance(samples, tuple) and samples and not isinstance(samples[0], tuple)
        samples = samples if alone else next(iter(samples), ())
    if isinstance(samples, Batch):
        return samples.inputs
    return tuple(torch.from_numpy(value) if isinstance(value, np.ndarray) else value for value in parts_of(samples))


def whole(batch: Batch) -> Iterator[Batch]:
    """Cut one data set that is wholly in memory into batches."""
    for start in range(0, len(batch), WHOLE_BATCH):
        yield batch[start : start + WHOLE_BATCH]


def checked(stream: Iterable[Batch], expected: Mapping[str, Input], what: str = "samples") -> Iterator[Batch]:
    """Yield each batch after checking shapes, dtypes and that every value is finite; raise DataError otherwise.

    Empty batches are dropped; an empty stream raises.
    """
    seen = 0
    for batch in stream:
        if len(batch) == 0:
            continue
        for (name, op), tensor in zip(expected.items(), batch.inputs, strict=True):
            check_input(name, op, tensor, what, seen)
        seen += len(batch)
        yield batch
    if seen == 0:
        raise DataError(f"The {what} are empty: give at least one, better a few hundred.")


def check_input(name: str, op: Input, tensor: Tensor, what: str, seen: int) -> None:
    """Raise DataError unless `tensor` [batch, ...] is what the input `name` takes."""
    if tuple(tensor.shape[1:]) != op.shape:
        raise DataError(
            f"The {what} have shape {tuple(tensor.shape[1:])} for input {name!r}, "
            f"but the network takes {op.shape} (without the batch)."
        )
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype != op.dtype:
        raise DataError(
            f"The {what} are {dtype} for input {name!r}, but the network takes {op.dtype}: "
            f"convert them, with the same scaling as in training."
        )
    check_finite(repr(name), tensor, what, seen)


def check_finite(name: str, tensor: Tensor, what: str, seen: int) -> None:
    """Raise DataError naming the first sample of `tensor` [batch, ...] that has NaN or infinite values."""
    if tensor.is_floating_point() and not torch.isfinite(tensor).all():
        row = int((~torch.isfinite(tensor)).reshape(len(tensor), -1).any(1).nonzero()[0])
        raise DataError(f"Sample {seen + row} of the {what} has NaN or infinite values in input {name}.")


def check_labels(labels: Tensor, classes: int, seen: int, places: Sequence[int] = ()) -> Tensor:
    """Return `labels` [batch, *places] as int64 if each is in 0 .. classes-1, else raise DataError naming the sample."""
    if tuple(labels.shape[1:]) != tuple(places) or labels.is_floating_point() or labels.is_complex():
        wanted = ", ".join(["batch", *map(str, places)])
        raise DataError(f"Labels must be whole numbers [{wanted}], not {labels.dtype} of shape {tuple(labels.shape)}.")
    labels = labels.long()
    wrong = ((labels < 0) | (labels >= classes)).nonzero()
    if len(wrong):
        place = tuple(wrong[0].tolist())
        raise DataError(
            f"Label {int(labels[place])} of sample {seen + place[0]} is out of range: the network tells {classes} classes "
            f"apart, numbered from 0."
        )
    return labels
