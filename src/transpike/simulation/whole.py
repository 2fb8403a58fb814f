"""Convolutions of spikes in whole numbers, where these give the bits that floats give, only sooner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from transpike.network import Network
from transpike.neurons import IntegrateAndFire
from transpike.ops import Convolution

EXACT = 1 << 24  # sums of whole numbers below it are exact in float32, in any order
LOW = 128  # weights are split into LOW hi + lo, each of eight bits
LARGEST = 127 * LOW
CHANNEL_MAP = 3  # axes of [channels, 1, 1]
IMAGES = 4  # axes of the weights of a convolution of images
FINEST = -126  # exponent of the smallest normal number
PAIR = LOW + (1 << 8)  # the bytes LOW and 1, in the order of their memory


@dataclass(frozen=True, eq=False)
class WholeConvolution:
    """A convolution of spikes that are 0 or of one height per channel, y = W (height s) + b, in bytes.

    W height = unit (128 hi + lo) with a power of two as unit. Each input channel becomes two, 128 s and s, which meet hi
    and lo: one convolution of bytes sums both. `weight` is packed, with `scale` = unit for each output channel.
    """

    op: Convolution
    weight: Tensor
    scale: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        from transpike.simulation.scan.compiled import mark  # which needs numba

        pairs = torch.empty((len(x), *x.shape[2:], x.shape[1]), dtype=torch.int16)
        mark(x.movedim(1, -1).contiguous().view(-1).numpy(), pairs.view(-1).numpy(), PAIR)
        spikes = pairs.view(torch.uint8).movedim(-1, 1)
        zeros, places = torch.zeros(len(self.scale), dtype=torch.int64), (*map(list, window(self.op)), 1)
        output: tuple[Any, ...] = (1.0, 0, torch.float32, "none", [], "")
        convolve = torch.ops.onednn.qconv2d_pointwise.default
        return convolve(spikes, 1.0, 0, self.weight, self.scale, zeros, self.op.bias, *places, *output)


def window(op: Convolution) -> tuple[tuple[int, ...], ...]:
    """Return how a kernel moves, in the library's order."""
    return op.stride, op.padding, op.dilation


def whole_convolutions(network: Network) -> Mapping[str, WholeConvolution]:
    """Return the convolutions of a network that can be computed in whole numbers, by node name.

    They read neurons whose spikes have one height per channel; their weights times that height, and their bias, lie on a
    grid whose step is a power of two, and no sum of them can reach 2^24 steps. Then every sum is exact in float32 too,
    whatever its order, and the results are equal to the bit.
    """
    if not available():
        return {}
    found = {}
    for name, node in network.nodes.items():
        if not isinstance(node.op, Convolution):
            continue
        height = height_of(network, node.inputs[0])
        whole = None if height is None else whole_convolution(node.op, height)
        if whole is not None:
            found[name] = whole
    return found


def height_of(network: Network, name: str) -> Tensor | None:
    """Return the height of the spikes of a node per channel, [channels] or [1]; None if it does not send such spikes."""
    op = network.nodes[name].op
    if type(op) is not IntegrateAndFire or (op.height is not None and len(op.height) > 1):
        return None
    height = op.threshold if op.height is None else op.height[0]
    one, per_channel = height.numel() == 1, height.ndim == CHANNEL_MAP and height.numel() == len(height)
    return height.flatten() if one or per_channel else None


def whole_convolution(op: Convolution, height: Tensor) -> WholeConvolution | None:
    """Return a convolution of spikes of some height [channels or 1] in whole numbers, or None if it is not one."""
    weight = op.weight
    if weight.ndim != IMAGES or op.groups != 1 or weight.dtype != torch.float32 or weight.device.type != "cpu":
        return None
    exact = weight.double() * height.double().reshape(1, -1, 1, 1)
    bias = torch.zeros(len(weight)) if op.bias is None else op.bias
    if grid(exact[:1], bias[:1]) is None:  # what is off the grid mostly shows in the first channel
        return None
    unit = grid(exact, bias)
    if unit is None:
        return None
    steps = exact / unit
    low = (steps + LOW // 2).remainder(LOW) - LOW // 2
    both = torch.stack([(steps - low) / LOW, low], 2).flatten(1, 2).to(torch.int8)
    scale = torch.full((len(both),), unit, dtype=torch.float32)
    packed = torch.ops.onednn.qconv_prepack(both, scale, 1.0, 0, *map(list, window(op)), 1)
    return WholeConvolution(op, packed, scale)


def grid(weight: Tensor, bias: Tensor) -> float | None:
    """Return the step of the grid of weights and bias, or None if one has too many steps, or a channel in sum."""
    unit = step_of(torch.cat([weight.flatten(), bias.double()]))
    if unit is None or float(weight.abs().max()) > LARGEST * unit:
        return None
    most = weight.abs().sum((1, 2, 3)) + bias.double().abs()
    return unit if float(most.max()) < EXACT * unit else None


def step_of(values: Tensor) -> float | None:
    """Return the largest power of two that divides all values exactly (1 if all are 0), or None if it is too small to use.

    >>> step_of(torch.tensor([0.75, -2.0, 0.0])), step_of(torch.tensor([1e-40]))
    (0.25, None)
    """
    mantissa, exponent = torch.frexp(values[values != 0].double())
    whole = (mantissa * 2.0**53).to(torch.int64).abs()
    lowest = torch.log2((whole & -whole).double()).long() + exponent - 53
    power = int(lowest.min()) if len(lowest) else 0
    return 2.0**power if power >= FINEST else None


@cache
def available() -> bool:
    """Whether this build of torch convolves bytes into floats as expected: its operators for that are not documented."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randint(-LARGEST, LARGEST, (16, 16, 3, 3), generator=generator) / 1024.0
    op = Convolution(weight, torch.ones(16), (1, 1), (1, 1), (1, 1))
    spikes = torch.randint(0, 2, (2, 16, 8, 8), generator=generator).float().contiguous(memory_format=torch.channels_last)
    try:
        whole = whole_convolution(op, torch.ones(1))
        return whole is not None and torch.equal(whole(spikes), op(spikes))
    except (AttributeError, ImportError, NotImplementedError, RuntimeError, TypeError):
        return False
