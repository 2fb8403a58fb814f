"""Keep a half-done evaluation on disk, so that it goes on where it stopped."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import torch
from torch import Tensor

from transpike.analysis.tally import Tally
from transpike.errors import ArchiveError
from transpike.files import read_tensors, write_tensors
from transpike.network import Network
from transpike.parts import Op

FILE = "progress.safetensors"
FORMAT = 2  # of the names in a tally


def fingerprint(network: Network, time_steps: int, *, diagnosed: bool = False) -> str:
    """Return a digest of everything about a run but its data; whether it is diagnosed decides what its tally holds."""
    digest = hashlib.sha256(f"{FORMAT} {time_steps} {diagnosed} {network.method} {network.describe()}".encode())
    for node in network.nodes.values():
        digest.update(repr(settings(node.op)).encode())
        for name, tensor in node.op.tensors():
            digest.update(f"{node.name}.{name}".encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def settings(op: Op) -> list[tuple[str, object]]:
    """Return the fields of an op that are no tensors, those of nested ops too."""
    found: list[tuple[str, object]] = []
    for field in dataclasses.fields(op):
        value = getattr(op, field.name)
        if not isinstance(value, Tensor):
            found.append((field.name, settings(value) if isinstance(value, Op) else value))
    return found


class Progress:
    """The tally of a run after its last finished block, in a folder; `data` digests the samples that are done."""

    def __init__(self, folder: Path | None, key: str) -> None:
        self.path = None if folder is None else folder / FILE
        self.key = key
        self.data = hashlib.sha256()

    def digest(self, inputs: list[Tensor]) -> None:
        """Take note of samples that were done."""
        for tensor in inputs:
            self.data.update(tensor.detach().cpu().contiguous().numpy().tobytes())

    def save(self, tally: Tally) -> None:
        """Write the tally."""
        if self.path is not None:
            marks = {"key": text_tensor(self.key), "data": text_tensor(self.data.hexdigest())}
            count = torch.tensor(tally.samples)
            write_tensors(self.path, {**{f"sum:{k}": v for k, v in tally.sums.items()}, **marks, "samples": count})

    def load(self) -> tuple[Tally, str]:
        """Return the tally of an earlier run and the digest of its samples; an empty one if there is none.

        Raises ArchiveError if the file is damaged or belongs to another network or number of steps.
        """
        if self.path is None or not self.path.exists():
            return Tally(), ""
        tensors = read_tensors(self.path, "progress file")
        try:
            key, data, samples = tensors.pop("key"), tensors.pop("data"), int(tensors.pop("samples"))
        except KeyError:
            raise ArchiveError(f"{self.path} is no progress file: delete it to start anew.") from None
        if tensor_text(key) != self.key:
            raise ArchiveError(
                f"{self.path} belongs to another network or another number of time steps: "
                "start anew without resuming, or in another folder."
            )
        return Tally(samples, {name.removeprefix("sum:"): value for name, value in tensors.items()}), tensor_text(data)

    def check(self, expected: str) -> None:
        """Raise ArchiveError unless the samples skipped are those of the earlier run."""
        if self.data.hexdigest() != expected:
            raise ArchiveError(f"The samples differ from those that {self.path} was made with: start anew without resuming.")

    def clear(self) -> None:
        """Remove the file: the run is complete."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def text_tensor(text: str) -> Tensor:
    """Return text as bytes in a tensor."""
    return torch.tensor(list(text.encode()), dtype=torch.uint8)


def tensor_text(tensor: Tensor) -> str:
    """Return the text in a tensor of bytes."""
    return bytes(tensor.tolist()).decode()
