"""One ATen call of an exported program, with its arguments by name, and what a reader may do with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx

import transpike.errors
from transpike.errors import CaptureError
from transpike.network import Node
from transpike.parts import Op


@dataclass(frozen=True)
class Signal:
    """A value that depends on an input: the node that computes it, the shape of one sample, and the kind of its numbers."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True)
class Turned:
    """A signal [batch, a, ...] that the model has as [a, batch, ...], such as a sequence with time as its first axis."""

    signal: Signal


class BatchSize:
    """Stands for the size of the batch wherever a model asks for it."""

    def __repr__(self) -> str:
        return "batch"


BATCH = BatchSize()
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
        return Signal(name, shape, dtype)


@dataclass
class Call:
    """An ATen call: `arguments` by the names of its schema, tensors that depend on no input as constants."""

    node: fx.Node
    arguments: dict[str, Any]
    program: Program
    leaf: Callable[[str], bool]

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
        return sample_shape(self.node, self.node.meta["val"])

    def emit(self, op: Op, *inputs: Signal, part: str = "") -> Signal:
        """Add `op` on `inputs` to the network and return its signal; `part` says which of several nodes of the call it is."""
        value = outcome(op, inputs)
        operator = "" if self.leaf(self.origin) else self.operator.strip("_")
        name = ".".join(filter(None, [self.origin, operator, part]))
        return self.program.add(name or self.operator, op, inputs, self.origin, tuple(value.shape[1:]), value.dtype)

    def axis(self, dim: int, rank: int) -> int:
        """Return `dim` counted from the batch (0), refusing the batch itself."""
        axis = dim % rank
        if axis == 0:
            raise self.refusal("it acts along the batch, so that samples would depend on each other")
        return axis

    def refusal(self, reason: str, advice: str = "") -> CaptureError:
        """Return the error that names this operator, its place and the reason."""
        tail = f" {advice}" if advice else ""
        return CaptureError(f"Operator {self.operator!r} {where(self.node)} cannot be captured: {reason}.{tail}")


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


def sample_shape(node: fx.Node, value: Tensor) -> tuple[int, ...]:
    """Return the shape of one sample of an exported value, refusing values whose axis 0 is not exactly the batch."""
    sizes = list(value.shape)
    symbol = str(node.meta.get("batch"))
    if not sizes or isinstance(sizes[0], int) or str(sizes[0]) != symbol or any(not isinstance(s, int) for s in sizes[1:]):
        shape = ", ".join(str(size).replace(symbol, "batch") for size in sizes)
        raise CaptureError(
            f"Operator {operator_name(node)!r} {where(node)} makes a value of shape ({shape}), whose first axis is not the "
            "batch alone: samples of a batch must stay apart. Keep the batch as axis 0 throughout."
        )
    return tuple(sizes[1:])
