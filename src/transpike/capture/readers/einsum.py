"""The reader of Einstein sums: products of matrices, sums and orders of axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from transpike import ops
from transpike.capture.call import Call
from transpike.capture.layout import Laid, Signal, parted
from transpike.capture.readers.shape import moved


@dataclass(frozen=True)
class Labelled:
    """A signal, or a constant [1, ...], with a letter for each axis but that of the batch."""

    signal: Signal
    letters: str

    @property
    def sizes(self) -> dict[str, int]:
        """The size of each axis."""
        return dict(zip(self.letters, self.signal.shape, strict=True))


def einsum(call: Call) -> Signal:
    inputs, output = terms(call)
    values = list(call.tensors)
    batch = {
        letters[parted(value)[1].place]
        for letters, value in zip(inputs, values, strict=True)
        if isinstance(value, Signal | Laid)
    }
    if len(batch) != 1 or len(values) > 2 or not batch <= set(output):  # noqa: PLR2004 - more are products of products
        raise call.refusal("it is no product of two signals with the batch of both along one axis")
    (samples,) = batch
    result = output.replace(samples, "")
    if weights := weighted(inputs, values, samples, result):
        return weighted_sum(call, weights, samples, result)
    operands = [labelled(call, value, letters, samples) for letters, value in zip(inputs, values, strict=True)]
    kept = [
        summed(call, value, set(result).union(*(other.letters for other in operands if other is not value)))
        for value in operands
    ]
    final = product(call, kept[0], kept[1], result) if len(kept) > 1 else kept[0]
    return ordered(call, final, result).signal


@dataclass(frozen=True)
class Weights:
    """A signal times a constant of which no axis is both in the signal and in the result: a linear layer."""

    value: Any
    letters: str
    constant: Tensor
    names: str


def weighted(inputs: list[str], values: list[Any], samples: str, result: str) -> Weights | None:
    """Return a product as a signal and weights, if it is one."""
    order = sorted(range(len(values)), key=lambda place: isinstance(values[place], Tensor))
    if len(values) == 1 or not isinstance(values[order[1]], Tensor):
        return None
    first, second = order
    both = set(inputs[first]) & set(inputs[second])
    if not both or samples in inputs[second] or both & set(result) or not set(inputs[second]) <= both | set(result):
        return None
    return Weights(values[first], inputs[first], values[second], inputs[second])


def weighted_sum(call: Call, weights: Weights, samples: str, result: str) -> Signal:
    """Read a product with weights as a linear layer over the axes that both have, brought behind the others."""
    signal = labelled(call, weights.value, weights.letters, samples)
    inner = "".join(letter for letter in signal.letters if letter in weights.names)
    signal = summed(call, signal, {*result, *inner})
    rows = "".join(letter for letter in signal.letters if letter not in inner)
    columns = "".join(letter for letter in weights.names if letter not in inner)
    table = weights.constant.permute([weights.names.index(letter) for letter in columns + inner])
    sizes = {**signal.sizes, **dict(zip(columns, table.shape, strict=False))}
    flat = stacked(call, signal, (rows, inner), sizes)
    width = math.prod(sizes[letter] for letter in inner)
    product = call.emit(ops.Linear(table.reshape(-1, width).contiguous()), flat)
    shape = tuple(sizes[letter] for letter in rows + columns)
    apart = product if product.shape == shape else call.emit(ops.Reshape(shape), product)
    return ordered(call, Labelled(apart, rows + columns), result).signal


def terms(call: Call) -> tuple[list[str], str]:
    """Return the letters of each input and of the output."""
    left, _, right = call.equation.replace(" ", "").partition("->")
    if "." in left or "->" not in call.equation:
        raise call.refusal("its equation leaves axes out", "Name all axes, and those of the result.")
    return left.split(","), right


def labelled(call: Call, value: Any, letters: str, samples: str) -> Labelled:
    """Return an operand with its letters; a constant gets a node of its own."""
    if isinstance(value, Tensor):
        if samples in letters:
            place = letters.index(samples)
            if value.shape[place] != 1:
                raise call.refusal("a constant varies along the batch")
            value, letters = value.squeeze(place), letters.replace(samples, "")
        name = call.program.add("constant", ops.Constant(value[None]), (), call.origin, tuple(value.shape), value.dtype)
        return Labelled(name, letters)
    signal, layout = parted(value)
    if layout.shared or len(set(letters)) < len(letters):
        raise call.refusal("an axis of its operands is shared or named twice")
    return Labelled(signal, letters.replace(samples, ""))


def ordered(call: Call, value: Labelled, letters: str) -> Labelled:
    """Return an operand with its axes in the order of `letters`."""
    axes = [0, *(1 + value.letters.index(letter) for letter in letters)]
    return Labelled(moved(call, value.signal, axes), letters)


def summed(call: Call, value: Labelled, needed: set[str]) -> Labelled:
    """Return an operand summed over the axes that neither the result nor the other operand has."""
    axes = tuple(1 + place for place, letter in enumerate(value.letters) if letter not in needed)
    if not axes:
        return value
    letters = "".join(letter for letter in value.letters if letter in needed)
    return Labelled(call.emit(ops.Mean(axes, keepdim=False, sum=True), value.signal), letters)


def product(call: Call, left: Labelled, right: Labelled, result: str) -> Labelled:
    """Return the product of two operands: over the letters that both have and the result has not it is summed."""
    both = "".join(letter for letter in left.letters if letter in right.letters)
    along = "".join(letter for letter in both if letter in result)
    inner = "".join(letter for letter in both if letter not in result)
    rows, columns = ("".join(letter for letter in value.letters if letter not in both) for value in (left, right))
    sizes = {**left.sizes, **right.sizes}
    first = stacked(call, left, (along, rows, inner), sizes)
    second = stacked(call, right, (along, inner, columns), sizes)
    letters = along + rows + columns
    flat = call.emit(ops.MatMul(), first, second)
    shape = tuple(sizes[letter] for letter in letters)
    return Labelled(flat if flat.shape == shape else call.emit(ops.Reshape(shape), flat), letters)


def stacked(call: Call, value: Labelled, groups: Sequence[str], sizes: dict[str, int]) -> Signal:
    """Return an operand as matrices [batch, *along, rows, columns]."""
    along, *matrix = groups
    signal = ordered(call, value, "".join(groups)).signal
    shape = (*(sizes[letter] for letter in along), *(math.prod(sizes[letter] for letter in group) for group in matrix))
    return signal if signal.shape == shape else call.emit(ops.Reshape(shape), signal)
