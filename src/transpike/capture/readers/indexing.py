"""Readers of ops that pick values by their places."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from transpike import ops
from transpike.capture.call import Call
from transpike.capture.layout import Laid, Signal, multiple
from transpike.capture.readers.shape import as_signal


def picked(call: Call) -> Signal:
    signal, places = call.arguments["self"], call.index
    if not isinstance(places, Tensor):
        raise call.refusal("which places it picks depends on the input")
    return call.emit(ops.Pick(call.axis(call.dim, signal), places.reshape(-1)), signal)


def gathered(call: Call) -> Signal:
    signal, index = (as_signal(call, value) for value in (call.arguments["self"], call.index))
    return call.emit(ops.Gather(call.axis(call.dim, signal)), signal, index)


def indexed(call: Call) -> Signal:
    """x[i, j, ...] with places that depend on no input, with rows of a table, or with one place for each sample."""
    source, places = call.arguments["self"], list(call.indices)
    if isinstance(source, Tensor):
        return rows(call, source, places)
    if any(isinstance(place, Laid) for place in places) or isinstance(source, Laid):
        raise call.refusal("it picks from a value whose batch is not axis 0")
    if places and along_batch(call, 0):
        return of_each_sample(call, source, places[1:])
    if any(not isinstance(place, Tensor) for place in places if place is not None):
        raise call.refusal("which places it picks depends on the input")
    return fixed(call, source, places)


def along_batch(call: Call, position: int) -> bool:
    """Whether an index counts the samples of the batch, so that each sample is picked from itself."""
    node = call.node.args[1][position]  # type: ignore[index]
    value = getattr(node, "meta", {}).get("val") if node is not None else None
    symbol = str(call.node.meta["batch"])
    return isinstance(value, Tensor) and any(multiple(size, symbol) for size in value.shape) and not value.is_floating_point()


def rows(call: Call, table: Tensor, places: list[Signal | Tensor | None]) -> Signal:
    """Look up the rows of a table at places that depend on the input."""
    first, *others = places
    if not isinstance(first, Signal) or any(other is not None for other in others):
        raise call.refusal("it picks from a table by several places that depend on the input")
    return call.emit(ops.Embedding(table), first)


def of_each_sample(call: Call, source: Signal, places: list[Signal | Tensor | None]) -> Signal:
    """x[samples, place]: from each sample what is at its place; without a place the sample itself."""
    if not places:
        return call.emit(ops.Reshape(call.shape), source)
    (place,) = places if len(places) == 1 else (None,)
    if isinstance(place, Tensor):
        return call.emit(ops.Reshape(call.shape), call.emit(ops.Pick(1, place.flatten()), source))
    if place is None or math.prod(place.shape) != 1:
        raise call.refusal("it picks by several places of each sample that depend on the input")
    _, *behind = source.shape
    index = call.emit(ops.Reshape((1, *[1] * len(behind))), place)
    index = call.emit(ops.Expand((1, *behind)), index) if behind else index
    return call.emit(ops.Reshape(call.shape), call.emit(ops.Gather(1), source, index))


def fixed(call: Call, signal: Signal, places: list[Tensor | None]) -> Signal:
    """Pick along neighbouring axes by constant places, which broadcast against each other."""
    given = [axis for axis, place in enumerate(places) if place is not None]
    if given != list(range(given[0], given[-1] + 1)) or given[0] == 0:
        raise call.refusal("it picks along the batch, or along axes that are no neighbours")
    start, count = given[0], len(given)
    numbers = list(torch.broadcast_tensors(*(place for place in places if place is not None)))
    sizes = signal.shape[start - 1 : start - 1 + count]
    flat = torch.zeros_like(numbers[0])
    for size, number in zip(sizes, numbers, strict=True):
        flat = flat * size + number % size
    if count > 1:
        merged = (*signal.shape[: start - 1], math.prod(sizes), *signal.shape[start - 1 + count :])
        signal = call.emit(ops.Reshape(merged), signal)
    result = call.emit(ops.Pick(start, flat.flatten()), signal)
    return result if result.shape == call.shape else call.emit(ops.Reshape(call.shape), result)
