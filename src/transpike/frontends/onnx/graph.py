"""An ONNX graph as values: nodes, constants and what enters and leaves, without anything of the file format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from transpike.errors import CaptureError

ONNX, LEARNING = "", "ai.onnx.ml"


@dataclass(frozen=True, eq=False)
class OnnxNode:
    """One call of an operator: names of its inputs ("" where one is left out) and outputs, and its attributes.

    `constants` holds the inputs that are known, by place; `fixed` is the shape of the first input where the file fixes the
    size of the batch, which is `batch` then.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    opset: int
    domain: str = ONNX
    constants: Mapping[int, np.ndarray] = field(default_factory=dict)
    fixed: tuple[int, ...] | None = None
    batch: int = 1

    def get(self, attribute: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.attributes.get(attribute, default)

    def constant(self, place: int, what: str) -> np.ndarray | None:
        """Return an input that has to be known before the run; None where it is left out."""
        if place >= len(self.inputs) or not self.inputs[place]:
            return None
        if place not in self.constants:
            raise self.refusal(f"its {what} depends on the input of the model", f"Fix its {what} before the export.")
        return self.constants[place]

    def known(self, place: int, what: str) -> list[Any]:
        """Return an input that has to be known as a flat list of numbers; empty where it is left out."""
        value = self.constant(place, what)
        return [] if value is None else value.reshape(-1).tolist()

    def setting(self, attribute: str, place: int, default: Any = None) -> Any:
        """Return what older operator sets have as an attribute and newer ones as an input, as plain values."""
        if attribute in self.attributes:
            return self.attributes[attribute]
        value = self.constant(place, attribute)
        return default if value is None else value.tolist()

    def refusal(self, reason: str, advice: str = "") -> CaptureError:
        """Return the error that names this node, its operator and the reason."""
        kind = f"{self.domain}.{self.op}" if self.domain else self.op
        tail = f" {advice}" if advice else ""
        return CaptureError(
            f"ONNX node {self.name!r} of type {kind} (operator set {self.opset}) cannot be read: {reason}.{tail}"
        )


@dataclass(frozen=True, eq=False)
class OnnxGraph:
    """The graph of a file: inputs and outputs by name, nodes in order, constants by name, and perhaps names of classes.

    `shapes` are those of the inputs where the file fixes the size of the batch, else empty.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, np.ndarray]
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)  # the numbers of inputs, as PyTorch names them
