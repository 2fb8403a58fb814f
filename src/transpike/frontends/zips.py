"""ZIP files of others: names, sizes and kinds of their members are checked before one is read."""

from __future__ import annotations

import zipfile
from pathlib import Path

from transpike.errors import ArchiveError
from transpike.files import read_bytes

RATIO, LARGEST = 100, 2**34  # of the whole, unpacked over packed; bytes


def members(path: Path, what: str) -> dict[str, int]:
    """Return the sizes of the members of a ZIP file by name; raises ArchiveError if they could not be meant."""
    read_bytes(path, what)
    try:
        with zipfile.ZipFile(path) as file:
            infos = file.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ArchiveError(f"{path} is damaged or no {what}: it is no ZIP file that can be read ({error}).") from None
    names = [info.filename for info in infos]
    if len(set(names)) != len(names):
        raise ArchiveError(f"{path} is refused: it holds two members of one name, so readers could see different files.")
    escaping = [name for name in names if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/")]
    if escaping:
        raise ArchiveError(f"{path} is refused: its member {escaping[0]!r} would lie outside of it.")
    size = sum(info.file_size for info in infos)
    if size > LARGEST or size > RATIO * max(path.stat().st_size, 1):
        raise ArchiveError(f"{path} is refused: its {path.stat().st_size} bytes claim to unpack to {size}.")
    return {info.filename: info.file_size for info in infos}


def member(path: Path, name: str) -> bytes:
    """Return one member of a ZIP file; raises ArchiveError if it is damaged."""
    try:
        with zipfile.ZipFile(path) as file:
            return file.read(name)
    except (zipfile.BadZipFile, KeyError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise ArchiveError(f"{path} is damaged: its member {name!r} cannot be read ({error}).") from None
