"""Read an ONNX file into a graph: everything in it is checked before it is used, and nothing in it is executed."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np

from transpike.errors import ArchiveError, CaptureError, require
from transpike.files import read_bytes
from transpike.frontends.onnx.graph import ONNX, OnnxGraph, OnnxNode
from transpike.frontends.onnx.pruning import pruned
from transpike.frontends.onnx.values import LARGEST

OLDEST, NEWEST = 7, 25
DOMAINS = {"": ONNX, "ai.onnx": ONNX, "ai.onnx.ml": "ai.onnx.ml"}


def read_graph(path: Path) -> OnnxGraph:
    """Return the graph of an ONNX file; raises ArchiveError if it is damaged or hostile, CaptureError if it is too old."""
    onnx = require("onnx", "onnx", "Reading .onnx files")
    content = read_bytes(path, "ONNX file")
    try:
        model = onnx.ModelProto.FromString(content)
    except Exception:  # noqa: BLE001 - protobuf raises its own kinds
        raise ArchiveError(f"{path} is damaged or no ONNX file: its {len(content)} bytes are no ONNX model.") from None
    if not model.graph.output or not model.opset_import:
        raise ArchiveError(f"{path} is damaged or no ONNX file: it holds no graph with an output.")
    opset = next((int(each.version) for each in model.opset_import if each.domain in {"", "ai.onnx"}), NEWEST)
    if not OLDEST <= opset <= NEWEST:
        raise CaptureError(
            f"{path} uses operator set {opset}; those from {OLDEST} to {NEWEST} are read. Convert it with "
            "onnx.version_converter.convert_version(model, 21)."
        )
    constants = {each.name: array_of(each, path) for each in model.graph.initializer}
    if model.graph.sparse_initializer:
        raise CaptureError(f"{path} holds sparse tensors: save its weights as dense ones.")
    inputs = tuple(each.name for each in model.graph.input if each.name not in constants)
    versions = {DOMAINS.get(each.domain, each.domain): int(each.version) for each in model.opset_import}
    nodes = tuple(node_of(each, index, versions, path) for index, each in enumerate(expanded_nodes(model)))
    kinds = {each.name: each.type for each in model.graph.output}
    graph = OnnxGraph(inputs, tuple(kinds), nodes, constants, fixed_shapes(model, inputs), kinds=input_kinds(model))
    return pruned(dataclasses.replace(graph, outputs=answers(kinds) or graph.outputs))


def answers(kinds: dict[str, Any]) -> tuple[str, ...]:
    """Return the outputs that are numbers with fractions, or maps of classes to such: not labels."""
    floats = {1, 10, 11, 16}  # float, float16, double, bfloat16, as the format numbers them
    return tuple(
        name
        for name, kind in kinds.items()
        if kind.WhichOneof("value") != "tensor_type" or kind.tensor_type.elem_type in floats
    )


def expanded_nodes(model: Any) -> list[Any]:
    """Return the nodes of a graph; functions that the file defines itself are refused by their place."""
    own = {(function.domain, function.name) for function in model.functions}
    for node in model.graph.node:
        if (node.domain, node.op_type) in own:
            raise CaptureError(
                f"ONNX node {node.name!r} calls {node.op_type}, a function that the file defines itself: inline it first with "
                "onnx.inliner.inline_local_functions(model)."
            )
    return list(model.graph.node)


def node_of(proto: Any, index: int, versions: dict[str, int], path: Path) -> OnnxNode:
    """Return a node as values."""
    domain = DOMAINS.get(proto.domain, proto.domain)
    name = proto.name or f"{proto.op_type}_{index}"
    attributes = {each.name: attribute_of(each, name, path) for each in proto.attribute}
    return OnnxNode(
        proto.op_type, name, tuple(proto.input), tuple(proto.output), attributes, versions.get(domain, NEWEST), domain
    )


def attribute_of(proto: Any, node: str, path: Path) -> Any:
    """Return an attribute as plain values; tensors as arrays."""
    import onnx

    kinds = onnx.AttributeProto
    if proto.type == kinds.TENSOR:
        return array_of(proto.t, path)
    if proto.type in (kinds.GRAPH, kinds.GRAPHS):
        raise CaptureError(
            f"ONNX node {node!r} holds a graph of its own (a branch or a loop): its path depends on values. Export the model "
            "without control flow."
        )
    value = onnx.helper.get_attribute_value(proto)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, list | tuple) or hasattr(value, "__iter__"):
        return [item.decode(errors="replace") if isinstance(item, bytes) else item for item in value]
    return value


def array_of(tensor: Any, path: Path) -> np.ndarray:
    """Return a tensor of the file as an array; what its shape says must be what is there."""
    import onnx

    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        tensor = onnx.TensorProto(
            name=tensor.name, dims=tensor.dims, data_type=tensor.data_type, raw_data=external_bytes(tensor, path)
        )
    count = math.prod(tensor.dims)
    if any(size < 0 for size in tensor.dims) or count > held(tensor):
        raise ArchiveError(
            f"{path} is damaged: tensor {tensor.name!r} claims the shape {tuple(tensor.dims)} but holds fewer values."
        )
    try:
        return np.array(onnx.numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise ArchiveError(f"{path} is damaged: tensor {tensor.name!r} cannot be read ({error}).") from None


def held(tensor: Any) -> int:
    """Return how many values a tensor can hold at most, by the bytes that are there."""
    fields = (tensor.float_data, tensor.int32_data, tensor.int64_data, tensor.double_data, tensor.uint64_data)
    return 2 * len(tensor.raw_data) + 2 * sum(map(len, fields)) + len(tensor.string_data)


def external_bytes(tensor: Any, path: Path) -> bytes:
    """Return the bytes of a tensor that lie in a file beside the model: in its folder and nowhere else."""
    entries = {each.key: each.value for each in tensor.external_data}
    location = entries.get("location", "")
    folder = path.resolve().parent
    place = folder / location
    inside = location and not Path(location).is_absolute() and ".." not in Path(location.replace("\\", "/")).parts
    steps = [place, *place.parents][: len(Path(location).parts)]
    if not inside or any(step.is_symlink() for step in steps) or not place.resolve().is_relative_to(folder):
        raise ArchiveError(
            f"{path} is refused: its tensor {tensor.name!r} lies in {location!r}, outside the folder of the model. Data must "
            "lie in files beside it, without links."
        )
    offset, length = int(entries.get("offset", 0)), entries.get("length")
    try:
        size = place.stat().st_size
        end = offset + int(length) if length is not None else size
        if not 0 <= offset <= end <= size:
            raise ArchiveError(f"{path} is damaged: {location!r} has {size} bytes, but tensor {tensor.name!r} ends at {end}.")
        with place.open("rb") as file:
            file.seek(offset)
            return file.read(end - offset)
    except OSError as error:
        raise ArchiveError(f"Cannot read {place}, which holds weights of {path}: {error.strerror or error}.") from None


def fixed_shapes(model: Any, inputs: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the inputs where the file fixes all of them, the size of the batch too; else nothing."""
    found = {}
    for each in model.graph.input:
        dims = each.type.tensor_type.shape.dim
        if each.name in inputs and each.type.tensor_type.HasField("shape"):
            found[each.name] = tuple(int(dim.dim_value) for dim in dims)
    known = all(shape and min(shape) > 0 and math.prod(shape) < LARGEST for shape in found.values())
    return found if known and len(found) == len(inputs) else {}


def input_kinds(model: Any) -> dict[str, str]:
    """Return the kind of numbers of each input, as PyTorch names it; fractions are read in single precision."""
    import onnx

    names = {onnx.TensorProto.INT64: "int64", onnx.TensorProto.INT32: "int32", onnx.TensorProto.BOOL: "bool"}
    return {each.name: names.get(each.type.tensor_type.elem_type, "float32") for each in model.graph.input}
