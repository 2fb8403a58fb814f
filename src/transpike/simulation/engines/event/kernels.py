"""The compiled kernels: found, chosen for this processor, and called."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Sequence
from ctypes import POINTER, c_double, c_int, c_void_p
from pathlib import Path
from typing import Any

from torch import Tensor

FOLDER = Path(__file__).parent / "native"
BUILDS = ("amx", "avx512", "avx2", "portable")  # the faster before the slower
NEEDS = {"amx": 2, "avx512": 2, "avx2": 1, "portable": 0}  # bits of `transpike_features`
INTERFACE = 5  # of the functions in `native/engine.cpp`
CHOICE = "TRANSPIKE_KERNELS"  # environment variable that names another build than the best


class Request(ctypes.Structure):
    """What one run is asked for; the fields are those of the structure in `native/program.hpp`."""

    _fields_ = (
        ("samples", c_int),
        ("steps", c_int),
        ("currents", POINTER(c_void_p)),
        ("current_samples", POINTER(c_int)),
        ("answers", POINTER(c_void_p)),
        ("checkpoints", c_int),
        ("checkpoint_steps", POINTER(c_int)),
        ("counts", POINTER(c_void_p)),
        ("nets", POINTER(c_void_p)),
        ("trains", POINTER(c_void_p)),
        ("threads", c_int),
        ("exit_stage", c_int),
        ("exit_delay", c_int),
        ("exit_margin", c_double),
    )


SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "interface": (c_int, []),
    "features": (c_int, []),
    "enable": (c_int, []),
    "dense": (c_int, []),
    "new": (c_void_p, []),
    "delete": (None, [c_void_p]),
    "stage": (
        c_int,
        [c_void_p, c_int, POINTER(c_int), c_double, c_int, c_void_p, c_int, c_int, c_void_p, c_void_p, c_void_p, c_int],
    ),
    "settle": (None, [c_void_p, c_int, c_void_p]),
    "keep": (None, [c_void_p]),
    "limit": (None, [c_void_p, c_int, c_int, c_int]),
    "source": (c_int, [c_void_p, c_int, c_int, POINTER(c_int), c_int, c_void_p]),
    "can_be_dense": (c_int, [c_void_p, c_int]),
    "can_be_columns": (c_int, [c_void_p, c_int]),
    "can_be_tables": (c_int, [c_void_p, c_int]),
    "can_be_pixels": (c_int, [c_void_p, c_int]),
    "lay_out": (c_int, [c_void_p, POINTER(c_int)]),
    "run": (c_int, [c_void_p, POINTER(Request), POINTER(c_double)]),
}


class Library:
    """One build of the kernels; its functions without their prefix."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        loaded = ctypes.CDLL(str(path))
        for function, (result, arguments) in SIGNATURES.items():
            bound = getattr(loaded, f"transpike_{function}")
            bound.restype, bound.argtypes = result, arguments
            setattr(self, function, bound)

    def __getattr__(self, name: str) -> Any:  # only reached for what the library lacks
        raise AttributeError(name)


def path_of(build: str) -> Path:
    """Return where a build lies."""
    return FOLDER / f"kernels_{build}.so"


def opened(build: str) -> Library | None:
    """Return a build, or None if it was not compiled, or not from these sources."""
    try:
        found = Library(build, path_of(build))
    except (OSError, AttributeError):
        return None
    return found if found.interface() == INTERFACE else None


@functools.cache
def builds() -> dict[str, Library]:
    """Return the builds that were compiled and that this processor can run, the fastest first."""
    portable = opened("portable")
    if portable is None:
        return {}
    features = portable.features()
    found = {"portable": portable}
    for build in BUILDS[:-1]:
        other = opened(build) if features & NEEDS[build] else None
        if other is not None and other.enable():
            found[build] = other
    return {build: found[build] for build in BUILDS if build in found}


def library() -> Library | None:
    """Return the fastest build, or the one that the environment variable names; None where nothing was compiled."""
    available = builds()
    wanted = os.environ.get(CHOICE)
    return available.get(wanted) if wanted else next(iter(available.values()), None)


def pointers(tensors: Sequence[Tensor | None]) -> Any:
    """Return an array of the addresses of tensors, null for None."""
    return (c_void_p * len(tensors))(*[None if tensor is None else tensor.data_ptr() for tensor in tensors])


def whole_numbers(values: Sequence[int]) -> Any:
    """Return an array of C integers."""
    return (c_int * max(len(values), 1))(*values)


def address(tensor: Tensor | None) -> int | None:
    """Return where a tensor lies, or None."""
    return None if tensor is None else tensor.data_ptr()
