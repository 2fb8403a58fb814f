"""Reading and writing files so that nothing half-written stays behind and nothing foreign is executed."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from transpike.errors import ArchiveError


def current_umask() -> int:
    """Return the permissions that new files shall not have; Python can read it only by setting it."""
    umask = os.umask(0o022)
    os.umask(umask)
    return umask


UMASK = current_umask()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: to a neighbour first, then renamed into place."""
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~UMASK)
        Path(temporary).replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ArchiveError(f"Cannot write {path}: {reason}. Nothing was left behind; free space or choose a place.") from None
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def write_text(path: Path, content: str) -> None:
    """Write text whole or not at all."""
    write_bytes(path, content.encode())


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors, whole or not at all."""
    write_bytes(
        path, safetensors.torch.save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()})
    )


def read_bytes(path: Path, what: str) -> bytes:
    """Return the content of a file; raises ArchiveError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArchiveError(f"Cannot read the {what} {path}: {error.strerror or error}.") from None


def read_json(path: Path, what: str) -> dict[str, Any]:
    """Return the object in a JSON file; raises ArchiveError if it is not one."""
    try:
        value = json.loads(read_bytes(path, what).decode())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ArchiveError(f"The {what} {path} is damaged: it is not JSON ({error}).") from None
    if not isinstance(value, dict):
        raise ArchiveError(f"The {what} {path} is damaged: it holds no JSON object.")
    return value


def read_tensors(path: Path, what: str) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file; raises ArchiveError if it is damaged."""
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(read_bytes(path, what))
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise ArchiveError(f"The {what} {path} is damaged or not safetensors ({error}).") from None
    return tensors
