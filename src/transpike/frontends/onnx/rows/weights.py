"""Rows of layers with weights: convolutions, products with matrices, norms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from transpike.frontends.onnx.graph import OnnxNode
from transpike.frontends.onnx.values import Value, tensor

CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def spatial(node: OnnxNode, x: Tensor) -> int:
    """Return in how many dimensions a layer acts."""
    rank = x.ndim - 2
    if rank not in CONVOLUTIONS:
        raise node.refusal(f"its input has {x.ndim} axes instead of 3, 4 or 5")
    return rank


def borders(node: OnnxNode, x: Tensor, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> list[int]:
    """Return how many values are added before and behind each axis: [before of each, behind of each]."""
    mode = node.get("auto_pad", "NOTSET")
    rank = len(kernel)
    if mode == "VALID":
        return [0] * (2 * rank)
    if mode == "NOTSET":
        return [int(pad) for pad in node.get("pads", [0] * (2 * rank))]
    before, behind = [], []
    for size, k, stride, dilation in zip(x.shape[2:], kernel, strides, dilations, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + dilation * (k - 1) + 1 - size)
        less, more = total // 2, total - total // 2
        before.append(less if mode == "SAME_UPPER" else more)
        behind.append(more if mode == "SAME_UPPER" else less)
    return before + behind


def parted(pads: Sequence[int]) -> tuple[list[int] | None, list[int]]:
    """Return borders as the same number on both sides of each axis, or as widths for F.pad, the last axis first."""
    rank = len(pads) // 2
    if list(pads[:rank]) == list(pads[rank:]):
        return list(pads[:rank]), []
    return None, [width for axis in reversed(range(rank)) for width in (pads[axis], pads[rank + axis])]


def conv(node: OnnxNode, x: Tensor, weight: Value, bias: Value = None) -> Tensor:
    rank = spatial(node, x)
    weight = tensor(node, weight, x)
    strides, dilations = node.get("strides", [1] * rank), node.get("dilations", [1] * rank)
    same, widths = parted(borders(node, x, weight.shape[2:], strides, dilations))
    x = F.pad(x, widths) if same is None else x
    return CONVOLUTIONS[rank](x, weight, bias, strides, same or [0] * rank, dilations, node.get("group", 1))


def conv_transpose(node: OnnxNode, x: Tensor, weight: Value, bias: Value = None) -> Tensor:
    """Read a transposed convolution; what it cuts off by unequal borders is cut off afterwards."""
    rank = spatial(node, x)
    weight = tensor(node, weight, x)
    strides, dilations = node.get("strides", [1] * rank), node.get("dilations", [1] * rank)
    extra, kernel = node.get("output_padding", [0] * rank), weight.shape[2:]
    pads = borders(node, x, kernel, strides, dilations) if node.get("auto_pad", "NOTSET") in {"NOTSET", "VALID"} else None
    if node.get("output_shape") or pads is None:
        raise node.refusal("its borders follow from the size of its output", "Export it with explicit pads.")
    same, _ = parted(pads)
    group = node.get("group", 1)
    if same is not None:
        return TRANSPOSED[rank](x, weight, bias, strides, same, extra, group, dilations)
    whole = TRANSPOSED[rank](x, weight, bias, strides, [0] * rank, extra, group, dilations)
    for axis in range(rank):
        whole = whole.narrow(2 + axis, pads[axis], whole.shape[2 + axis] - pads[axis] - pads[rank + axis])
    return whole


def gemm(node: OnnxNode, a: Value, b: Value, c: Value = None) -> Tensor:
    """Return alpha A' B' + beta C, as a linear layer where it is one."""
    a, b = tensor(node, a), tensor(node, b)
    alpha, beta = float(node.get("alpha", 1.0)), float(node.get("beta", 1.0))
    a = a.t() if node.get("transA", 0) else a
    weight = b if node.get("transB", 0) else b.t()
    weight = weight if alpha == 1 else alpha * weight
    if c is None or beta == 0:
        return F.linear(a, weight)
    bias = tensor(node, c, a)
    bias = bias if beta == 1 else beta * bias
    if bias.numel() == weight.shape[0]:
        return F.linear(a, weight, bias.reshape(-1))
    return F.linear(a, weight) + bias


def matmul(node: OnnxNode, a: Value, b: Value) -> Tensor:
    a, b = tensor(node, a), tensor(node, b)
    return F.linear(a, b.t()) if b.ndim == 2 and 1 in node.constants else torch.matmul(a, b)  # noqa: PLR2004 - a matrix


def batch_norm(node: OnnxNode, x: Tensor, scale: Value, bias: Value, mean: Value, var: Value) -> Tensor:
    if node.get("training_mode", 0):
        raise node.refusal("it is in training mode", "Export the model in evaluation mode.")
    centre, spread, factor, shift = (tensor(node, value, x) for value in (mean, var, scale, bias))
    return F.batch_norm(x, centre, spread, factor, shift, training=False, eps=float(node.get("epsilon", 1e-5)))


def instance_norm(node: OnnxNode, x: Tensor, scale: Value, bias: Value) -> Tensor:
    return F.instance_norm(x, weight=tensor(node, scale, x), bias=tensor(node, bias, x), eps=float(node.get("epsilon", 1e-5)))


def layer_norm(node: OnnxNode, x: Tensor, scale: Value, bias: Value = None) -> Tensor:
    axis = node.get("axis", -1) % x.ndim
    shift = None if bias is None else tensor(node, bias, x)
    return F.layer_norm(x, x.shape[axis:], tensor(node, scale, x), shift, float(node.get("epsilon", 1e-5)))


def rms_norm(node: OnnxNode, x: Tensor, scale: Value) -> Tensor:
    axis = node.get("axis", -1) % x.ndim
    return F.rms_norm(x, x.shape[axis:], tensor(node, scale, x), float(node.get("epsilon", 1e-5)))


def group_norm(node: OnnxNode, x: Tensor, scale: Value, bias: Value) -> Tensor:
    """Read a group norm; before operator set 21 it has one scale and shift for each group."""
    groups, channels = int(node.get("num_groups")), x.shape[1]
    given = [tensor(node, value, x) for value in (scale, bias)]
    scale, bias = (one if len(one) == channels else one.repeat_interleave(channels // groups) for one in given)
    return F.group_norm(x, groups, scale, bias, float(node.get("epsilon", 1e-5)))


def einsum(node: OnnxNode, *operands: Value) -> Tensor:
    return torch.einsum(node.get("equation"), *[tensor(node, operand) for operand in operands])


def linear_scores(node: OnnxNode, x: Tensor) -> Tensor:
    """Return scores of classes, or values of a regression, of scikit-learn's linear models."""
    outputs = len(node.get("intercepts", [])) or int(node.get("targets", 1))
    weight = torch.tensor(node.get("coefficients"), dtype=x.dtype).reshape(outputs, -1)
    bias = torch.tensor(node.get("intercepts"), dtype=x.dtype) if node.get("intercepts") else None
    scores = F.linear(x, weight, bias)
    if node.op == "LinearClassifier" and outputs == 1:
        raise node.refusal("it tells two classes apart by one score", "Export it with option {'raw_scores': True}.")
    ends: dict[str, Any] = {"NONE": None, "SOFTMAX": torch.softmax, "LOGISTIC": torch.sigmoid}
    end = node.get("post_transform", "NONE")
    if end not in ends:
        raise node.refusal(f"its post_transform is {end}", f"Those that are read: {', '.join(ends)}.")
    return scores if ends[end] is None else torch.softmax(scores, -1) if end == "SOFTMAX" else torch.sigmoid(scores)


def scaler(node: OnnxNode, x: Tensor) -> Tensor:
    """(x - offset) scale, as scikit-learn's scalers."""
    offset, scale = (torch.tensor(node.get(name), dtype=x.dtype) for name in ("offset", "scale"))
    return (x - offset) * scale
