"""Networks over sequences, cut down to one element: what a sequence that comes element by element needs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from transpike.errors import ArgumentError
from transpike.network.graph import Network, Node
from transpike.network.loops import elements, loops
from transpike.network.value import shapes
from transpike.ops import (
    TRAITS,
    Add,
    Affine,
    Choose,
    Collect,
    Concatenate,
    Element,
    Embedding,
    Expand,
    Identity,
    Input,
    Linear,
    Multiply,
    Number,
    OneHot,
    OnGrid,
    Permute,
    Reshape,
    Slice,
    Softmax,
    Within,
)
from transpike.parts import Op, Trait

Shape = tuple[int, ...]

POINTWISE = (Add, Affine, Choose, Identity, Multiply, Number, OnGrid)


@dataclass(frozen=True)
class ElementNetwork:
    """A network for sequences of one element, and on which axis of a sample, from 0, elements stand.

    `axes` are those of all nodes whose values are sequences; the network's other inputs are the same for all elements.
    `lengths` are the inputs that say how many elements of each sequence count.
    """

    network: Network
    axes: Mapping[str, int]
    lengths: frozenset[str]
    sizes: Mapping[str, Shape]

    @property
    def inputs(self) -> dict[str, Input]:
        """What one element of each input is, by node name."""
        found = {}
        for name, op in self.network.inputs.items():
            axis = self.axes.get(name)
            found[name] = op if axis is None else Input((*op.shape[:axis], *op.shape[axis + 1 :]), op.dtype)
        return found


def of_one_element(network: Network) -> ElementNetwork:
    """Return a network over sequences as it is for one element.

    Its answer is the network's for a sequence that ends with this element, if its loops begin with the states that the element
    before left. Raises ArgumentError, naming the node, where an answer needs other elements too: where loops run backwards,
    elements are averaged or convolved, or one is picked that is not the last.
    """
    for loop in loops(network).values():
        if loop.backwards:
            raise ArgumentError(
                f"The recurrent layer {loop.name!r} reads its sequence from the end, which a stream does not know yet: leave "
                "out its backward direction, or simulate whole sequences."
            )
    sizes = shapes(network)
    counts = elements(network, sizes)
    if len(set(counts.values())) > 1 or min(counts.values()) == 1:
        raise ArgumentError(
            f"The loops of this network run over {sorted(set(counts.values()))} elements: a stream needs sequences of one "
            "length, of at least 2 elements, when the model is converted."
        )
    walk = Elementwise(network, sizes, next(iter(counts.values())), frozenset(counts))
    return walk.cut()


class Elementwise:
    """Walks a network and follows the axis of `count` elements through it; `inside` are the nodes of its loops."""

    def __init__(self, network: Network, sizes: Mapping[str, Shape], count: int, inside: frozenset[str]) -> None:
        self.network, self.sizes, self.count, self.inside = network, sizes, count, inside
        self.axes: dict[str, int] = self.entrances()

    def entrances(self) -> dict[str, int]:
        """Return the inputs that are sequences, with their axis of elements: what the entries of loops go back to."""
        waiting = [(node.inputs[0], 0) for node in self.network.having(Element)]
        known: dict[str, int] = {}
        found: dict[str, int] = {}
        while waiting:
            name, axis = waiting.pop()
            node = self.network.nodes[name]
            if name in known or isinstance(node.op, Collect):
                continue
            known[name] = axis
            if isinstance(node.op, Input):
                found[name] = axis
            sources = list(self.sources(node, axis))
            if not sources and not isinstance(node.op, Input | Within):
                raise self.refusal(node, "needs more than one element of the sequence at once")
            waiting += sources
        return found

    def sources(self, node: Node, axis: int) -> Iterator[tuple[str, int]]:
        """Yield the inputs of a node, with their axes of elements, that its own axis of elements comes from."""
        for i, source in enumerate(node.inputs):
            for before, size in enumerate(self.sizes[source]):
                if size == self.count and self.after(node, {i: before}) == axis:
                    yield source, before

    def cut(self) -> ElementNetwork:
        """Return the network for one element."""
        nodes: dict[str, Node] = {}
        for name, node in self.network.nodes.items():
            if name in self.inside:
                self.check_inside(node)
            elif (axis := self.axis(node)) is not None:
                self.axes[name] = axis
            nodes[name] = dataclasses.replace(node, op=self.cut_op(node))
        cut = dataclasses.replace(self.network, nodes=nodes)
        sizes = {name: self.one(size, self.axes.get(name)) for name, size in self.sizes.items()}
        return ElementNetwork(cut, self.axes, frozenset(self.lengths()), sizes)

    def check_inside(self, node: Node) -> None:
        """Raise ArgumentError for a node in a loop that reads more than one element of a sequence."""
        sequences = [self.axes.get(source) for source in node.inputs]
        if sequences != [0] if isinstance(node.op, Element) else any(axis is not None for axis in sequences):
            raise self.refusal(node, "reads other elements of the sequence than the present one")

    def axis(self, node: Node) -> int | None:
        """Return the axis of elements of a node outside loops, None if its value is no sequence."""
        if isinstance(node.op, Collect | Within):
            return 0
        if isinstance(node.op, Input):
            return self.axes.get(node.name)
        known = {i: self.axes[source] for i, source in enumerate(node.inputs) if source in self.axes}
        if not known or self.picks_last(node, known):
            return None
        axis = self.after(node, known)
        if axis is None:
            raise self.refusal(node, "needs more than one element of the sequence at once")
        return axis

    def picks_last(self, node: Node, known: Mapping[int, int]) -> bool:
        """Whether a node picks the last element of a sequence."""
        op, last = node.op, self.count - 1
        return isinstance(op, Slice) and op.axis == known[0] + 1 and (op.start, op.stop) == (last, self.count)

    def after(self, node: Node, known: Mapping[int, int]) -> int | None:
        """Return where the axis of elements is behind a node, given where it is in its inputs; None if it is lost."""
        sources, size = [self.sizes[source] for source in node.inputs], self.sizes[node.name]
        op, axis = node.op.analogue(), next(iter(known.values()))
        found: int | None = None
        match op:
            case Linear() | Softmax():
                mixed = len(size) if isinstance(op, Linear) else op.axis % (len(size) + 1)
                found = axis if axis + 1 != mixed else None
            case Embedding() | OneHot():
                found = axis
            case Permute():
                found = op.axes.index(axis + 1) - 1
            case Reshape():
                found = reshaped(sources[0], axis, size)
            case Slice():
                found = axis if op.axis != axis + 1 or (op.start, op.stop, op.step) == (0, self.count, 1) else None
            case Concatenate():
                found = axis if op.axis != axis + 1 and list(known.values()) == [axis] * len(sources) else None
            case _ if isinstance(op, (*POINTWISE, Expand)) or TRAITS[type(op)] is Trait.ACTIVATION:
                found = broadcast(sources, known, size)
        return found

    def cut_op(self, node: Node) -> Op:
        """Return the op of a node for one element."""
        axis, op = self.axes.get(node.name), node.op
        match op:
            case Within():
                return Within(1)
            case Slice() if node.inputs[0] in self.axes and op.axis == self.axes[node.inputs[0]] + 1:
                return Slice(op.axis, 0, 1)
            case Input() | Reshape() | Expand() if axis is not None:
                return dataclasses.replace(op, shape=self.one(op.shape, axis))
        return op

    def one(self, shape: Shape, axis: int | None) -> Shape:
        """Return the shape of a value for one element."""
        return shape if axis is None else (*shape[:axis], 1, *shape[axis + 1 :])

    def lengths(self) -> set[str]:
        """Return the inputs that say how long each sequence is."""
        found = {node.inputs[0] for node in self.network.having(Within)}
        for name in found:
            node, readers = self.network.nodes[name], [self.network.nodes[user] for user in self.network.users[name]]
            if not isinstance(node.op, Input) or not all(isinstance(reader.op, Within) for reader in readers):
                raise self.refusal(node, "computes with the lengths of sequences, which a stream does not know yet")
        return found

    def refusal(self, node: Node, why: str) -> ArgumentError:
        """Return the error that a node does what cannot be had element by element."""
        where = f" (in {node.origin!r} of your model)" if node.origin and node.origin != node.name else ""
        return ArgumentError(
            f"{type(node.op.analogue()).__name__} {node.name!r}{where} {why}, so that there is no answer element by element: "
            "let the model answer from what the last element gives, or simulate whole sequences."
        )


def reshaped(before: Shape, axis: int, after: Shape) -> int | None:
    """Return where an axis stands after values were given another shape; None if it was merged with others or cut.

    >>> reshaped((5, 6), 0, (5, 2, 3)), reshaped((5, 6), 0, (1, 5, 6)), reshaped((5, 6), 0, (30,))
    (0, 1, None)
    """
    for i, size in enumerate(after):
        if size == before[axis] and math.prod(after[:i]) == math.prod(before[:axis]):
            return i
    return None


def broadcast(sources: Sequence[Shape], known: Mapping[int, int], size: Shape) -> int | None:
    """Return the axis of elements of values that are combined one by one; None if some differ between elements otherwise."""
    from_end = {len(sources[i]) - axis for i, axis in known.items()}
    if len(from_end) > 1:
        return None
    back = from_end.pop()
    others = [source for i, source in enumerate(sources) if i not in known]
    return len(size) - back if all(len(other) < back or other[-back] == 1 for other in others) else None
