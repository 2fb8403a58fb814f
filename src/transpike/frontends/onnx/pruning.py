"""Keep of a graph what leads to the answer: scores, not the labels and maps that scikit-learn's files make of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from transpike.frontends.onnx.graph import OnnxGraph, OnnxNode

LABELS = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")


def pruned(graph: OnnxGraph, known: tuple[str, ...] = ()) -> OnnxGraph:
    """Return a graph without maps of labels, and without nodes that lead to no output; `known` are its labels, if known."""
    maps = {node.outputs[0]: node for node in graph.nodes if node.op == "ZipMap"}
    outputs = tuple(maps[name].inputs[0] if name in maps else name for name in graph.outputs)
    makers = {output: node for node in graph.nodes for output in node.outputs if output}
    needed: set[str] = set()
    waiting = list(outputs)
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        needed.add(name)
        waiting += [source for source in makers[name].inputs if source] if name in makers else []
    nodes = tuple(node for node in graph.nodes if needed.intersection(node.outputs))
    return dataclasses.replace(graph, outputs=outputs, nodes=nodes, labels=known or next(labels(graph.nodes), ()))


def labels(nodes: tuple[OnnxNode, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the names of classes that nodes hold."""
    for node in nodes:
        for key in LABELS:
            if node.get(key):
                yield tuple(str(label) for label in node.get(key))
