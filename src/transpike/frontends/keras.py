"""Models of Keras 3 in `.keras` files, on the PyTorch backend."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transpike.capture import as_module
from transpike.errors import ArchiveError, ArgumentError, MissingExtraError
from transpike.frontends.base import Form, LoadedModel
from transpike.frontends.zips import member, members

CODE = {
    "Lambda": "holds Python code of its writer",
    "__lambda__": "is Python code of its writer",
    "TorchModuleWrapper": "holds a pickled module",
    "TFSMLayer": "runs a TensorFlow program from another file",
    "JaxLayer": "holds code of JAX",
    "FlaxLayer": "holds code of Flax",
    "StringLookup": "reads words from files",
    "TextVectorization": "reads words from files",
    "IntegerLookup": "reads words from files",
    "HashedCrossing": "needs TensorFlow",
}
PARTS = ("config.json", "metadata.json", "model.weights.h5")


def on_torch() -> Any:
    """Return Keras on the PyTorch backend; raises MissingExtraError if it is absent, ArgumentError on another backend."""
    if "keras" not in sys.modules:
        os.environ.setdefault("KERAS_BACKEND", "torch")
    try:
        import keras
    except ModuleNotFoundError as error:
        missing = "keras" if error.name == "keras" else f"{error.name}, the backend that KERAS_BACKEND names"
        raise MissingExtraError(
            f"Reading models of Keras needs the package {missing}: pip install 'transpike[keras]'."
        ) from None
    backend = keras.backend.backend()
    if backend != "torch":
        raise ArgumentError(f"Keras runs on {backend!r} here: set KERAS_BACKEND=torch in the environment and run again.")
    return keras


def load(spec: str, weights: str | None = None) -> LoadedModel:
    """Return the model of a `.keras` file, loaded in safe mode and without its training.

    Raises ArchiveError for damaged files and for layers that hold code or are of the writer's own; an `.h5` file of old
    versions is refused: its weights alone can be read, with --weights.
    """
    path = Path(spec)
    if path.suffix != ".keras":
        raise ArgumentError(
            f"{spec} is a file of HDF5: models are read from .keras files. Save it with model.save('model.keras'), or name a "
            f"factory that builds the model and its weights with --weights {path.name}."
        )
    inspect_archive(path)
    keras = on_torch()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # noqa: BLE001 - a damaged file fails in many ways
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ArchiveError(f"{path} is damaged or uses what Keras {keras.__version__} does not know: {first}") from None
    if weights is not None:
        fill_keras(model, weights)
    return LoadedModel(as_module(model), "Keras")


def inspect_archive(path: Path) -> None:
    """Raise ArchiveError unless a `.keras` file holds a model made of Keras's own layers, without code."""
    sizes = members(path, ".keras file")
    missing = [name for name in PARTS if name not in sizes]
    if missing:
        raise ArchiveError(f"{path} is damaged or no .keras file: it holds no {missing[0]}.")
    try:
        config = json.loads(member(path, "config.json"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise ArchiveError(f"{path} is damaged: its config.json is not JSON.") from None
    for value in objects(config):
        kind, module = str(value["class_name"]), value.get("module")
        inner = value.get("config")
        name = inner.get("name", kind) if isinstance(inner, dict) else kind
        if kind in CODE:
            raise ArchiveError(
                f"{path} is refused: its layer {name!r} ({kind}) {CODE[kind]}, and code from files is not run. Build the model "
                "without it."
            )
        if module is not None and not str(module).startswith("keras") and module != "builtins":
            raise ArchiveError(
                f"{path} is refused: {name!r} is a {kind} of {module}, a class of the writer's own. Name a Python factory that "
                "builds the model, and its weights with --weights."
            )
        if value.get("registered_name") and ">" in str(value["registered_name"]) and not str(module or "").startswith("keras"):
            raise ArchiveError(
                f"{path} is refused: {name!r} is a class that its writer registered: {value['registered_name']}."
            )


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield each serialised object in nested values."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if "class_name" in item:
                yield item
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item


def fill_keras(model: Any, weights: str) -> None:
    """Load weights of Keras, `.weights.h5` or an older `.h5`, into a model; nothing in them is executed."""
    path = Path(weights)
    if path.suffix != ".h5":
        raise ArgumentError(f"Weights of a Keras model come in .weights.h5 or .h5 files, not {path.suffix!r}.")
    if not path.is_file():
        raise ArchiveError(f"Cannot read the weight file {path}: there is no such file.")
    try:
        model.load_weights(path)
    except Exception as error:  # noqa: BLE001 - a damaged file fails in many ways
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ArchiveError(f"{path} does not fit the model, or is damaged: {first}") from None


FORM = Form("FILE.keras", lambda spec: spec.endswith((".keras", ".h5", ".hdf5")), load)
