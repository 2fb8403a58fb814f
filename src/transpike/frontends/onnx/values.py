"""What flows between nodes: tensors, and arrays of sizes and other whole numbers that are known without running the model.

Sizes are NumPy arrays; while torch.export runs, the size of the batch in them is a symbol, so they are arrays of objects.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transpike.frontends.onnx.graph import OnnxNode

LARGEST = 2**28  # values that one node may make out of nothing

Value = Any  # Tensor | np.ndarray | None


def sizes_of(value: Tensor) -> np.ndarray:
    """Return the shape of a tensor as an array."""
    return listed(list(value.shape))


def listed(values: Any) -> np.ndarray:
    """Return whole numbers, some of them perhaps symbols, as an array; plain numbers as int64."""
    array = np.asarray(values, dtype=object)
    known = all(isinstance(item, int | np.integer) for item in array.flat)
    return array.astype(np.int64) if known else array


def numbers(node: OnnxNode, value: Value, what: str) -> list[Any]:
    """Return an array of sizes as a list of Python numbers or symbols."""
    if not isinstance(value, np.ndarray):
        raise node.refusal(f"its {what} depends on the values of the input", f"Export the model with a fixed {what}.")
    return [int(item) if isinstance(item, int | np.integer) else item for item in value.reshape(-1)]


def tensor(node: OnnxNode, value: Value, like: Tensor | None = None) -> Tensor:
    """Return a value as a tensor; fractions in the precision of `like`."""
    if isinstance(value, Tensor):
        return value
    if value.dtype == object:
        raise node.refusal("it computes with the size of the batch", "Samples must be treated alone.")
    found = torch.from_numpy(np.array(value))
    return found.to(like.dtype) if like is not None and found.is_floating_point() and like.is_floating_point() else found


def checked_size(node: OnnxNode, sizes: Sequence[Any]) -> Sequence[Any]:
    """Return sizes of a result unless they are absurd: a file of a few bytes must not take all memory."""
    known = math.prod(abs(size) for size in sizes if isinstance(size, int))
    if known > LARGEST:
        raise node.refusal(f"it asks for {known} values at once")
    return sizes


def axes_of(node: OnnxNode, value: Value, rank: int) -> list[int]:
    """Return axes counted from the front."""
    axes = value if isinstance(value, list) else [value] if isinstance(value, int) else numbers(node, value, "axes")
    if any(not -rank <= axis < rank for axis in axes):
        raise node.refusal(f"it names axes {axes} of a value that has {rank}")
    return [axis % rank for axis in axes]
