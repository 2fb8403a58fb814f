"""Models in other forms than `torch.nn.Module`, as modules that can be captured: programs of torch.export, models of Keras."""

from __future__ import annotations

import copy
import inspect
import re
import sys
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from transpike.capture.call import operator_name
from transpike.errors import ArgumentError


def as_module(model: Any) -> nn.Module:
    """Return a model as a module that can be captured: itself if it is one, else made of its program or of its layers.

    Raises ArgumentError for anything else, and for models of Keras on another backend than PyTorch.
    """
    if isinstance(model, ExportedProgram):
        return program_module(model)
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(model, keras.Model):
        return keras_module(model, str(keras.backend.backend()))
    if not isinstance(model, nn.Module):
        raise ArgumentError(
            f"A model must be a torch.nn.Module, a program of torch.export or a model of Keras, not {type(model).__name__}."
        )
    return model


def named(module: nn.Module, names: list[str]) -> nn.Module:
    """Return a module whose `forward` takes any arguments as one that names its inputs, so that they can be counted."""
    kind = type(module)

    def forward(self: nn.Module, *values: Any) -> Any:
        return kind.forward(self, *values)

    place = inspect.Parameter.POSITIONAL_OR_KEYWORD
    forward.__signature__ = inspect.Signature([inspect.Parameter(name, place) for name in ["self", *names]])  # type: ignore[attr-defined]
    module.__class__ = type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__})
    return module


def program_module(program: ExportedProgram) -> nn.Module:
    """Return the module that a program was exported from, as far as the program knows it: its layers keep their names."""
    specs = program.graph_signature.input_specs
    if any(spec.kind in (InputKind.CUSTOM_OBJ, InputKind.TOKEN) for spec in specs):
        raise ArgumentError("The exported program holds objects or effects of its own: only tensors can be read.")
    inputs = [spec.arg.name for spec in specs if spec.kind == InputKind.USER_INPUT]
    module = torch.export.unflatten(open_batch(program, inputs))
    module.check_input_constraints = False  # the batch may have another size
    for part in module.modules():
        part.training = False
    return named(module, inputs)


def open_batch(program: ExportedProgram, inputs: list[str]) -> ExportedProgram:
    """Return a program for any number of samples; one that was exported for a fixed number gives it up in its reshapes.

    Raises ArgumentError where the number stands in more than reshapes.
    """
    nodes = {node.name: node for node in program.graph.nodes}
    size = nodes[inputs[0]].meta["val"].shape[0] if inputs and isinstance(nodes[inputs[0]].meta["val"], Tensor) else None
    if not isinstance(size, int):
        return program
    program = copy.deepcopy(program)
    for node in program.graph.nodes:
        kind = operator_name(node) if node.op == "call_function" else ""
        source = node.args[0] if node.args and isinstance(node.args[0], fx.Node) else None
        if kind in MAKING or (kind == "expand" and source is not None and source.meta["val"].shape[:1] != (size,)):
            raise ArgumentError(
                f"The program was exported for batches of {size} samples, which its operator {kind!r} has fixed: export it "
                "with dynamic_shapes=({0: torch.export.Dim('batch')},)."
            )
        if kind == "expand" or (kind in RESHAPING and -1 not in node.args[1] and node.args[1][0] % size == 0):
            node.args = (source, [-1, *node.args[1][1:]])
    return program


MAKING = ("zeros", "ones", "full", "empty", "new_zeros", "new_ones", "new_full", "lstm", "gru", "rnn_tanh", "rnn_relu")
RESHAPING = ("view", "reshape", "_unsafe_view")


class KerasLayers(nn.Module):
    """A model of Keras, its layers under their own names; it computes what the model does when it is not trained."""

    def __init__(self, model: Any) -> None:
        """Take the model and register its layers, so that places in it can be named."""
        super().__init__()
        layers = model._flatten_layers(include_self=False, recursive=True)  # noqa: SLF001 - `layers` lacks the nested ones
        for layer in layers:
            name = re.sub(r"\W", "_", layer.name)
            if not hasattr(self, name):
                self.add_module(name, layer)
        self.keras = (model,)  # in a tuple, so that it is no layer of itself

    def forward(self, *inputs: Any) -> Any:
        """Return the outputs of the model."""
        return self.keras[0](inputs[0] if len(inputs) == 1 else list(inputs), training=False)


def keras_module(model: Any, backend: str) -> nn.Module:
    """Return a Keras model as a module whose `forward` names the model's inputs."""
    if backend != "torch":
        raise ArgumentError(
            f"Keras runs on {backend!r} here: set KERAS_BACKEND=torch in the environment before keras is imported, and load "
            "the model again."
        )
    if not model.built or not model.inputs:
        raise ArgumentError(f"The Keras model {model.name!r} does not know its inputs: give it a keras.Input, or build it.")
    names = [re.sub(r"\W", "_", str(getattr(each, "_keras_history", each)[0].name)) for each in model.inputs]
    return named(KerasLayers(model), names).eval()
