"""What exporters write out as several nodes, read as the one operator that it was: a linear layer, GELU, SiLU and others."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator

import numpy as np

from transpike.frontends.onnx.graph import OnnxGraph, OnnxNode
from transpike.frontends.onnx.pruning import pruned

GATES = {"Sigmoid": "Swish", "HardSigmoid": "HardSwish", "Tanh": "Mish"}  # what x times each of x is
CLOSE = 1e-4


class Matcher:
    """Looks backwards through a graph for products and sums."""

    def __init__(self, graph: OnnxGraph) -> None:
        """Remember who makes and who reads each value."""
        self.graph = graph
        self.makers = {output: node for node in graph.nodes for output in node.outputs}
        self.readers = Counter(name for node in graph.nodes for name in node.inputs) + Counter(graph.outputs)

    def number(self, name: str) -> float | None:
        """Return the single number that a constant is."""
        value = self.graph.constants.get(name)
        return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None

    def factors(self, name: str, root: bool = True) -> Iterator[tuple[str, float]]:
        """Yield the values whose product a value is, as name and 1, or as "" and a number."""
        node = self.makers.get(name)
        number = self.number(name)
        if number is not None:
            yield "", number
        elif node is None or node.op not in {"Mul", "Div"} or not (root or self.readers[name] == 1):
            yield name, 1.0
        elif node.op == "Mul":
            for source in node.inputs:
                yield from self.factors(source, root=False)
        else:
            divisor = self.number(node.inputs[1])
            if not divisor:
                yield name, 1.0
                return
            yield "", 1 / divisor
            yield from self.factors(node.inputs[0], root=False)

    def product(self, name: str) -> tuple[list[str], float]:
        """Return the values and the number whose product a value is."""
        found = list(self.factors(name))
        return sorted(source for source, _ in found if source), math.prod(number for _, number in found)

    def gelu(self, node: OnnxNode) -> str | None:
        """Return x if a node computes x (1 + erf(x / sqrt 2)) / 2."""
        if node.op not in {"Mul", "Div"}:
            return None
        values, number = self.product(node.outputs[0])
        if len(values) != 2 or abs(number - 0.5) > CLOSE:  # noqa: PLR2004 - x and the sum
            return None
        for x, total in (values, reversed(values)):
            if self.normal(total, x):
                return x
        return None

    def normal(self, name: str, x: str) -> bool:
        """Whether a value is 1 + erf(x / sqrt 2)."""
        node = self.makers.get(name)
        if node is None or node.op != "Add":
            return False
        inner = [self.makers.get(source) for source in node.inputs]
        erfs = [one for one in inner if one is not None and one.op == "Erf"]
        if len(erfs) != 1 or not any(self.number(source) == 1 for source in node.inputs):
            return False
        values, number = self.product(erfs[0].inputs[0])
        return values == [x] and abs(number - math.sqrt(0.5)) < CLOSE

    def gate(self, node: OnnxNode) -> tuple[str, str] | None:
        """Return x and the operator that x times its own gate is."""
        for x, gate in (node.inputs, reversed(node.inputs)) if node.op == "Mul" else ():
            maker = self.makers.get(gate)
            if maker is None or maker.op not in GATES:
                continue
            if maker.op == "HardSigmoid" and not math.isclose(float(maker.get("alpha", 0.2)), 1 / 6, rel_tol=CLOSE):
                continue
            source = maker.inputs[0]
            if maker.op == "Tanh":
                soft = self.makers.get(source)
                source = soft.inputs[0] if soft is not None and soft.op == "Softplus" else ""
            if source == x:
                return x, GATES[maker.op]
        return None

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
        for op, x in (("Gelu", self.gelu(node)), ("Identity", self.guarded(node))):
            if x is not None:
                return merged(node, op, (x,), self.graph)
        found = self.gate(node)
        return node if found is None else merged(node, found[1], (found[0],), self.graph)


def merged(node: OnnxNode, op: str, inputs: tuple[str, ...], graph: OnnxGraph) -> OnnxNode:
    """Return the operator in the place of the last of the nodes that it was written out as."""
    known: dict[int, np.ndarray] = {i: graph.constants[name] for i, name in enumerate(inputs) if name in graph.constants}
    return dataclasses.replace(node, op=op, inputs=inputs, attributes={}, constants=known)


def recognised(graph: OnnxGraph) -> OnnxGraph:
    """Return a graph with these operators whole."""
    matcher = Matcher(graph)
    return pruned(dataclasses.replace(graph, nodes=tuple(matcher.read(node) for node in graph.nodes)), graph.labels)
