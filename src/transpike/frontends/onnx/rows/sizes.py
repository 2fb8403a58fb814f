"""Rows of operators on sizes and other numbers that are known without running the model."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from transpike.frontends.onnx.graph import OnnxNode
from transpike.frontends.onnx.rows.shapes import slices
from transpike.frontends.onnx.values import axes_of, checked_size, listed, numbers

Known = np.ndarray


def kept(value: Any) -> Known:
    """Return a result as an array, of whole numbers again where it is of those."""
    array = np.asarray(value, dtype=object) if not isinstance(value, np.ndarray | np.generic) else np.asarray(value)
    return listed(array) if array.dtype == object and all(isinstance(i, int | np.integer) for i in array.flat) else array


def of(function: Callable[..., Any]) -> Callable[..., Known]:
    """Return the row of a function of arrays without settings."""
    return lambda node, *values: kept(function(*values))


def divided(a: Known, b: Known) -> Any:
    """Divide; whole numbers towards zero, which for sizes is downwards."""
    return a // b if all(value.dtype == object or value.dtype.kind in "iu" for value in (a, b)) else a / b


def gathered(node: OnnxNode, x: Known, indices: Known) -> Known:
    (axis,) = axes_of(node, int(node.get("axis", 0)), x.ndim)
    try:
        return kept(np.take(x, indices.astype(np.int64), axis))
    except IndexError:
        raise node.refusal(f"it picks an entry beyond the {x.shape[axis]} of its axis") from None


def cast(node: OnnxNode, x: Known) -> Known:
    import onnx

    kind = onnx.helper.tensor_dtype_to_np_dtype(int(node.get("to")))
    if x.dtype == object:
        if kind.kind in "iu":
            return x
        raise node.refusal("it computes with the size of the batch", "Samples must be treated alone.")
    return x.astype(np.float32 if kind.kind not in "iub" else kind)


def filled(node: OnnxNode, shape: Known) -> Any:
    """Return a constant of a shape that is known, or that has the batch in it."""
    value = node.get("value", np.zeros(1, np.float32))
    sizes = list(checked_size(node, numbers(node, shape, "shape")))
    if all(isinstance(size, int) for size in sizes):
        return np.full(sizes, value.reshape(-1)[0], value.dtype)
    import torch

    return torch.full(sizes, value.reshape(-1)[0].item(), dtype=torch.from_numpy(value).dtype)


def counted(node: OnnxNode, start: Known, stop: Known, step: Known) -> Known:
    ends = [value.reshape(-1)[0] for value in (start, stop, step)]
    if any(not isinstance(end, int | float | np.number) for end in ends):
        raise node.refusal("it counts samples of the batch", "Samples must be treated alone.")
    checked_size(node, [int(abs(ends[1] - ends[0]) / abs(ends[2] or 1)) + 1])
    return np.arange(*ends)


def sliced(node: OnnxNode, x: Known, *inputs: Known) -> Known:
    return kept(x[tuple(slices(node, x.ndim, *inputs))])


def squeezed(node: OnnxNode, x: Known, axes: Known | None = None) -> Known:
    given = node.get("axes") if axes is None else axes
    return kept(x.squeeze() if given is None else x.squeeze(tuple(axes_of(node, given, x.ndim))))


def unsqueezed(node: OnnxNode, x: Known, axes: Known | None = None) -> Known:
    given = node.get("axes") if axes is None else axes
    return np.expand_dims(x, tuple(axes_of(node, given, x.ndim + len(given))))


def reshaped(node: OnnxNode, x: Known, shape: Known | None = None) -> Known:
    return x.reshape(node.get("shape") if shape is None else numbers(node, shape, "shape"))


def expanded(node: OnnxNode, x: Known, shape: Known) -> Any:
    """Spread a constant; where that needs the size of the batch it becomes a tensor."""
    sizes = list(checked_size(node, numbers(node, shape, "shape")))
    if all(isinstance(size, int) for size in sizes):
        return np.array(np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(sizes))))
    import torch

    return torch.from_numpy(np.array(x)).expand(sizes)


def reduced(function: Callable[..., Any]) -> Callable[..., Known]:
    """Return the row of a reduction of all values, or along axes."""

    def row(node: OnnxNode, x: Known, axes: Known | None = None) -> Known:
        given = node.get("axes") if axes is None else axes
        places = tuple(range(x.ndim)) if given is None else tuple(axes_of(node, given, x.ndim))
        found = x
        for axis in sorted(places, reverse=True):
            found = np.apply_along_axis(lambda row: function(list(row)), axis, found)
        keep = bool(node.get("keepdims", 1))
        return kept(np.expand_dims(found, tuple(sorted(places))) if keep else found)

    return row


def split(node: OnnxNode, x: Known, parts: Known | None = None) -> tuple[Known, ...]:
    (axis,) = axes_of(node, int(node.get("axis", 0)), x.ndim)
    given = node.get("split") if parts is None else numbers(node, parts, "split")
    size = -(-x.shape[axis] // len(node.outputs))
    cuts = np.cumsum(given)[:-1] if given is not None else np.arange(size, x.shape[axis], size)
    return tuple(np.split(x, cuts, axis))


SIZES: dict[str, Callable[..., Any]] = {
    "Add": of(lambda a, b: a + b),
    "Sub": of(lambda a, b: a - b),
    "Mul": of(lambda a, b: a * b),
    "Div": of(divided),
    "Mod": of(lambda a, b: a % b),
    "Pow": of(lambda a, b: a**b),
    "Neg": of(lambda a: -a),
    "Sqrt": of(np.sqrt),
    "Reciprocal": of(lambda a: 1 / a),
    "Floor": of(np.floor),
    "Ceil": of(np.ceil),
    "Equal": of(lambda a, b: a == b),
    "Less": of(lambda a, b: a < b),
    "LessOrEqual": of(lambda a, b: a <= b),
    "Greater": of(lambda a, b: a > b),
    "GreaterOrEqual": of(lambda a, b: a >= b),
    "Not": of(np.logical_not),
    "And": of(np.logical_and),
    "Or": of(np.logical_or),
    "Where": of(lambda c, a, b: np.where(c.astype(bool), a, b)),
    "Max": of(lambda *values: np.maximum.reduce(np.broadcast_arrays(*values))),
    "Min": of(lambda *values: np.minimum.reduce(np.broadcast_arrays(*values))),
    "Gather": gathered,
    "Concat": lambda node, *values: kept(np.concatenate(values, int(node.get("axis")))),
    "Slice": sliced,
    "Split": split,
    "Squeeze": squeezed,
    "Unsqueeze": unsqueezed,
    "Reshape": reshaped,
    "Transpose": lambda node, x: x.transpose(node.get("perm")),
    "Expand": expanded,
    "Tile": lambda node, x, repeats: np.tile(x, checked_size(node, numbers(node, repeats, "repeats"))),
    "Cast": cast,
    "Identity": lambda node, x: x,
    "Shape": lambda node, x: listed(list(x.shape))[node.get("start", 0) : node.get("end")],
    "Size": lambda node, x: listed(x.size),
    "ConstantOfShape": filled,
    "Range": counted,
    "ReduceProd": reduced(math.prod),
    "ReduceSum": reduced(sum),
    "ReduceMax": reduced(max),
    "ReduceMin": reduced(min),
}
