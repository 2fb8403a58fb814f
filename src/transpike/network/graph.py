"""The one value that flows through the program: an immutable graph of named nodes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from types import MappingProxyType

import torch
from torch import Tensor

from transpike.errors import ArgumentError
from transpike.ops import Input, Number, Previous
from transpike.parts import Finding, Method, Op, Stateful


@dataclass(frozen=True)
class Node:
    """An op, the names of the nodes that it reads, and the place in the user's model that it came from."""

    name: str
    op: Op
    inputs: tuple[str, ...] = ()
    origin: str = ""


@dataclass(frozen=True)
class Network:
    """An ordered, immutable mapping from name to node, with named outputs.

    Axis 0 of every value is the batch and is implicit. `outputs` maps the key of each output (for a single output the
    key is "output") to a node. A network is analogue, or spiking once an op in it keeps state. `previous` maps each
    `Previous` node to the node of its loop whose value of the element before it holds: the one way back in a graph that
    otherwise only leads on.
    """

    nodes: Mapping[str, Node]
    outputs: Mapping[str, str]
    method: Method | None = None
    findings: tuple[Finding, ...] = field(default=())
    previous: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", MappingProxyType(dict(self.nodes)))
        object.__setattr__(self, "outputs", MappingProxyType(dict(self.outputs)))
        object.__setattr__(self, "previous", MappingProxyType(dict(self.previous)))
        seen: set[str] = set()
        for name, node in self.nodes.items():
            missing = [source for source in node.inputs if source not in seen]
            if missing or node.name != name:
                raise ArgumentError(f"Node {name!r} reads {missing} before they are computed, or is misnamed.")
            seen.add(name)
        lost = [target for target in self.outputs.values() if target not in seen]
        if lost:
            raise ArgumentError(f"Outputs name nodes that do not exist: {lost}.")
        if set(self.previous) != {name for name, node in self.nodes.items() if isinstance(node.op, Previous)}:
            raise ArgumentError("Every Previous node, and no other, needs an entry in `previous`.")
        if lost := [source for source in self.previous.values() if source not in seen]:
            raise ArgumentError(f"Nodes that hold the value of the element before read nodes that do not exist: {lost}.")

    def __reduce__(self) -> tuple[object, ...]:
        return Network, (dict(self.nodes), dict(self.outputs), self.method, self.findings, dict(self.previous))

    @property
    def spiking(self) -> bool:
        """Whether any op keeps state in time."""
        return any(isinstance(node.op, Stateful) for node in self.nodes.values())

    @cached_property
    def inputs(self) -> Mapping[str, Input]:
        """The input ops by node name, in the order in which the model takes them."""
        return MappingProxyType({name: node.op for name, node in self.nodes.items() if isinstance(node.op, Input)})

    @property
    def users(self) -> dict[str, list[str]]:
        """The nodes that read each node, those that hold it for the next element too; outputs do not count."""
        users: dict[str, list[str]] = {name: [] for name in self.nodes}
        for name, source in self.previous.items():
            users[source].append(name)
        for name, node in self.nodes.items():
            for source in node.inputs:
                users[source].append(name)
        return users

    def having(self, *kinds: type[Op]) -> list[Node]:
        """Return the nodes whose op is of one of `kinds`, in order."""
        return [node for node in self.nodes.values() if isinstance(node.op, kinds)]

    def only_user(self, name: str) -> str | None:
        """Return the one node that reads `name`, or None if there are none, several, or it is an output."""
        users = self.users[name]
        return users[0] if len(users) == 1 and name not in self.outputs.values() else None

    def map_ops(self, change: Callable[[Node], Op]) -> Network:
        """Return the network with each op replaced by `change(node)`."""
        nodes = {name: dataclasses.replace(node, op=change(node)) for name, node in self.nodes.items()}
        return dataclasses.replace(self, nodes=nodes)

    def analogue(self) -> Network:
        """Return the ANN: stateful ops become what they approximate, corrected weights what they were."""
        return self.restricted({name: counterpart(node) for name, node in self.nodes.items()})

    def restricted(self, nodes: Mapping[str, Node]) -> Network:
        """Return the network made of those of `nodes` that an output needs, and the inputs, which the model takes anyway."""
        needed: set[str] = set()
        waiting = [*self.outputs.values(), *(name for name in self.inputs if name in nodes)]
        while waiting:
            name = waiting.pop()
            if name not in needed:
                needed.add(name)
                waiting += nodes[name].inputs
                if name in self.previous:
                    waiting.append(self.previous[name])
        kept = {name: node for name, node in nodes.items() if name in needed}
        previous = {name: source for name, source in self.previous.items() if name in needed}
        return dataclasses.replace(self, nodes=kept, previous=previous)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Network:
        """Return the network with floating tensors on `device` and in `dtype`; its inputs expect that dtype."""

        def move(tensor: Tensor) -> Tensor:
            return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)

        def change(node: Node) -> Op:
            op = node.op.map_tensors(move)
            if dtype is not None and isinstance(op, Input | Number) and getattr(torch, op.dtype).is_floating_point:
                return dataclasses.replace(op, dtype=str(dtype).removeprefix("torch."))
            return op

        return self.map_ops(change)

    @cached_property
    def device(self) -> torch.device:
        """The device of the parameters (the CPU if there are none)."""
        return next((tensor.device for node in self.nodes.values() for _, tensor in node.op.tensors()), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """The floating dtype in which the network computes: that of its inputs, or of its weights if it takes whole numbers."""
        inputs = (getattr(torch, op.dtype) for op in self.inputs.values())
        weights = (tensor.dtype for node in self.nodes.values() for _, tensor in node.op.tensors())
        return next((found for found in chain(inputs, weights) if found.is_floating_point), torch.get_default_dtype())

    def describe(self) -> str:
        """Return one line per node: name, op, what it reads."""
        rows = [f"{n.name:40} {type(n.op).__name__:22} {', '.join(n.inputs)}" for n in self.nodes.values()]
        return "\n".join(rows)


def counterpart(node: Node) -> Node:
    """Return what a node is in the ANN. Further inputs of an op that keeps state are signals in time, which the ANN has not."""
    inputs = node.inputs[:1] if isinstance(node.op, Stateful) and not node.op.joins else node.inputs
    return dataclasses.replace(node, op=node.op.analogue(), inputs=inputs)
