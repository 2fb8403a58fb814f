"""Bring channels to the first axis of a sample where a model has them last, as models of Keras and TensorFlow do.

Such a model moves the channels before and behind each convolution. Between two of these moves stand functions of single
values, sums and means, which do not mind: P f(x) = f(P x) for a permutation P and a function f of single values. So each
move is put off until something minds, and meets the one that undoes it. Exact: no number changes.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from torch import Tensor

from transpike.network import Network, Node, shapes
from transpike.ops import (
    TRAITS,
    Add,
    Affine,
    Concatenate,
    Divide,
    Identity,
    Largest,
    Maximum,
    Mean,
    Multiply,
    Pad,
    Permute,
    Slice,
)
from transpike.parts import Op, Trait

JOINING = (Add, Multiply, Divide, Maximum)
Axes = tuple[int, ...]


def channels_first(network: Network) -> Network:
    """Return the network with each move of the channels to the last axis put off as long as nothing minds."""
    if network.previous or not any(last(node.op.axes) for node in network.having(Permute) if isinstance(node.op, Permute)):
        return network
    return Sinking(network).run()


def last(axes: Axes) -> bool:
    """Whether a permutation moves the channels from the first axis of a sample to its last, and nothing else."""
    return len(axes) > 2 and axes == (0, *range(2, len(axes)), 1)  # noqa: PLR2004 - the batch, channels and one more


@dataclass(frozen=True)
class Turned:
    """A value that is another one with its axes reordered."""

    source: str
    axes: Axes


class Sinking:
    """Walks a network and puts moves of channels off."""

    def __init__(self, network: Network) -> None:
        """Begin with nothing put off."""
        self.network = network
        self.nodes: dict[str, Node] = {}
        self.turned: dict[str, Turned] = {}
        self.sizes = shapes(network)

    def run(self) -> Network:
        """Return the new network."""
        for node in self.network.nodes.values():
            if not (self.moved(node) or self.sunk(node)):
                self.add(dataclasses.replace(node, inputs=tuple(map(self.straight, node.inputs))))
        outputs = {key: self.straight(name) for key, name in self.network.outputs.items()}
        return dataclasses.replace(self.network, nodes=self.nodes, outputs=outputs)

    def add(self, node: Node) -> None:
        self.nodes[node.name] = node

    def straight(self, name: str) -> str:
        """Return the node that has a value as the model has it, made now if its move was put off."""
        turned = self.turned.get(name)
        if turned is None:
            return name
        if turned.axes == tuple(range(len(turned.axes))):
            return turned.source
        made = name if name not in self.nodes else f"{name}.channels_last"
        if made not in self.nodes:
            self.add(Node(made, Permute(turned.axes), (turned.source,), self.network.nodes[name].origin))
        return made

    def moved(self, node: Node) -> bool:
        """Put off a move of channels to the last axis, or let one meet the one that it undoes."""
        if not isinstance(node.op, Permute):
            return False
        before = self.turned.get(node.inputs[0], Turned(node.inputs[0], tuple(range(len(node.op.axes)))))
        axes = tuple(before.axes[axis] for axis in node.op.axes)
        if not last(axes) and axes != tuple(range(len(axes))):
            return False
        self.turned[node.name] = Turned(before.source, axes)
        return True

    def sunk(self, node: Node) -> bool:
        """Let a node act before a move instead of after it, if it does not mind."""
        found = [self.turned.get(source) for source in node.inputs]
        axes = {one.axes for one in found if one is not None}
        if len(axes) != 1 or (None in found and not self.can_turn(node, len(next(iter(axes))))):
            return False
        (order,) = axes
        op, kept = acting_before(node.op, order)
        if op is None:
            return False
        self.add(dataclasses.replace(node, op=op, inputs=tuple(self.before(source, order) for source in node.inputs)))
        if kept:
            self.turned[node.name] = Turned(node.name, order)
        return True

    def can_turn(self, node: Node, rank: int) -> bool:
        """Whether all that a node joins has as many axes, so that those without a move can be given one."""
        return isinstance(node.op, (*JOINING, Concatenate)) and all(len(self.sizes[one]) + 1 == rank for one in node.inputs)

    def before(self, name: str, axes: Axes) -> str:
        """Return what a value was before it was permuted; what never was is permuted the other way."""
        if name in self.turned:
            return self.turned[name].source
        made = f"{name}.channels_first"
        if made not in self.nodes:
            inverse = tuple(axes.index(axis) for axis in range(len(axes)))
            self.add(Node(made, Permute(inverse), (name,), self.network.nodes[name].origin))
        return made


def acting_before(op: Op, axes: Axes) -> tuple[Op | None, bool]:
    """Return what an op behind a permutation is before it, and whether the permutation is still due; None if it minds."""
    if isinstance(op, Mean | Largest):
        new = dataclasses.replace(op, axes=tuple(sorted(axes[axis] for axis in op.axes)))
        left = [axis for place, axis in enumerate(axes) if place not in op.axes]
        return (new, True) if op.keepdim else (new, False) if left == sorted(left) else (None, False)
    if isinstance(op, Concatenate | Slice):
        return dataclasses.replace(op, axis=axes[op.axis]), True
    if isinstance(op, Pad):
        widths = repadded(op, axes)
        return (None, False) if widths is None else (dataclasses.replace(op, widths=widths), True)
    if isinstance(op, (Affine, Identity, *JOINING)) or TRAITS.get(type(op)) is Trait.ACTIVATION:
        if any(tensor.ndim > len(axes) for _, tensor in op.tensors()):
            return None, False
        return op.map_tensors(lambda tensor: turned_back(tensor, axes)), True
    return None, False


def turned_back(tensor: Tensor, axes: Axes) -> Tensor:
    """Return a tensor that broadcasts to permuted values, for those that are not permuted yet."""
    if tensor.ndim == 0:
        return tensor
    whole = tensor.reshape(*[1] * (len(axes) - tensor.ndim), *tensor.shape)
    turned = whole.permute([axes.index(axis) for axis in range(len(axes))]).contiguous()
    return turned[0] if len(turned) == 1 else turned


def repadded(op: Pad, axes: Axes) -> tuple[int, ...] | None:
    """Return the widths of a border before the permutation; None where their mode needs the axes in this order."""
    rank = len(axes)
    sides = {rank - 1 - place: op.widths[2 * place : 2 * place + 2] for place in range(len(op.widths) // 2)}
    before = {axes[axis]: both for axis, both in sides.items()}
    widths = [width for axis in reversed(range(1, rank)) for width in before.get(axis, (0, 0))]
    while widths and widths[-2:] == [0, 0]:
        widths = widths[:-2]
    return tuple(widths) if op.mode == "constant" else None
