"""Compute what depends on no input, once and before anything runs."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from transpike.errors import CaptureError
from transpike.frontends.onnx.graph import OnnxGraph, OnnxNode
from transpike.frontends.onnx.rows import RECURRENT, ROWS, SIZES


def folded(graph: OnnxGraph) -> OnnxGraph:
    """Return a graph without nodes that depend on no input; the nodes that are left know which of their inputs are constant."""
    constants = {name: single(value) for name, value in graph.constants.items()}
    nodes = []
    for each in graph.nodes:
        known = {place: constants[name] for place, name in enumerate(each.inputs) if name in constants}
        node = dataclasses.replace(each, constants=known)
        values = computed(node) if all(name in constants or not name for name in node.inputs) else None
        if values is None:
            nodes.append(node)
        else:
            constants.update(zip(node.outputs, values, strict=False))
    return dataclasses.replace(graph, nodes=tuple(nodes), constants=constants)


def computed(node: OnnxNode) -> tuple[np.ndarray, ...] | None:
    """Return the outputs of a node whose inputs are all known; None if its row needs more."""
    if node.op == "Constant":
        return (constant(node),)
    if node.op in RECURRENT or (node.op not in SIZES and node.op not in ROWS):
        return None
    given = [node.constants.get(place) if name else None for place, name in enumerate(node.inputs)]
    try:
        result = SIZES[node.op](node, *given) if node.op in SIZES else ROWS[node.op](node, *map(as_tensor, given))
    except CaptureError:
        raise
    except Exception as error:
        raise node.refusal(f"its constants do not fit together ({error})") from error
    results = result if isinstance(result, tuple) else (result,)
    return tuple(single(value.numpy() if isinstance(value, Tensor) else value) for value in results)


def constant(node: OnnxNode) -> np.ndarray:
    """Return the value of a node that is a constant."""
    for key, kind in (
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
    ):
        if key in node.attributes:
            return np.asarray(node.get(key), kind)
    value = node.get("value")
    if not isinstance(value, np.ndarray):
        raise node.refusal(f"it is no tensor of numbers but has {', '.join(node.attributes) or 'no value'}")
    return single(value)


def single(value: np.ndarray) -> np.ndarray:
    """Return fractions in single precision, in which networks compute; other numbers as they are."""
    return value.astype(np.float32) if value.dtype.kind == "f" or value.dtype.name == "bfloat16" else value


def as_tensor(value: np.ndarray | None) -> Tensor | None:
    """Return an array as a tensor."""
    return None if value is None else torch.from_numpy(np.array(value))
