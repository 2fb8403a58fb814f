"""One ATen call of an exported program, with its arguments by name, and what a reader may do with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx

import transpike.errors
from transpike.capture.layout import STRAIGHT, Layout, Signal, Sizes, sizes_of
from transpike.errors import CaptureError
from transpike.network import Node
from transpike.ops import Embedding, Input
from transpike.parts import Op

PACKAGES = tuple(str(Path(file).parent).replace("\\", "/") + "/" for file in (torch.__file__, transpike.errors.__file__))


@dataclass
class Program:
    """The nodes read so far, in order, and what those of loops hold of the element before (see `Network.previous`)."""

    nodes: dict[str, Node] = field(default_factory=dict)
    previous: dict[str, str] = field(default_factory=dict)

    def add(
        self,
        wanted: str,
        op: Op,
        inputs: tuple[Signal, ...],
        origin: str,
        shape: tuple[int, ...],
        dtype: torch.dtype = torch.float32,
    ) -> Signal:
        """Append a node under `wanted`, numbered if that name is taken, and return its signal."""
        name, number = wanted, 2
        while name in self.nodes:
            name, number = f"{wanted}_{number}", number + 1
        self.nodes[name] = Node(name, op, tuple(signal.name for signal in inputs), origin)
        return Signal(name, shape, dtype, whole(op, inputs))


@dataclass
class Call:
    """An ATen call: `arguments` by the names of its schema, tensors that depend on no input as constants.

    `layout` is how the model has the signals that it reads.
    """

    node: fx.Node
    arguments: dict[str, Any]
    program: Program
    leaf: Callable[[str], bool]
    layout: Layout = STRAIGHT

    def __getattr__(self, name: str) -> Any:
        try:
            return self.arguments[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def operator(self) -> str:
        """The name of the operator, such as "conv2d"."""
        return operator_name(self.node)

    @property
    def origin(self) -> str:
        """The path of the module that made the call."""
        return origin_of(self.node)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample of the result, as the export found it."""
        return (*self.layout.shared, *self.sizes.others)

    @property
    def sizes(self) -> Sizes:
        """The sizes of the result, as the export found it."""
        return exported_sizes(self.node, self.node.meta["val"])

    @property
    def dtype(self) -> torch.dtype:
        """The kind of numbers of the result, as the export found it."""
        found: torch.dtype = self.node.meta["val"].dtype
        return found

    def emit(self, op: Op, *inputs: Signal, part: str = "") -> Signal:
        """Add `op` on `inputs` to the network and return its signal; `part` says which of several nodes of the call it is."""
        value = outcome(op, inputs)
        operator = "" if self.leaf(self.origin) else self.operator.strip("_")
        name = ".".join(filter(None, [self.origin, operator, part]))
        return self.program.add(name or self.operator, op, inputs, self.origin, tuple(value.shape[1:]), value.dtype)

    def axis(self, dim: int, signal: Signal) -> int:
        """Return the axis of a signal for an axis of the model, refusing that of the batch."""
        place = dim % self.layout.rank(signal)
        if place == self.layout.place:
            raise self.refusal("it acts along the batch, so that samples would depend on each other")
        return self.layout.axis(place)

    def refusal(self, reason: str, advice: str = "") -> CaptureError:
        """Return the error that names this operator, its place and the reason."""
        tail = f" {advice}" if advice else ""
        return CaptureError(f"Operator {self.operator!r} {where(self.node)} cannot be captured: {reason}.{tail}")


def whole(op: Op, inputs: Sequence[Signal]) -> bool:
    """Whether what an op makes depends on whole numbers alone that come from outside."""
    if isinstance(op, Input):
        return not getattr(torch, op.dtype).is_floating_point
    return not isinstance(op, Embedding) and all(signal.whole for signal in inputs)


def outcome(op: Op, inputs: Sequence[Signal]) -> Tensor:
    """Return a value without content, shaped like what `op` makes of two samples of `inputs`."""
    samples = [torch.empty((2, *signal.shape), dtype=signal.dtype, device="meta") for signal in inputs]
    value: Tensor = op.map_tensors(lambda tensor: tensor.to("meta"))(*samples)
    return value


def tuple_of(value: Any, rank: int) -> tuple[int, ...]:
    """Spread a number, or a list of one number, over `rank` axes."""
    values = [value] if isinstance(value, int) else list(value)
    return tuple(values * rank) if len(values) == 1 else tuple(values)


def operator_name(node: fx.Node) -> str:
    """Return the name of the operator that an fx node calls, without name space and overload."""
    schema = getattr(node.target, "_schema", None)
    return schema.name.split("::")[-1] if schema is not None else getattr(node.target, "__name__", str(node.target))


def origin_of(node: fx.Node) -> str:
    """Return the path of the module that made an fx node, the empty string for the model itself."""
    stack = node.meta.get("nn_module_stack") or {}
    path = next(reversed(list(stack.values())))[0] if stack else ""
    return path.split("@")[0] if not path.startswith("_empty") else ""


def where(node: fx.Node) -> str:
    """Say where in the user's model an fx node comes from: the module, and the line of code if it is known."""
    origin = origin_of(node)
    module = f"in {origin!r} of your model" if origin else "in your model"
    lines = (node.meta.get("stack_trace") or "").splitlines()
    frames = [
        (lines[i].strip(), lines[i + 1].strip())
        for i in range(len(lines) - 1)
        if lines[i].lstrip().startswith("File ") and foreign(lines[i])
    ]
    if not frames:
        return module
    frame, code = frames[-1]
    file, line, *_ = frame.removeprefix("File ").split(", ")
    name = file.strip('"').replace("\\", "/").split("/")[-1]
    return f"{module} ({name}, {line}: `{code}`)"


def foreign(text: str) -> bool:
    """Whether text naming a file names one of the user's, neither PyTorch's nor ours."""
    return not any(package in text.replace("\\", "/") for package in PACKAGES)


def exported_sizes(node: fx.Node, value: Tensor) -> Sizes:
    """Return the sizes of an exported value, refusing values that have not exactly one axis for the batch."""
    symbol = str(node.meta.get("batch"))
    sizes = sizes_of(value.shape, symbol)
    if sizes is None:
        raise CaptureError(
            f"Operator {operator_name(node)!r} {where(node)} makes a value of shape {worded(value, symbol)}, of which not "
            "exactly one axis is the batch: samples of a batch must stay apart. Keep the batch as axis 0 throughout."
        )
    return sizes


def worded(value: Tensor, symbol: str) -> str:
    """Return the shape of an exported value in words."""
    return f"({', '.join(str(size).replace(symbol, 'batch') for size in value.shape)})"
