"""Models and data named by text, as on the command line."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from transpike.analysis import MEASURES, Metric
from transpike.data import Batch
from transpike.errors import ArchiveError, ArgumentError, DataError, choose
from transpike.files import read_bytes, read_tensors
from transpike.preparation import Scaling

INPUT_KEYS = ("images", "inputs", "x", "data")
LABEL_KEYS = ("labels", "label", "y", "targets")
CHECKPOINT_KEYS = ("state_dict", "model_state_dict", "model", "net")


def load_model(spec: str, weights: str | None = None) -> nn.Module:
    """Return the model that `spec` names, in evaluation mode, with `weights` loaded.

    `spec` is `package.module:factory` or `path/to/file.py:factory`; the factory is called without arguments, or is a
    module itself. `weights` is a state dict in `.safetensors`, or in a PyTorch file, read with weights_only=True.
    Raises ArgumentError or ArchiveError.
    """
    module_name, colon, attribute = spec.rpartition(":")
    if not colon or not module_name or not attribute:
        raise ArgumentError(f"Model {spec!r} must be package.module:factory or path/to/file.py:factory.")
    factory = find_factory(module_name, attribute)
    model = factory if isinstance(factory, nn.Module) else build(factory, spec)
    if not isinstance(model, nn.Module):
        raise ArgumentError(f"{spec} gave a {type(model).__name__}, not a torch.nn.Module.")
    if weights is not None:
        fill(model, read_weights(Path(weights)), weights)
    return model.eval()


def load_metric(spec: str) -> Any:
    """Return the metric that `spec` names: one of `MEASURES`, or what a factory gives, `path/to/file.py:factory`.

    A factory that takes no arguments is called; a function of (outputs, targets), or an object with update and compute, is
    the metric itself. Raises ArgumentError.
    """
    module_name, colon, attribute = spec.rpartition(":")
    if not colon:
        return choose("metric", spec, MEASURES)
    found = find_factory(module_name, attribute)
    if isinstance(found, Metric) and not inspect.isclass(found):
        return found
    try:
        inspect.signature(found).bind()
    except TypeError:
        return found
    return found()


def build(factory: Any, spec: str) -> Any:
    """Call a factory without arguments."""
    try:
        return factory()
    except TypeError as error:
        raise ArgumentError(f"{spec} must be callable without arguments: {error}. Write a small factory.") from error


def find_factory(module_name: str, attribute: str) -> Any:
    """Import a module, by name or from a file, and return one of its attributes."""
    try:
        if module_name.endswith(".py"):
            module = import_file(Path(module_name))
        else:
            sys.path.insert(0, str(Path.cwd()))
            module = importlib.import_module(module_name)
    except ImportError as error:
        raise ArgumentError(f"Cannot import {module_name}: {error}. Run where Python finds it, or name the file.") from error
    if not hasattr(module, attribute):
        names = ", ".join(name for name in vars(module) if not name.startswith("_"))
        raise ArgumentError(f"{module_name} has no {attribute!r}. It has: {names}.")
    return getattr(module, attribute)


def import_file(path: Path) -> Any:
    """Import a Python file as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ArgumentError(f"There is no file {path}.")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))  # so that the file can import its neighbours
    spec.loader.exec_module(module)
    return module


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a weight file without running any code in it."""
    if path.suffix == ".safetensors":
        return read_tensors(path, "weight file")
    read_bytes(path, "weight file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ArchiveError(
            f"{path} holds more than tensors: loading it could run code, so it is refused. "
            "Save the state dict alone: torch.save(model.state_dict(), file)."
        ) from None
    except Exception as error:  # noqa: BLE001 - a damaged file fails in many ways
        raise ArchiveError(f"{path} is damaged or no PyTorch file: {str(error).splitlines()[0]}") from None
    for key in CHECKPOINT_KEYS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ArchiveError(f"{path} holds no state dict: save one with torch.save(model.state_dict(), file).")
    return {name.removeprefix("module."): value for name, value in content.items()}


def fill(model: nn.Module, tensors: dict[str, Tensor], path: str) -> None:
    """Load a state dict, or raise ArchiveError naming the first keys that do not fit."""
    own = model.state_dict()
    missing = [name for name in own if name not in tensors and not name.endswith("num_batches_tracked")]
    surplus = [name for name in tensors if name not in own]
    misshaped = [name for name, value in tensors.items() if name in own and own[name].shape != value.shape]
    for words, names in (("lacks", missing), ("has unknown", surplus), ("has another shape for", misshaped)):
        if names:
            raise ArchiveError(f"{path} does not fit the model: it {words} {names[:3]} ({len(names)} in all).")
    model.load_state_dict(tensors, strict=False)


def load_data(spec: str, split: str, count: int | None = None, scaling: Scaling | None = None) -> Batch:
    """Return the data that `spec` names: "digits" (bundled; split "train" or "test") or an `.npz` file.

    An `.npz` holds `images` or `inputs`, and perhaps `labels`. Images in uint8 [n, height, width(, channels)] become
    floats in 0 .. 1, channels first; floats are taken as they are. `count` keeps the first samples only. Raises DataError.
    """
    batch = digits(split) if spec == "digits" else read_npz(Path(spec))
    if scaling is not None and (scaling.mean or scaling.std):
        batch = Batch(tuple(scaling(x) for x in batch.inputs), batch.labels)
    if count is not None and count < 1:
        raise ArgumentError(f"The number of samples must be at least 1, not {count}.")
    return batch if count is None else batch[:count]


def read_npz(path: Path) -> Batch:
    """Return the samples in a NumPy archive; nothing in it is unpickled."""
    if path.suffix != ".npz":
        raise DataError(f"Data {str(path)!r} must be 'digits' or an .npz file with images or inputs, and labels.")
    read_bytes(path, "data file")
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {key: file[key] for key in (*INPUT_KEYS, *LABEL_KEYS) if key in file.files}
            names = list(file.files)
    except Exception as error:  # noqa: BLE001 - a damaged file fails in many ways
        raise DataError(f"{path} is damaged or holds more than arrays of numbers: {error}") from None
    inputs = next((found[key] for key in INPUT_KEYS if key in found), None)
    labels = next((found[key] for key in LABEL_KEYS if key in found), None)
    if inputs is None:
        raise DataError(f"{path} holds none of {', '.join(INPUT_KEYS)}; it holds {', '.join(names) or 'nothing'}.")
    if labels is not None and len(labels) != len(inputs):
        raise DataError(f"{path} holds {len(inputs)} samples but {len(labels)} labels.")
    return Batch((as_floats(inputs),), None if labels is None else torch.from_numpy(labels))


def as_floats(values: np.ndarray) -> Tensor:
    """Return uint8 images as floats, channels first; other values as they are."""
    tensor = torch.from_numpy(values)
    if tensor.dtype == torch.float16:
        return tensor.float()
    if tensor.dtype != torch.uint8:
        return tensor
    tensor = tensor[..., None] if tensor.ndim == 3 else tensor  # noqa: PLR2004 - [n, height, width]
    scaled = tensor.float() / 255
    return scaled.permute(0, 3, 1, 2).contiguous() if scaled.ndim == 4 else scaled  # noqa: PLR2004 - [n, h, w, channels]


def digits(split: str) -> Batch:
    """Return scikit-learn's bundled handwritten digits [n, 1, 8, 8] in 0 .. 1: 1,437 to train on, 360 to test."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    images = torch.from_numpy(bunch.images).float()[:, None] / 16
    rows = train_test_split(np.arange(len(images)), test_size=360, random_state=0, stratify=bunch.target)
    chosen = np.sort(rows[0] if split == "train" else rows[1])
    return Batch((images[chosen],), torch.from_numpy(bunch.target)[chosen])
