"""Models in `.onnx` files, of PyTorch, TensorFlow, Keras or scikit-learn."""

from __future__ import annotations

from pathlib import Path

from transpike.errors import ArgumentError
from transpike.frontends.base import Form, LoadedModel
from transpike.frontends.onnx.folding import folded
from transpike.frontends.onnx.module import Builder
from transpike.frontends.onnx.patterns import recognised
from transpike.frontends.onnx.reading import read_graph
from transpike.preparation import Preparation


def load(spec: str, weights: str | None = None) -> LoadedModel:
    """Return the model of an ONNX file: operator sets 7 to 25, weights in the file or beside it.

    Each node becomes a module under its own name; what exporters write out (GELU, SiLU, a product and a sum) is one operator
    again, and a batch that the file fixes is opened. Of scikit-learn's files the scores are the answer, and the labels name
    the classes. Raises ArchiveError for files that are damaged or name data outside their folder, CaptureError for what has
    no row.
    """
    if weights is not None:
        raise ArgumentError(f"{spec} holds its weights itself: leave out --weights.")
    graph = recognised(folded(read_graph(Path(spec))))
    return LoadedModel(Builder(graph).build(), "ONNX", Preparation(labels=graph.labels))


FORM = Form("FILE.onnx", lambda spec: spec.endswith(".onnx"), load)
