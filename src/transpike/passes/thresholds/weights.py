"""Thresholds from weights alone: a bound of every activation for inputs in a known range."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from transpike.calibration import Samples
from transpike.calibration.observe import by_channel
from transpike.errors import ArgumentError
from transpike.network import Network
from transpike.network.value import shapes
from transpike.ops import Add, Affine, BatchNorm, Constant, Convolution, Input, Linear, TransposedConvolution
from transpike.parts import Finding, Op
from transpike.passes.thresholds.base import Found, Layer, silence

Bounds = tuple[Tensor, Tensor]  # least and largest value [1, ...] of every entry of one sample


@dataclass(frozen=True)
class WeightBound:
    """The largest activation that any input between `low` and `high` can cause, per channel or layer; needs no samples.

    high' = W+ high + W- low + b and low' = W+ low + W- high + b with the positive and negative parts of the weights, layer by
    layer. A neuron's rate ends at one spike per step (the refractory limit), so with this threshold nothing is ever clipped.
    The bound is reached in one layer but grows with depth far beyond what occurs: expect to need many time steps.
    Raises ArgumentError unless low < high. Source: Diehl et al. 2015 (model-based normalisation).

    >>> WeightBound(1.0, 1.0)
    Traceback (most recent call last):
    ...
    transpike.errors.ArgumentError: The range of the inputs must have low < high, not 1.0 and 1.0.
    """

    low: float = 0.0
    high: float = 1.0
    layerwise: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ArgumentError(f"The range of the inputs must have low < high, not {self.low} and {self.high}.")

    def find(self, network: Network, layers: Sequence[Layer], samples: Samples) -> Found:  # noqa: ARG002 - the point of it
        """Return the threshold of each layer."""
        largest = activation_bounds(network, self.low, self.high, {layer.name for layer in layers})
        found: dict[str, Tensor] = {}
        findings: list[Finding] = []
        for layer in layers:
            bound = by_channel(largest[layer.name], layer.axis).amax(1).clamp(min=0).cpu()
            found[layer.name] = layer.spread(bound.max()[None] if self.layerwise else bound)
            why = f"are 0 for every input between {self.low:g} and {self.high:g}"
            findings += silence(layer.node, bound == 0, "channels", why, "They can be pruned, if inputs stay in that range.")
        return Found(found, tuple(findings))


@torch.inference_mode()
def activation_bounds(network: Network, low: float, high: float, wanted: set[str]) -> dict[str, Tensor]:
    """Return the largest value [1, ...] of each of the `wanted` nodes, for inputs from `low` to `high`, in float64."""
    exact = network.to(dtype=torch.float64)
    sizes, bounds = shapes(exact), dict[str, Bounds]()
    needed = set(wanted)
    for name in reversed(list(exact.nodes)):
        needed |= set(exact.nodes[name].inputs) if name in needed else set()
    for name, node in exact.nodes.items():
        if name not in needed:
            continue
        if isinstance(node.op, Input):
            blank = torch.ones(1, *sizes[name], dtype=torch.float64, device=exact.device)
            bounds[name] = low * blank, high * blank
        else:
            bounds[name] = passed(node.op, [bounds[source] for source in node.inputs])
    return {name: bounds[name][1].clone() for name in wanted}


def passed(op: Op, ends: list[Bounds]) -> Bounds:
    """Return the bounds of what an op gives, from those of what it reads.

    Ops with weights are split by sign; every other op that may stand before neurons is monotone in each of its inputs.
    """
    match op:
        case Constant():
            return op.value, op.value
        case Linear() | Convolution() | TransposedConvolution():
            return by_sign(op, "weight", "bias", ends[0])
        case Affine() if op.scale is not None:
            return by_sign(op, "scale", "shift", ends[0])
        case BatchNorm():
            scale, shift = (value.reshape(-1, *[1] * (ends[0][0].ndim - 2)) for value in op.affine())
            return by_sign(Affine(scale, shift), "scale", "shift", ends[0])
        case Add() if op.scale < 0:
            (low, high), (least, largest) = ends
            return op(low, largest), op(high, least)
        case _:
            call: Callable[..., Tensor] = op.__call__
            return call(*[low for low, _ in ends]), call(*[high for _, high in ends])


def by_sign(op: Any, factors: str, offset: str, ends: Bounds) -> Bounds:
    """Return the bounds of a weighted sum: positive factors meet the same end, negative ones the opposite end."""
    weights, (low, high) = getattr(op, factors), ends
    positive = dataclasses.replace(op, **{factors: weights.clamp(min=0)})
    negative = dataclasses.replace(op, **{factors: weights.clamp(max=0), offset: None})
    return positive(low) + negative(high), positive(high) + negative(low)
