"""What exporters write out as several nodes, read as the one operator that it was: a linear layer, a guarded softmax."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np

from transpike.frontends.onnx.graph import OnnxGraph, OnnxNode
from transpike.frontends.onnx.pruning import pruned


class Matcher:
    """Looks backwards through a graph."""

    def __init__(self, graph: OnnxGraph) -> None:
        """Remember who makes and who reads each value."""
        self.graph = graph
        self.makers = {output: node for node in graph.nodes for output in node.outputs}
        self.readers = Counter(name for node in graph.nodes for name in node.inputs) + Counter(graph.outputs)

    def number(self, name: str) -> float | None:
        """Return the single number that a constant is."""
        value = self.graph.constants.get(name)
        return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None

    def linear(self, node: OnnxNode) -> tuple[str, ...] | None:
        """Return the input, the weights and the bias of a product with a matrix and the sum that follows it."""
        for product, bias in (node.inputs, reversed(node.inputs)) if node.op == "Add" else ():
            maker, shift = self.makers.get(product), self.graph.constants.get(bias)
            if maker is None or maker.op != "MatMul" or shift is None or self.readers[product] != 1:
                continue
            weight = self.graph.constants.get(maker.inputs[1])
            if weight is not None and weight.ndim == 2 and shift.shape == (weight.shape[1],):  # noqa: PLR2004 - a matrix
                return (*maker.inputs, bias)
        return None

    def guarded(self, node: OnnxNode) -> str | None:
        """Return x if a node puts 0 where x is no number, which exporters write behind a softmax."""
        if node.op != "Where":
            return None
        condition = self.makers.get(node.inputs[0])
        zero, x = node.inputs[1:]
        return (
            x
            if condition is not None and condition.op == "IsNaN" and condition.inputs[0] == x and self.number(zero) == 0
            else None
        )

    def read(self, node: OnnxNode) -> OnnxNode:
        """Return a node, or the operator that it ends."""
        linear = self.linear(node)
        if linear is not None:
            return merged(node, "Gemm", linear, self.graph)
        x = self.guarded(node)
        return node if x is None else merged(node, "Identity", (x,), self.graph)


def merged(node: OnnxNode, op: str, inputs: tuple[str, ...], graph: OnnxGraph) -> OnnxNode:
    """Return the operator in the place of the last of the nodes that it was written out as."""
    known: dict[int, np.ndarray] = {i: graph.constants[name] for i, name in enumerate(inputs) if name in graph.constants}
    return dataclasses.replace(node, op=op, inputs=inputs, attributes={}, constants=known)


def recognised(graph: OnnxGraph) -> OnnxGraph:
    """Return a graph with these operators whole."""
    matcher = Matcher(graph)
    return pruned(dataclasses.replace(graph, nodes=tuple(matcher.read(node) for node in graph.nodes)), graph.labels)
