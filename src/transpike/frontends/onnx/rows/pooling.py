"""Rows of pools and reductions."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from transpike.frontends.onnx.graph import OnnxNode
from transpike.frontends.onnx.rows.weights import borders, parted, spatial
from transpike.frontends.onnx.values import Value, axes_of

AVERAGE = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
MAXIMUM = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
WHOLE_AVERAGE = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
WHOLE_MAXIMUM = {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}


def average_pool(node: OnnxNode, x: Tensor) -> Tensor:
    rank, kernel = spatial(node, x), node.get("kernel_shape")
    strides, dilations = node.get("strides", [1] * rank), node.get("dilations", [1] * rank)
    if any(dilation != 1 for dilation in dilations):
        raise node.refusal("it averages with gaps", "Use a convolution with equal weights.")
    same, widths = parted(borders(node, x, kernel, strides, dilations))
    counted, ceil = bool(node.get("count_include_pad", 0)), bool(node.get("ceil_mode", 0))
    if same is not None:
        return AVERAGE[rank](x, kernel, strides, same, ceil, counted or not any(same))
    pooled = AVERAGE[rank](F.pad(x, widths), kernel, strides, 0, ceil, True)
    if counted:
        return pooled
    there = F.pad(torch.ones((1, 1, *x.shape[2:]), dtype=x.dtype), widths)
    return pooled / AVERAGE[rank](there, kernel, strides, 0, ceil, True)


def max_pool(node: OnnxNode, x: Tensor) -> Tensor:
    rank, kernel = spatial(node, x), node.get("kernel_shape")
    strides, dilations = node.get("strides", [1] * rank), node.get("dilations", [1] * rank)
    if len(node.outputs) > 1 and node.outputs[1]:
        raise node.refusal("the places of its maxima are used", "They are no values that spikes could stand for.")
    same, widths = parted(borders(node, x, kernel, strides, dilations))
    if same is None or any(2 * pad > k for pad, k in zip(same, kernel, strict=True)):
        pads = widths or [pad for one in reversed(same or []) for pad in (one, one)]
        x, same = F.pad(x, pads, value=-math.inf), [0] * rank
    return MAXIMUM[rank](x, kernel, strides, same, dilations, bool(node.get("ceil_mode", 0)))


def whole_average(node: OnnxNode, x: Tensor) -> Tensor:
    return WHOLE_AVERAGE[spatial(node, x)](x, 1)


def whole_maximum(node: OnnxNode, x: Tensor) -> Tensor:
    return WHOLE_MAXIMUM[spatial(node, x)](x, 1)


def reduced(function: Callable[[Tensor, list[int], bool], Tensor]) -> Callable[..., Tensor]:
    """Return the row of a reduction over axes, an attribute or an input."""

    def row(node: OnnxNode, x: Tensor, axes: Value = None) -> Tensor:
        given = node.get("axes") if axes is None else axes
        if given is None or (isinstance(given, np.ndarray) and given.size == 0):
            if node.get("noop_with_empty_axes", 0):
                return x
            given = list(range(x.ndim))
        return function(x, axes_of(node, given, x.ndim), bool(node.get("keepdims", 1)))

    return row


REDUCTIONS: dict[str, Callable[..., Tensor]] = {
    "ReduceMean": reduced(lambda x, axes, keep: x.mean(axes, keep)),
    "ReduceSum": reduced(lambda x, axes, keep: x.sum(axes, keep)),
    "ReduceMax": reduced(lambda x, axes, keep: x.amax(axes, keep)),
    "ReduceMin": reduced(lambda x, axes, keep: x.amin(axes, keep)),
    "ReduceSumSquare": reduced(lambda x, axes, keep: x.square().sum(axes, keep)),
    "ReduceL2": reduced(lambda x, axes, keep: x.square().sum(axes, keep).sqrt()),
    "ReduceL1": reduced(lambda x, axes, keep: x.abs().sum(axes, keep)),
}


def normalised(node: OnnxNode, x: Tensor) -> Tensor:
    """Return x over the norm of each row, as scikit-learn's Normalizer."""
    norms = {"L2": lambda v: v.square().sum(-1, True).sqrt(), "L1": lambda v: v.abs().sum(-1, True)}
    kind = node.get("norm", "MAX")
    if kind not in norms:
        raise node.refusal(f"its norm is {kind}", "L1 and L2 are read.")
    return x / norms[kind](x)


def accumulated(node: OnnxNode, x: Tensor, axis: Value) -> Tensor:
    (place,) = axes_of(node, axis, x.ndim)
    if node.get("exclusive", 0) or node.get("reverse", 0):
        raise node.refusal("it adds up backwards or without the value itself")
    return x.cumsum(place)
