"""Loops over values that numba compiles, on as many threads as torch has."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import numba
import numpy.typing as npt
import torch
from numba import types
from numba.extending import intrinsic
from torch import Tensor

Floats = npt.NDArray[Any]
PIECE = 1 << 18  # updates that are worth a thread


def compiled(function: Callable[..., None]) -> Callable[..., None]:
    """Return a function that numba compiles at its first call, kept on disk where there is a place for it.

    Sums and products stay what they say: numba contracts and reorders nothing unless it is told to. Quotients are not checked
    for zeros, which would keep the processor from taking several at once.
    """
    try:
        return numba.njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError:  # no folder can be written to
        return numba.njit(nogil=True, error_model="numpy")(function)


@intrinsic
def bits_of(context: Any, x: Any) -> Any:  # noqa: ARG001 - the signature of numba
    """Return the bits of a float in compiled loops, as a whole number of its size."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.bitcast(given[0], context.get_value_type(signature.return_type))

    return {types.float32: types.int32, types.float64: types.int64}[x](x), generate


@intrinsic
def float_of(context: Any, bits: Any, like: Any) -> Any:  # noqa: ARG001
    """Return the float, of the size of `like`, that has these bits, the lowest of a whole number."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        whole = context.get_value_type({types.float32: types.int32, types.float64: types.int64}[like])
        low = builder.trunc(given[0], whole) if given[0].type.width > whole.width else given[0]
        return builder.bitcast(low, context.get_value_type(signature.return_type))

    return like(bits, like), generate


def in_pieces(step: Callable[..., None], given: tuple[Any, ...], neurons: int, steps: int) -> None:
    """Step all neurons, on as many threads as torch has and the work is worth."""
    pieces = max(1, min(torch.get_num_threads(), neurons * steps // PIECE))
    bounds = [neurons * piece // pieces for piece in range(pieces + 1)]
    if pieces == 1:
        step(*given, 0, neurons)
        return
    waiting = [threads(pieces).submit(step, *given, begin, end) for begin, end in pairwise(bounds)]
    for piece in waiting:
        piece.result()


def array(tensor: Tensor | None) -> Floats | None:
    """Return the same memory as an array."""
    return None if tensor is None else tensor.numpy()


@cache
def threads(number: int) -> ThreadPoolExecutor:
    """Return threads that wait for pieces; the compiled loops run without the interpreter's lock."""
    return ThreadPoolExecutor(number)
