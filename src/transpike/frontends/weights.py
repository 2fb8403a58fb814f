"""Weights in files of their own, read without running any code in them."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import Tensor, nn

from transpike.errors import ArchiveError
from transpike.files import read_bytes, read_tensors

CHECKPOINT_KEYS = ("state_dict", "model_state_dict", "model", "net")


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
