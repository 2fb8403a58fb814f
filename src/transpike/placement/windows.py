"""What a patch of neurons sees of a sender: how many of its units, by the kernels and strides on the way."""

from __future__ import annotations

import math
from dataclasses import dataclass

from transpike.network import Node
from transpike.ops import AveragePool, Convolution, MaxPool
from transpike.parts import Stateful
from transpike.placement.layers import Demand, Path, image

Sides = tuple[int, ...]
PLANE = 2  # dimensions


@dataclass(frozen=True)
class Patch:
    """So many channels, rows and columns."""

    channels: int
    sides: Sides

    @property
    def units(self) -> int:
        """The number of units of the patch."""
        return self.channels * math.prod(self.sides)


def seen(demand: Demand, path: Path, patch: Patch) -> Patch:
    """Return what a patch of a layer sees of the sender of a path: at most all of it.

    Backwards through a window of k taps, stride s and dilation d, n outputs see (n - 1) s + (k - 1) d + 1 inputs. Ops that
    are neither convolutions nor pools, in one or two dimensions, are taken to see everything, unless they change no shape.
    """
    whole = image(demand.sizes[path.sender])
    for node in reversed(path.nodes):
        source = image(demand.sizes[node.inputs[0]])
        found = window(node, patch.channels, source[0])
        if found is None and same_places(demand, node):
            continue
        if found is None:
            return Patch(whole[0], whole[1:])
        channels, kernel, stride, dilation = found
        numbers = zip(patch.sides, kernel, stride, dilation, strict=True)
        patch = Patch(channels, tuple((n - 1) * s + (k - 1) * d + 1 for n, k, s, d in numbers))
    return Patch(min(patch.channels, whole[0]), tuple(min(n, most) for n, most in zip(patch.sides, whole[1:], strict=True)))


def window(node: Node, channels: int, sources: int) -> tuple[int, Sides, Sides, Sides] | None:
    """Return the channels that so many outputs of a node see, and kernel, stride and dilation; None if it has no window."""
    op = node.op.analogue() if isinstance(node.op, Stateful) else node.op
    if isinstance(op, Convolution) and len(op.stride) <= PLANE:
        groups = -(-channels * op.groups // len(op.weight))  # that so many channels touch at least
        return min(sources, groups * op.weight.shape[1]), two(op.weight.shape[2:]), two(op.stride), two(op.dilation)
    if isinstance(op, AveragePool | MaxPool) and len(op.kernel) <= PLANE:
        return channels, two(op.kernel), two(op.stride), two(op.dilation) if isinstance(op, MaxPool) else (1, 1)
    return None


def two(values: Sides) -> Sides:
    """Return the values for height and width; of a signal those of its one axis come second."""
    return (1,) * (2 - len(values)) + tuple(values)


def same_places(demand: Demand, node: Node) -> bool:
    """Whether a node without a window leaves everything in its place: no weights, and the same shape."""
    return node not in Path("", (node,)).weighted and demand.sizes[node.name] == demand.sizes[node.inputs[0]]


def strides(path: Path) -> Sides:
    """Return by how many units of the sender the window moves from one neuron to the next, along height and width."""
    found = [window(node, 1, 1) for node in path.nodes]
    steps = [one[2] for one in found if one is not None]
    return tuple(math.prod(step[axis] for step in steps) for axis in (0, 1))
