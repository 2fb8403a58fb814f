"""Python objects named by text: an attribute of a module or of a file."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from transpike.errors import ArgumentError


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
