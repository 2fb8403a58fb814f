"""Build of an ONNX graph a module that torch.export can read: one submodule per node, under the node's own name."""

from __future__ import annotations

import operator
import re
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from transpike.errors import CaptureError
from transpike.frontends.onnx.graph import LEARNING, OnnxGraph, OnnxNode
from transpike.frontends.onnx.opening import first_line, open_batch
from transpike.frontends.onnx.rows import LEARNING_ROWS, RECURRENT, ROWS, SIZES, Recurrent
from transpike.frontends.onnx.rows.recurrent import CELL, STATE
from transpike.frontends.onnx.values import tensor


class Step(nn.Module):
    """One node of an ONNX graph; what it knows of its inputs fills the places that the call leaves out."""

    def __init__(self, node: OnnxNode) -> None:
        """Check that there is a row for the node."""
        super().__init__()
        rows = LEARNING_ROWS if node.domain == LEARNING else ROWS if not node.domain else {}
        if node.op not in rows and node.op not in SIZES:
            raise node.refusal("there is no row for it in the table of operators", "Export the model without it.")
        self.node, self.rows = node, rows

    def forward(self, *given: Any) -> Any:
        """Compute the node."""
        values = [self.node.constants.get(place) if value is None else value for place, value in enumerate(given)]
        known = all(value is None or isinstance(value, np.ndarray) for value in values)
        row = SIZES.get(self.node.op) if known and not self.node.domain else None
        try:
            if row is None and known:
                values = [None if value is None else tensor(self.node, value) for value in values]
            return (row or self.rows[self.node.op])(self.node, *values)
        except CaptureError:
            raise
        except KeyError:
            raise self.node.refusal("it would act on values of the input, for which there is no row") from None
        except (TypeError, ValueError, IndexError, AttributeError) as error:
            raise self.node.refusal(f"its inputs and attributes do not fit together ({first_line(error)})") from error


class Builder:
    """Writes a graph as a torch.fx graph."""

    def __init__(self, graph: OnnxGraph) -> None:
        """Begin with the inputs."""
        self.source, self.root, self.graph = graph, nn.Module(), fx.Graph()
        self.taken: set[str] = set()
        self.values: dict[str, fx.Node] = {name: self.graph.placeholder(self.free(name)) for name in graph.inputs}

    def free(self, wanted: str) -> str:
        """Return a name that is free and that Python can write."""
        stem = re.sub(r"\W", "_", wanted.strip("/").replace("::", "/").replace("/", "_")) or "value"
        stem = f"n{stem}" if stem[0].isdigit() else stem
        name, number = stem, 2
        while name in self.taken or hasattr(nn.Module, name):
            name, number = f"{stem}_{number}", number + 1
        self.taken.add(name)
        return name

    def read(self, name: str, node: OnnxNode) -> fx.Node | None:
        """Return the value of an input; None where it is left out or the node knows it."""
        if not name:
            return None
        if name in self.values:
            return self.values[name]
        if name not in self.source.constants:
            raise node.refusal(f"it reads {name!r}, which nothing makes")
        value = self.source.constants[name]
        if value.dtype.kind != "f" or value.ndim == 0 or node.op in RECURRENT:
            return None
        target = self.free(name)
        self.root.register_buffer(target, torch.from_numpy(np.array(value)))
        self.values[name] = self.graph.get_attr(target)
        return self.values[name]

    def add(self, node: OnnxNode) -> None:
        """Add one node."""
        given = tuple(self.read(name, node) for name in node.inputs)
        target = self.free(node.name)
        kwargs: dict[str, Any] = {}
        if node.op in RECURRENT and not node.domain:
            self.root.add_module(target, Recurrent(node))
            states = given[STATE : CELL + 1] if node.op == "LSTM" else given[STATE : STATE + 1]
            given, kwargs = given[:1], {"states": states}
        else:
            self.root.add_module(target, Step(node))
        result = self.graph.call_module(target, given, kwargs)
        if len(node.outputs) == 1 and node.op not in RECURRENT:
            self.values[node.outputs[0]] = result
            return
        for place, name in enumerate(node.outputs):
            if name:
                self.values[name] = self.graph.call_function(operator.getitem, (result, place))

    def build(self) -> nn.Module:
        """Return the module."""
        for node in self.source.nodes:
            self.add(node)
        missing = [name for name in self.source.outputs if name not in self.values]
        if missing:
            raise CaptureError(f"Output {missing[0]!r} of the ONNX graph does not depend on its input.")
        results = tuple(self.values[name] for name in self.source.outputs)
        self.graph.output(results[0] if len(results) == 1 else dict(zip(self.source.outputs, results, strict=True)))
        module = fx.GraphModule(self.root, self.graph, "OnnxModel").eval()
        if self.source.shapes:
            open_batch(module, self.source)
        return module
