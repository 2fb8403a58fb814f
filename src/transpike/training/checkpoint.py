"""A run on disk after each epoch, whole or not at all: JSON that names a safetensors file. Nothing is pickled."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from transpike.errors import ArchiveError, ArgumentError
from transpike.files import read_bytes, read_json, read_tensors, write_tensors, write_text
from transpike.training.settings import Epoch, Settings

FORMAT = 1
MOMENTUM = "momentum_buffer"


@dataclass(frozen=True)
class Checkpoint:
    """A folder that holds the state of a run after its last complete epoch."""

    folder: Path
    teacher: nn.Module | None = None

    @property
    def index(self) -> Path:
        """The JSON file, which is written last."""
        return self.folder / "checkpoint.json"

    def save(self, model: nn.Module, optimiser: torch.optim.Optimizer, settings: Settings, history: tuple[Epoch, ...]) -> None:
        """Write weights, momentum, random numbers and history. Raises ArchiveError; then the last checkpoint still stands."""
        tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
        for name, weight in model.named_parameters():
            if MOMENTUM in optimiser.state[weight]:
                tensors[f"momentum/{name}"] = optimiser.state[weight][MOMENTUM]
        tensors |= random_state()
        file = self.folder / f"epoch-{len(history):04}.safetensors"
        write_tensors(file, tensors)
        content = {
            "format": FORMAT,
            "tensors": file.name,
            "tensors_sha256": digest(file),
            "settings": dataclasses.asdict(settings),
            "teacher_sha256": fingerprint(self.teacher),
            "history": [dataclasses.asdict(epoch) for epoch in history],
        }
        write_text(self.index, json.dumps(content, indent=1))
        for old in self.folder.glob("epoch-*.safetensors"):
            if old != file:
                old.unlink(missing_ok=True)

    def load(self, model: nn.Module, optimiser: torch.optim.Optimizer, settings: Settings) -> tuple[Epoch, ...]:
        """Fill `model`, `optimiser` and torch's random numbers from the folder; return the history, empty if there is none.

        Raises ArgumentError if the run had other settings or another teacher, ArchiveError if files are damaged or of another
        model.
        """
        if not self.index.is_file():
            return ()
        content = read_json(self.index, "checkpoint")
        if not isinstance(content.get("format"), int) or content["format"] > FORMAT:
            raise ArchiveError(f"{self.index} was written by a newer Transpike: update it with pip install -U transpike.")
        try:
            check_settings(content["settings"], settings, self.folder)
            if content.get("teacher_sha256") != fingerprint(self.teacher):
                raise ArgumentError(f"{self.folder} holds a run with another teacher: give that one, or another folder.")
            history = tuple(Epoch(**values) for values in content["history"])
            file = self.folder / Path(content["tensors"]).name
            if digest(file) != content["tensors_sha256"]:
                raise ArchiveError(f"{file} is not the file that was saved with {self.index.name}: it is truncated or edited.")
        except (KeyError, TypeError) as error:
            raise ArchiveError(f"{self.index} is damaged or was edited: {type(error).__name__} {error}.") from None
        fill(model, optimiser, read_tensors(file, "checkpoint"), self.folder)
        return history


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(read_bytes(path, "checkpoint")).hexdigest()


def fingerprint(model: nn.Module | None) -> str | None:
    """Return the SHA-256 of the weights and buffers of a model, None for none."""
    if model is None:
        return None
    sha = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        sha.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return sha.hexdigest()


def check_settings(saved: dict[str, Any], settings: Settings, folder: Path) -> None:
    """Raise ArgumentError naming the first setting that differs from that of the saved run."""
    saved = dataclasses.asdict(Settings()) | saved  # of a time with fewer settings
    saved["time_steps"] = tuple(saved["time_steps"])  # JSON has lists only
    for name, value in dataclasses.asdict(settings).items():
        if saved[name] != value:
            raise ArgumentError(
                f"{folder} holds a run with {name}={saved[name]!r}, not {value!r}: a run goes on with its own settings only. "
                "Give those, or another folder."
            )


def fill(model: nn.Module, optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor], folder: Path) -> None:
    """Put saved tensors where they belong; raise ArchiveError if they are another model's."""
    weights = {name.removeprefix("model/"): value for name, value in tensors.items() if name.startswith("model/")}
    own = model.state_dict()
    strange = [name for name in {**own, **weights} if shape(own.get(name)) != shape(weights.get(name))]
    if strange:
        raise ArchiveError(f"{folder} holds a run of another model: {strange[0]!r} is missing in one, or has another shape.")
    model.load_state_dict(weights)
    for name, weight in model.named_parameters():
        if f"momentum/{name}" in tensors:
            optimiser.state[weight][MOMENTUM] = tensors[f"momentum/{name}"].to(weight.device)
    torch.set_rng_state(tensors["random/cpu"])
    if "random/cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random/cuda"])


def shape(tensor: Tensor | None) -> torch.Size | None:
    """Return the shape of a tensor, None for none."""
    return None if tensor is None else tensor.shape


def random_state() -> dict[str, Tensor]:
    """Return the state of torch's random numbers."""
    state = {"random/cpu": torch.get_rng_state()}
    return state | {"random/cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else state
