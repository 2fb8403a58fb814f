"""Rows of functions of single values: activations and arithmetic."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from transpike.frontends.onnx.graph import OnnxNode
from transpike.frontends.onnx.values import Value, axes_of, tensor


def plain(function: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """Return the row of a function without settings."""
    return lambda node, x: function(tensor(node, x))


def pair(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """Return the row of a function of two values or more, taken from the left."""

    def row(node: OnnxNode, *values: Value) -> Tensor:
        like = next((value for value in values if isinstance(value, Tensor)), None)
        return functools.reduce(function, [operand(node, value, like) for value in values])

    return row


def operand(node: OnnxNode, value: Value, like: Tensor | None) -> Any:
    """Return an operand: a single number as itself, so that it takes the precision of the other one."""
    if isinstance(value, np.ndarray) and value.ndim == 0 and like is not None:
        return value.item()
    return tensor(node, value, like)


def divided(a: Any, b: Any) -> Any:
    """Divide as ONNX does: whole numbers round towards zero."""
    whole = all(isinstance(value, int) or (isinstance(value, Tensor) and not value.is_floating_point()) for value in (a, b))
    return torch.div(a, b, rounding_mode="trunc") if whole else a / b


def larger(a: Any, b: Any) -> Any:
    return bound(a, b, torch.maximum, "min")


def smaller(a: Any, b: Any) -> Any:
    return bound(a, b, torch.minimum, "max")


def bound(a: Any, b: Any, function: Callable[[Tensor, Tensor], Tensor], side: str) -> Any:
    """Return a maximum or minimum; with a number it is a clamp."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return function(a, b)
    value, limit = (a, b) if isinstance(a, Tensor) else (b, a)
    return torch.clamp(value, **{side: limit})


UNBOUNDED = 3e38  # what some exporters write for no bound


def clip(node: OnnxNode, x: Tensor, low: Value = None, high: Value = None) -> Tensor:
    del low, high  # they have to be known
    ends = [node.setting("min", 1), node.setting("max", 2)]
    bounds = [
        None if end is None or math.isinf(np.ravel(end)[0]) or abs(np.ravel(end)[0]) >= UNBOUNDED else float(np.ravel(end)[0])
        for end in ends
    ]
    if bounds == [0.0, None]:
        return F.relu(x)
    if bounds == [0.0, 6.0]:
        return F.relu6(x)
    return x if bounds == [None, None] else torch.clamp(x, *bounds)


def prelu(node: OnnxNode, x: Tensor, slope: Value) -> Tensor:
    slopes = tensor(node, slope, x)
    if slopes.numel() not in {1, x.shape[1]}:
        raise node.refusal(f"its slopes have shape {tuple(slopes.shape)}: one for all or one per channel is read")
    return F.prelu(x, slopes.reshape(-1))


def hard_sigmoid(node: OnnxNode, x: Tensor) -> Tensor:
    alpha, beta = float(node.get("alpha", 0.2)), float(node.get("beta", 0.5))
    if math.isclose(alpha, 1 / 6, rel_tol=1e-5) and beta == 0.5:  # noqa: PLR2004 - as torch defines it
        return F.hardsigmoid(x)
    return torch.clamp(alpha * x + beta, 0.0, 1.0)


def softmax(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return the row of a softmax; before operator set 13 it acts on all axes from one on as if they were one."""

    def row(node: OnnxNode, x: Tensor) -> Tensor:
        new = node.opset >= 13  # noqa: PLR2004 - the operator set that changed it
        (axis,) = axes_of(node, int(node.get("axis", -1 if new else 1)), x.ndim)
        if new or axis == x.ndim - 1:
            return function(x, axis)
        flat = function(x.flatten(axis), -1)
        return flat.reshape(*x.shape[:axis], *x.shape[axis:])

    return row


def where(node: OnnxNode, condition: Value, a: Value, b: Value) -> Tensor:
    like = next((value for value in (a, b) if isinstance(value, Tensor)), None)
    return torch.where(tensor(node, condition), operand(node, a, like), operand(node, b, like))


def cast(node: OnnxNode, x: Tensor, _: Value = None) -> Tensor:
    """Change the kind of numbers; fractions keep their precision, and become whole numbers only if they were."""
    import onnx

    kind = int(node.get("to"))
    if kind == onnx.TensorProto.STRING:
        raise node.refusal("it makes texts")
    known = onnx.helper.tensor_dtype_to_np_dtype(kind)
    if known.kind not in "iub":  # fractions of any precision
        return x if x.is_floating_point() else x.to(torch.float32)
    return x.to(torch.from_numpy(np.zeros(1, known)).dtype)


def like_first(node: OnnxNode, x: Tensor, like: Tensor) -> Tensor:
    return x if x.is_floating_point() and like.is_floating_point() else x.to(like.dtype)


def gelu(node: OnnxNode, x: Tensor) -> Tensor:
    return F.gelu(x, approximate=str(node.get("approximate", "none")))


def swish(node: OnnxNode, x: Tensor) -> Tensor:
    alpha = float(node.get("alpha", 1.0))
    return F.silu(x) if alpha == 1 else x * torch.sigmoid(alpha * x)


def powered(a: Any, b: Any) -> Tensor:
    return torch.pow(a, b)


def mean_of(node: OnnxNode, *values: Value) -> Tensor:
    return pair(torch.add)(node, *values) / len(values)


POINTWISE: dict[str, Callable[..., Tensor]] = {
    "Relu": plain(F.relu),
    "LeakyRelu": lambda node, x: F.leaky_relu(x, float(node.get("alpha", 0.01))),
    "PRelu": prelu,
    "Clip": clip,
    "Sigmoid": plain(torch.sigmoid),
    "Tanh": plain(torch.tanh),
    "Softmax": softmax(torch.softmax),
    "LogSoftmax": softmax(torch.log_softmax),
    "Softplus": plain(F.softplus),
    "Softsign": plain(F.softsign),
    "Elu": lambda node, x: F.elu(x, float(node.get("alpha", 1.0))),
    "Celu": lambda node, x: F.celu(x, float(node.get("alpha", 1.0))),
    "Selu": plain(F.selu),
    "HardSigmoid": hard_sigmoid,
    "HardSwish": plain(F.hardswish),
    "Mish": plain(F.mish),
    "Gelu": gelu,
    "Swish": swish,
    "ThresholdedRelu": lambda node, x: F.threshold(x, float(node.get("alpha", 1.0)), 0.0),
    "Erf": plain(torch.erf),
    "Exp": plain(torch.exp),
    "Log": plain(torch.log),
    "Sqrt": plain(torch.sqrt),
    "Reciprocal": plain(torch.reciprocal),
    "Abs": plain(torch.abs),
    "Neg": plain(torch.neg),
    "Sin": plain(torch.sin),
    "Cos": plain(torch.cos),
    "Not": plain(torch.logical_not),
    "Add": pair(lambda a, b: a + b),
    "Sum": pair(lambda a, b: a + b),
    "Sub": pair(lambda a, b: a - b),
    "Mul": pair(lambda a, b: a * b),
    "Div": pair(divided),
    "Pow": pair(powered),
    "Max": pair(larger),
    "Min": pair(smaller),
    "Mean": mean_of,
    "Equal": pair(lambda a, b: a == b),
    "Less": pair(lambda a, b: a < b),
    "LessOrEqual": pair(lambda a, b: a <= b),
    "Greater": pair(lambda a, b: a > b),
    "GreaterOrEqual": pair(lambda a, b: a >= b),
    "And": pair(torch.logical_and),
    "Or": pair(torch.logical_or),
    "Where": where,
    "Cast": cast,
    "CastLike": like_first,
    "Identity": lambda node, x: x,
    "Dropout": lambda node, x, *_: x,
}
