"""Rows of operators that move values of tensors."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from transpike.frontends.onnx.graph import OnnxNode
from transpike.frontends.onnx.opening import opened
from transpike.frontends.onnx.values import Value, axes_of, checked_size, listed, numbers, sizes_of, tensor

ENDLESS = 2**31 - 1


def reshape(node: OnnxNode, x: Tensor, shape: Value = None) -> Tensor:
    target = list(node.get("shape")) if shape is None else numbers(node, shape, "shape")
    constant = shape is None or 1 in node.constants
    return x.reshape(opened(node if constant else dataclasses.replace(node, fixed=None), target, x.shape))


def flatten(node: OnnxNode, x: Tensor) -> Tensor:
    axis = int(node.get("axis", 1))
    axis = axis + x.ndim if axis < 0 else axis
    if axis == 0:
        raise node.refusal("it joins the samples of a batch", "Flatten from axis 1 on.")
    if axis == 1:
        return x.flatten(1)
    return x.reshape(math.prod(x.shape[:axis]), -1)


def transpose(node: OnnxNode, x: Tensor) -> Tensor:
    return x.permute(node.get("perm", list(reversed(range(x.ndim)))))


def squeeze(node: OnnxNode, x: Tensor, axes: Value = None) -> Tensor:
    given = node.get("axes") if axes is None else axes
    if given is None:
        known = [axis for axis, size in enumerate(x.shape) if axis and isinstance(size, int) and size == 1]
        return x.squeeze(known)
    return x.squeeze(axes_of(node, given, x.ndim))


def unsqueeze(node: OnnxNode, x: Tensor, axes: Value = None) -> Tensor:
    given = node.get("axes") if axes is None else axes
    count = len(given)
    for axis in sorted(axes_of(node, given, x.ndim + count)):
        x = x.unsqueeze(axis)
    return x


def concat(node: OnnxNode, *values: Value) -> Tensor:
    """Join values; a constant that a file with a fixed batch holds for it is spread over all samples."""
    like = next(value for value in values if isinstance(value, Tensor))
    parts = [tensor(node, value, like) for value in values]
    (axis,) = axes_of(node, int(node.get("axis")), like.ndim)
    first = parts[0] if 0 not in node.constants else next(p for i, p in enumerate(parts) if i not in node.constants)
    for place in node.constants:
        if place < len(parts) and parts[place].ndim == first.ndim:
            sizes = [
                first.shape[i] if i != axis and parts[place].shape[i] == 1 else parts[place].shape[i] for i in range(first.ndim)
            ]
            parts[place] = parts[place].expand(sizes)
    return torch.cat(parts, axis)


def slices(node: OnnxNode, rank: int, *inputs: Value) -> list[slice]:
    """Return the slice of each axis, from attributes or inputs."""
    if "starts" in node.attributes:
        starts, ends, axes, steps = list(node.get("starts")), list(node.get("ends")), node.get("axes"), None
    else:
        words = ("starts", "ends", "axes", "steps")
        given = [None if value is None else numbers(node, value, what) for value, what in zip(inputs, words, strict=False)]
        starts, ends, axes, steps = given[0] or [], given[1] or [], *(*given[2:], None, None)[:2]
    found = [slice(None)] * rank
    for place, axis in enumerate(axes_of(node, axes, rank) if axes is not None else range(len(starts))):
        start, end, step = starts[place], ends[place], 1 if steps is None else steps[place]
        forward = isinstance(step, int) and step > 0
        whole = isinstance(end, int) and (end >= ENDLESS if forward else end <= -ENDLESS)
        begins = isinstance(start, int) and (start == 0 if forward else start >= ENDLESS)
        found[axis] = slice(None if begins else start, None if whole else end, step)
    return found


def sliced(node: OnnxNode, x: Tensor, *inputs: Value) -> Tensor:
    """Cut axes; backwards by picking entries in that order."""
    for axis, part in enumerate(slices(node, x.ndim, *inputs)):
        if part in (slice(None), slice(None, None, 1)):
            continue
        size = x.shape[axis]
        if part.step is not None and part.step < 0:
            x = x.index_select(axis, torch.tensor(range(size)[part]))
            continue
        start, stop = (
            end if end is None or not isinstance(size, int) else clamped(end, size) for end in (part.start, part.stop)
        )
        x = torch.ops.aten.slice.Tensor(x, axis, start, stop, part.step or 1)
    return x


def clamped(end: int, size: int) -> int:
    return max(0, min(size, end + size if end < 0 else end))


def split(node: OnnxNode, x: Tensor, parts: Value = None) -> tuple[Tensor, ...]:
    (axis,) = axes_of(node, int(node.get("axis", 0)), x.ndim)
    given = node.get("split") if parts is None else numbers(node, parts, "split")
    if given is None:
        size = -(-x.shape[axis] // int(node.get("num_outputs", len(node.outputs))))
        return torch.split(x, size, axis)
    return torch.split(x, list(given), axis)


def pad(node: OnnxNode, x: Tensor, pads: Value = None, value: Value = None, axes: Value = None) -> Tensor:
    """Read borders [before of each axis, behind of each axis]; what is negative cuts off."""
    given = [int(width) for width in (node.get("pads") if pads is None else numbers(node, pads, "pads"))]
    places = list(range(x.ndim)) if axes is None else axes_of(node, axes, x.ndim)
    widths = {axis: (given[i], given[i + len(places)]) for i, axis in enumerate(places)}
    modes = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    mode = modes.get(node.get("mode", "constant"))
    if mode is None:
        raise node.refusal(f"its mode is {node.get('mode')!r}")
    flat = [width for axis in reversed(range(x.ndim)) for width in widths.get(axis, (0, 0))]
    while flat and flat[-2:] == [0, 0]:
        flat = flat[:-2]
    checked_size(node, [*(size for size in x.shape if isinstance(size, int)), *(1 + abs(width) for width in flat)])
    filler = node.get("value", 0.0) if value is None else float(np.ravel(node.constants[2])[0])
    if not flat:
        return x
    return F.pad(x, flat, value=float(filler)) if mode == "constant" else F.pad(x, flat, mode)


def expand(node: OnnxNode, x: Value, shape: Value) -> Tensor:
    """Repeat axes of size 1; each of the shapes may have more axes than the other."""
    values = tensor(node, x)
    target = checked_size(node, numbers(node, shape, "shape"))
    rank = max(len(target), values.ndim)
    wanted, own = ([1] * (rank - len(sizes)) + list(sizes) for sizes in (target, values.shape))
    return values.expand([new if isinstance(old, int) and old == 1 else old for new, old in zip(wanted, own, strict=True)])


def tile(node: OnnxNode, x: Tensor, repeats: Value) -> Tensor:
    return x.repeat(*checked_size(node, numbers(node, repeats, "repeats")))


def gather(node: OnnxNode, x: Value, indices: Value) -> Tensor:
    """Pick entries along an axis: words' rows of a table, one entry, or several."""
    values = tensor(node, x)
    (axis,) = axes_of(node, int(node.get("axis", 0)), values.ndim)
    if isinstance(indices, Tensor):
        if axis == 0 and values.ndim == 2 and 0 in node.constants:  # noqa: PLR2004 - a table of words
            return F.embedding(indices.long(), values)
        raise node.refusal("it picks entries by the values of the input", "Only tables of words are read so.")
    picked = listed(indices)
    if picked.dtype == object:
        raise node.refusal("it picks a sample by the size of the batch")
    size = values.shape[axis]
    if isinstance(size, int) and picked.size and (picked.min() < -size or picked.max() >= size):
        raise node.refusal(f"it picks entry {int(picked.max())} of {size}")
    if picked.ndim == 0:
        return values.select(axis, int(picked) % size if isinstance(size, int) else int(picked))
    flat = torch.from_numpy(np.where(picked < 0, picked + size, picked) if isinstance(size, int) else picked).reshape(-1)
    found = values.index_select(axis, flat)
    return found if picked.ndim == 1 else found.unflatten(axis, picked.shape)


def gather_elements(node: OnnxNode, x: Tensor, indices: Value) -> Tensor:
    return torch.gather(x, int(node.get("axis", 0)), tensor(node, indices))


def depth_to_space(node: OnnxNode, x: Tensor) -> Tensor:
    """Spread channels over blocks of pixels; mode DCR counts the place in the block before the channel."""
    block = int(node.get("blocksize"))
    if node.get("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x, block)
    channels = x.shape[1] // block**2
    ordered = x.reshape(-1, block**2, channels, *x.shape[2:]).transpose(1, 2)
    return F.pixel_shuffle(ordered.reshape(-1, channels * block**2, *x.shape[2:]), block)


def space_to_depth(node: OnnxNode, x: Tensor) -> Tensor:
    block, channels = int(node.get("blocksize")), x.shape[1]
    blocks = F.pixel_unshuffle(x, block)
    ordered = blocks.reshape(-1, channels, block**2, *blocks.shape[2:]).transpose(1, 2)
    return ordered.reshape(-1, channels * block**2, *blocks.shape[2:])


def resize(node: OnnxNode, x: Tensor, *inputs: Value) -> Tensor:
    """Read nearest and linear interpolation as PyTorch has it; other ways to count pixels are refused."""
    rank = x.ndim - 2
    scales, target = wanted_sizes(node, x, *inputs)
    mode, counting = node.get("mode", "nearest"), node.get("coordinate_transformation_mode", "half_pixel")
    doubled = target is None and all(float(scale) == int(scale) for scale in scales or [])
    if mode == "nearest":
        exact = (
            counting == "asymmetric"
            and node.get("nearest_mode", "floor" if node.op == "Upsample" else "round_prefer_floor") == "floor"
        )
        if not exact and node.op != "Upsample" and not (doubled or whole_multiple(x, target)):
            raise node.refusal(f"it counts pixels as {counting}", "Export with nearest interpolation by whole factors.")
        return F.interpolate(x, target, None if target is not None else scales, "nearest")
    aligned = counting == "align_corners"
    if mode not in {"linear", "bilinear"} or counting not in {"half_pixel", "pytorch_half_pixel", "align_corners"}:
        raise node.refusal(f"its mode is {mode} with pixels counted as {counting}", "Nearest and linear are read.")
    ways = {1: "linear", 2: "bilinear", 3: "trilinear"}
    return F.interpolate(x, target, None if target is not None else scales, ways[rank], align_corners=aligned)


def whole_multiple(x: Tensor, target: Sequence[int] | None) -> bool:
    return target is not None and all(new % old == 0 for new, old in zip(target, x.shape[2:], strict=True))


def wanted_sizes(node: OnnxNode, x: Tensor, *inputs: Value) -> tuple[list[float] | None, list[int] | None]:
    """Return the factors or the sizes of the axes of space that a Resize or Upsample asks for."""
    old = node.op == "Upsample" or node.opset < 11  # noqa: PLR2004 - the operator set that brought sizes
    sizes = None if old or len(inputs) < 3 else inputs[2]  # noqa: PLR2004 - roi, scales and sizes
    if node.get("axes") is not None:
        raise node.refusal("it names axes")
    if isinstance(sizes, np.ndarray) and sizes.size:
        wanted = [int(size) for size in numbers(node, sizes, "sizes")[2:]]
        return None, list(checked_size(node, wanted))
    scales = node.get("scales") or node.known(1 if old else 2, "scales")
    if len(scales) != x.ndim:
        raise node.refusal("its sizes are unknown")
    checked_size(node, [int(size * factor) for size, factor in zip(x.shape[2:], scales[2:], strict=True)])
    return [float(factor) for factor in scales[2:]], None


def trilu(node: OnnxNode, x: Tensor, diagonal: Value = None) -> Tensor:
    offset = 0 if diagonal is None else int(np.ravel(diagonal)[0])
    return torch.triu(x, offset) if node.get("upper", 1) else torch.tril(x, offset)


def array_features(node: OnnxNode, x: Tensor, indices: Value) -> Tensor:
    return x.index_select(-1, tensor(node, indices).reshape(-1))


def one_hot(node: OnnxNode, indices: Tensor, depth: Value, values: Value) -> Tensor:
    """Return one value in the place of each index, and another elsewhere."""
    del depth, values  # they have to be known
    (classes,), (off, on) = node.known(1, "depth"), node.known(2, "values")
    if int(node.get("axis", -1)) != -1:
        raise node.refusal("it puts the classes elsewhere than in the last axis")
    hot = F.one_hot(indices.long(), int(classes)).float()
    return hot if (off, on) == (0, 1) else off + (on - off) * hot


def largest_place(node: OnnxNode, x: Tensor) -> Tensor:
    return x.argmax(int(node.get("axis", 0)), bool(node.get("keepdims", 1)))


def shape_of(node: OnnxNode, x: Tensor) -> np.ndarray:
    return sizes_of(x)[node.get("start", 0) : node.get("end")]


SHAPES: dict[str, Callable[..., Any]] = {
    "Reshape": reshape,
    "Flatten": flatten,
    "Transpose": transpose,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Concat": concat,
    "Slice": sliced,
    "Split": split,
    "Pad": pad,
    "Expand": expand,
    "Tile": tile,
    "Gather": gather,
    "GatherElements": gather_elements,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
    "Resize": resize,
    "Upsample": resize,
    "Trilu": trilu,
    "OneHot": one_hot,
    "ArgMax": largest_place,
    "Shape": shape_of,
    "Size": lambda node, x: listed(math.prod(x.shape)),
}
