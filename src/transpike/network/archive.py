"""Save networks as a folder of JSON and safetensors, and load them again: never pickle."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from torch import Tensor

from transpike.codings import CODINGS
from transpike.errors import ArchiveError, TranspikeError
from transpike.files import read_bytes, read_json, read_tensors, write_tensors, write_text
from transpike.network.graph import Network, Node
from transpike.neurons import CELLS, NEURONS
from transpike.ops import TRAITS
from transpike.parts import Finding, Method, Op

FORMAT = 1
GRAPH, TENSORS = "network.json", "tensors.safetensors"
PARTS: dict[str, type[Op]] = {part.__name__: part for part in (*TRAITS, *NEURONS, *CELLS, *CODINGS)}


def save(network: Network, folder: str | Path) -> None:
    """Write `network` into `folder`: `network.json` (graph) and `tensors.safetensors` (weights, thresholds).

    Raises ArchiveError if it cannot be written, and then leaves no partial folder behind.
    """
    folder = Path(folder)
    tensors: dict[str, Tensor] = {}
    nodes = [
        {"name": n.name, "op": op_values(n.op, n.name, tensors), "inputs": n.inputs, "origin": n.origin}
        for n in network.nodes.values()
    ]
    if folder.exists() and not folder.is_dir():
        raise ArchiveError(f"Cannot save to {folder}: a file of that name is in the way.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise ArchiveError(f"Cannot write to {folder.parent}: {error.strerror or error}.") from None
    try:
        write_tensors(staging / TENSORS, tensors)
        graph = {
            "format": FORMAT,
            "tensors_sha256": digest(staging / TENSORS),
            "method": None if network.method is None else dataclasses.asdict(network.method),
            "outputs": dict(network.outputs),
            "previous": dict(network.previous),
            "findings": [dataclasses.asdict(finding) for finding in network.findings],
            "nodes": nodes,
        }
        write_text(staging / GRAPH, json.dumps(graph, indent=1))
        moved_into(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def moved_into(staging: Path, folder: Path) -> None:
    """Move the two files into place; the graph comes last, since without it there is no archive."""
    try:
        folder.mkdir(exist_ok=True)
        (folder / GRAPH).unlink(missing_ok=True)
        for name in (TENSORS, GRAPH):
            (staging / name).replace(folder / name)
    except OSError as error:
        raise ArchiveError(f"Cannot write to {folder}: {error.strerror or error}.") from None


def load(folder: str | Path) -> Network:
    """Read the network that `save` wrote into `folder`; it gives the same spikes, bit for bit.

    Raises ArchiveError if files are missing, truncated, edited, or written by a newer version.
    """
    folder = Path(folder)
    if not (folder / GRAPH).is_file():
        raise ArchiveError(f"{folder} holds no network: {GRAPH} is missing. Save one with transpike convert --out.")
    graph = read_json(folder / GRAPH, "network")
    if not isinstance(graph.get("format"), int) or graph["format"] > FORMAT:
        raise ArchiveError(f"{folder} was written by a newer Transpike: update it with pip install -U transpike.")
    if digest(folder / TENSORS) != graph.get("tensors_sha256"):
        raise ArchiveError(f"{folder / TENSORS} is not the file that was saved with {GRAPH}: it is truncated or edited.")
    tensors = read_tensors(folder / TENSORS, "tensor file")
    try:
        nodes = [read_node(values, tensors) for values in graph["nodes"]]
        findings = tuple(Finding(**values) for values in graph["findings"])
        method = None if graph["method"] is None else Method(**graph["method"])
        return Network({node.name: node for node in nodes}, graph["outputs"], method, findings, graph.get("previous", {}))
    except (KeyError, TypeError, ValueError, AttributeError, TranspikeError) as error:
        raise ArchiveError(f"{folder / GRAPH} is damaged or was edited: {type(error).__name__} {error}.") from None


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(read_bytes(path, "tensor file")).hexdigest()


def op_values(op: Op, path: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Return an op as plain values; its tensors go into `tensors` under `path`."""
    values: dict[str, Any] = {"kind": type(op).__name__}
    for field in dataclasses.fields(op):
        value = getattr(op, field.name)
        key = f"{path}/{field.name}"
        if isinstance(value, Tensor):
            tensors[key] = value
            value = {"tensor": key}
        elif isinstance(value, Op):
            value = {"op": op_values(value, key, tensors)}
        elif isinstance(value, float):
            value = {"float": value.hex()}  # exact, and able to say infinity
        elif isinstance(value, tuple):
            value = list(value)
        values[field.name] = value
    return values


def read_op(values: dict[str, Any], tensors: dict[str, Tensor]) -> Op:
    """Return the op that `op_values` described."""
    kind = PARTS[values["kind"]]
    fields = {name: read_value(value, tensors) for name, value in values.items() if name != "kind"}
    return kind(**fields)


def read_value(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return one field of an op."""
    if isinstance(value, list):
        return tuple(value)
    if not isinstance(value, dict):
        return value
    (tag, content), *_ = value.items()
    if tag == "tensor":
        return tensors[content]
    return read_op(content, tensors) if tag == "op" else float.fromhex(content)


def read_node(values: dict[str, Any], tensors: dict[str, Tensor]) -> Node:
    """Return one node."""
    return Node(values["name"], read_op(values["op"], tensors), tuple(values["inputs"]), values["origin"])
