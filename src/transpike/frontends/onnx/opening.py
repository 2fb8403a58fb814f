"""Open the size of the batch where a file has fixed it, which exporters do unless they are told otherwise."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx

from transpike.errors import CaptureError
from transpike.frontends.onnx.graph import OnnxGraph, OnnxNode

TOLERANCE = 1e-4
ROWS = 2  # axes of what a linear layer reads
ADVICE = "Export the model with a batch of any size: dynamic_shapes, or dynamic_axes, of torch.onnx.export."


def opened(node: OnnxNode, target: Sequence[Any], shape: Sequence[Any]) -> list[Any]:
    """Return a target shape without zeros, which copy a size, and with the batch where the file has fixed a number for it."""
    copies = not node.get("allowzero", 0)
    fixed = node.fixed
    place = None if fixed is None or len(fixed) != len(shape) else batch_axis(fixed, shape)
    if fixed is None or place is None:
        return [shape[axis] if copies and isinstance(size, int) and size == 0 else size for axis, size in enumerate(target)]
    known = [fixed[axis] if copies and size == 0 else size for axis, size in enumerate(target)]
    if -1 in known:
        known[known.index(-1)] = math.prod(fixed) // max(1, -math.prod(known))
    axis = axis_for_batch(node.batch, known, fixed, place)
    return (
        known if axis is None else [size * shape[place] // fixed[place] if k == axis else size for k, size in enumerate(known)]
    )


def axis_for_batch(batch: int, target: Sequence[int], fixed: Sequence[int], place: int) -> int | None:
    """Return the axis of a target that holds the batch, which stands in axis `place` of a value of shape `fixed`, or shares it.

    An axis of its own comes first, then, in rows for a layer, one shared with what stands before it, else with what is behind.
    """
    before, behind, parts = math.prod(fixed[:place]), math.prod(fixed[place + 1 :]), fixed[place] // batch
    cuts = [(math.prod(target[:k]), math.prod(target[k + 1 :])) for k in range(len(target))]
    alone = ((before, parts * behind), (before * parts, behind))
    for k, cut in enumerate(cuts):
        if target[k] == batch and cut in alone:
            return k
    earlier = [k for k, (_, after) in enumerate(cuts) if after == behind]
    later = [k for k, (first, _) in enumerate(cuts) if first == before]
    shared = earlier + later if len(target) == ROWS else later + earlier
    return shared[0] if shared else None


def batch_axis(fixed: Sequence[int], shape: Sequence[Any]) -> int | None:
    """Return the first axis whose size is not that in the file."""
    return next((axis for axis, size in enumerate(shape) if not isinstance(size, int) or size != fixed[axis]), None)


class Noting(fx.Interpreter):
    """Runs a module once and notes the shape of what each node reads first."""

    batch = 1

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run one node."""
        step: Any = self.submodules[target]
        if args and isinstance(args[0], Tensor):
            step.node = dataclasses.replace(step.node, fixed=tuple(args[0].shape), batch=self.batch)
        return super().call_module(target, args, kwargs)


def open_batch(module: fx.GraphModule, graph: OnnxGraph) -> None:
    """Let nodes know the shapes that they have for the batch which the file fixes, and check that others give the same.

    Raises CaptureError where samples that are run together give other answers than alone.
    """
    inputs = [sample(graph.shapes[name], graph.kinds[name]) for name in graph.inputs]
    batch = len(inputs[0])
    try:
        with torch.inference_mode():
            noting = Noting(module)
            noting.batch = batch
            first = leaves(noting.run(*inputs))
            turned = [
                value.flip(0) if len(value) > 1 else 0.5 * value if value.is_floating_point() else value for value in inputs
            ]
            second = leaves(module(*turned))
            both = leaves(module(*[torch.cat(pair) for pair in zip(inputs, turned, strict=True)]))
    except CaptureError:
        raise
    except Exception as error:
        raise CaptureError(
            f"The file fixes batches of {batch}, and others do not fit ({first_line(error)}). {ADVICE}"
        ) from error
    for one, two, together in zip(first, second, both, strict=True):
        alone = torch.cat([one, two])
        if alone.shape != together.shape or (alone - together).abs().max() > TOLERANCE * max(1.0, float(alone.abs().max())):
            raise CaptureError(f"The file fixes batches of {batch}, and in others samples would not stay apart. {ADVICE}")


def sample(shape: tuple[int, ...], kind: str) -> Tensor:
    """Return an input that is not the same everywhere."""
    if kind != "float32":
        return torch.zeros(shape, dtype=getattr(torch, kind))
    return torch.linspace(0.0, 1.0, math.prod(shape)).reshape(shape)


def leaves(value: Tensor | dict[str, Tensor]) -> list[Tensor]:
    """Return one output or several as a list."""
    return list(value.values()) if isinstance(value, dict) else [value]


def first_line(error: Exception) -> str:
    """Return the first line of what an error says."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
