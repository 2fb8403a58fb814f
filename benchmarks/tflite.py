"""Read the weights of a TensorFlow Lite file, which is a FlatBuffer, without TensorFlow; those in 8 bits times their scale.

Offsets in a FlatBuffer are relative to where they stand. A table starts with the way back to its list of fields, which says how
far behind the start of the table each field lies (0: absent). The numbers of fields below are those of the public schema.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MODEL_CODES, MODEL_GRAPHS, MODEL_BUFFERS = 1, 2, 4
CODE_OLD, CODE_NEW = 0, 3
GRAPH_TENSORS, GRAPH_INPUTS, GRAPH_OUTPUTS, GRAPH_OPERATORS = 0, 1, 2, 3
TENSOR_SHAPE, TENSOR_TYPE, TENSOR_BUFFER, TENSOR_QUANTISATION = 0, 1, 2, 4
SCALES, AXIS = 2, 6  # of a quantised tensor
OPERATOR_CODE, OPERATOR_INPUTS, OPERATOR_OUTPUTS = 0, 1, 2
FLOAT32, INT8 = 0, 9


@dataclass(frozen=True)
class Operator:
    """One operator: its number in the schema and its tensors, -1 where an optional one is absent."""

    code: int
    inputs: list[int]
    outputs: list[int]


@dataclass(frozen=True)
class Graph:
    """The first graph of a file: operators in order, and the weights by number."""

    inputs: list[int]
    outputs: list[int]
    operators: list[Operator]
    constants: dict[int, np.ndarray]


@dataclass(frozen=True)
class Table:
    """A table of a FlatBuffer: the bytes of the whole file, and where the table starts."""

    content: bytes
    start: int

    def number(self, kind: str, at: int) -> int:
        return struct.unpack_from("<" + kind, self.content, at)[0]

    def field(self, index: int) -> int | None:
        """Say where a field lies."""
        fields = self.start - self.number("i", self.start)
        if 4 + 2 * index >= self.number("H", fields):
            return None
        offset = self.number("H", fields + 4 + 2 * index)
        return self.start + offset if offset else None

    def scalar(self, index: int, kind: str) -> int:
        at = self.field(index)
        return 0 if at is None else self.number(kind, at)

    def vector(self, index: int) -> tuple[int, int]:
        """Say where a vector's items start and how many there are."""
        at = self.field(index)
        if at is None:
            return 0, 0
        at += self.number("I", at)
        return at + 4, self.number("I", at)

    def array(self, index: int, kind: str) -> np.ndarray:
        at, count = self.vector(index)
        return np.frombuffer(self.content, kind, count, at)

    def tables(self, index: int) -> list[Table]:
        at, count = self.vector(index)
        return [Table(self.content, place + self.number("I", place)) for place in range(at, at + 4 * count, 4)]


def operators_of(graph: Table, codes: list[int]) -> list[Operator]:
    return [
        Operator(
            codes[operator.scalar(OPERATOR_CODE, "I")],
            operator.array(OPERATOR_INPUTS, "<i4").tolist(),
            operator.array(OPERATOR_OUTPUTS, "<i4").tolist(),
        )
        for operator in graph.tables(GRAPH_OPERATORS)
    ]


def constants_of(graph: Table, buffers: list[Table]) -> dict[int, np.ndarray]:
    constants = {}
    for index, tensor in enumerate(graph.tables(GRAPH_TENSORS)):
        data = buffers[tensor.scalar(TENSOR_BUFFER, "I")].array(0, "u1")
        if len(data) and tensor.scalar(TENSOR_TYPE, "b") == FLOAT32:
            constants[index] = data.view("<f4").reshape(tensor.array(TENSOR_SHAPE, "<i4"))
        if len(data) and tensor.scalar(TENSOR_TYPE, "b") == INT8:
            constants[index] = restored(tensor, data.view("i1").reshape(tensor.array(TENSOR_SHAPE, "<i4")))
    return constants


def restored(tensor: Table, values: np.ndarray) -> np.ndarray:
    """Return whole numbers times their scale, one for all or one per entry of an axis; weights have no zero point."""
    at = tensor.field(TENSOR_QUANTISATION)
    kept = Table(tensor.content, at + tensor.number("I", at))
    scales, axis = kept.array(SCALES, "<f4"), kept.scalar(AXIS, "i")
    sizes = [len(scales) if place == axis and len(scales) > 1 else 1 for place in range(values.ndim)]
    return values.astype(np.float32) * scales.reshape(sizes)


def read_tflite(path: Path) -> Graph:
    """Read the first graph of a file."""
    content = path.read_bytes()
    if content[4:8] != b"TFL3":
        raise ValueError(f"{path} is not a TensorFlow Lite file: bytes 4 to 8 are not TFL3.")
    model = Table(content, struct.unpack_from("<I", content)[0])
    codes = [max(code.scalar(CODE_OLD, "b"), code.scalar(CODE_NEW, "i")) for code in model.tables(MODEL_CODES)]
    graph = model.tables(MODEL_GRAPHS)[0]
    return Graph(
        graph.array(GRAPH_INPUTS, "<i4").tolist(),
        graph.array(GRAPH_OUTPUTS, "<i4").tolist(),
        operators_of(graph, codes),
        constants_of(graph, model.tables(MODEL_BUFFERS)),
    )
