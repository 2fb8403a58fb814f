"""Models that Python code builds: a factory, or a module, in a package or a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from torch import nn
from torch.export import ExportedProgram

from transpike.capture import as_module
from transpike.errors import ArgumentError
from transpike.factories import find_factory
from transpike.frontends.base import Form, LoadedModel
from transpike.frontends.keras import fill_keras
from transpike.frontends.weights import fill, read_weights

PATTERN = "package.module:factory or path/to/file.py:factory"


def load(spec: str, weights: str | None = None) -> LoadedModel:
    """Return the model that a factory gives, in evaluation mode, with `weights` loaded.

    `spec` is `package.module:factory` or `path/to/file.py:factory`; the factory is called without arguments, or is a
    model itself: a torch.nn.Module, a program of torch.export, or a model of Keras. `weights` is a state dict in
    `.safetensors`, or in a PyTorch file, read with weights_only=True; for a model of Keras it is `.weights.h5`.
    Raises ArgumentError or ArchiveError.
    """
    module_name, colon, attribute = spec.rpartition(":")
    if not colon or not module_name or not attribute:
        raise ArgumentError(f"Model {spec!r} must be {PATTERN}.")
    factory = find_factory(module_name, attribute)
    model = factory if isinstance(factory, nn.Module | ExportedProgram) or is_keras(factory) else build(factory, spec)
    if is_keras(model):
        if weights is not None:
            fill_keras(model, weights)
        return LoadedModel(as_module(model), "Python, Keras")
    if isinstance(model, ExportedProgram):
        model = as_module(model)
    if not isinstance(model, nn.Module):
        raise ArgumentError(f"{spec} gave a {type(model).__name__}, not a torch.nn.Module.")
    if weights is not None:
        fill(model, read_weights(Path(weights)), weights)
    return LoadedModel(model.eval(), "Python")


def is_keras(model: Any) -> bool:
    """Whether a value is a model of Keras, which must have been imported then."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(model, keras.Model)


def build(factory: Any, spec: str) -> Any:
    """Call a factory without arguments."""
    try:
        return factory()
    except TypeError as error:
        raise ArgumentError(f"{spec} must be callable without arguments: {error}. Write a small factory.") from error


FORM = Form(PATTERN, lambda spec: ":" in spec or spec.endswith(".py"), load)
