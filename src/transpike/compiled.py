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
from numba.core.typing import signature
from numba.extending import intrinsic
from torch import Tensor

Floats = npt.NDArray[Any]
PIECE = 1 << 18  # updates that are worth a thread
WHOLE = {types.float32: types.int32, types.float64: types.int64}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that numba compiles at its first call, kept on disk where there is a place for it.

    Sums and products stay what they say: numba contracts and reorders nothing unless it is told to. Quotients are not checked
    for zeros, which would keep the processor from taking several at once.
    """
    try:
        return numba.njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError:  # no folder can be written to
        return numba.njit(nogil=True, error_model="numpy")(function)


def typed_bits(context: Any, x: Any) -> Any:  # noqa: ARG001 - the signature of numba
    """Type and generate `bits_of`."""

    def generate(context: Any, builder: Any, call: Any, given: Any) -> Any:
        return builder.bitcast(given[0], context.get_value_type(call.return_type))

    return signature(WHOLE[x], x), generate


def typed_float(context: Any, bits: Any, like: Any) -> Any:  # noqa: ARG001
    """Type and generate `float_of`."""

    def generate(context: Any, builder: Any, call: Any, given: Any) -> Any:
        whole = context.get_value_type(WHOLE[like])
        low = builder.trunc(given[0], whole) if given[0].type.width > whole.width else given[0]
        return builder.bitcast(low, context.get_value_type(call.return_type))

    return signature(like, bits, like), generate


def typed_ones(context: Any, bits: Any) -> Any:  # noqa: ARG001
    """Type and generate `ones_of`."""

    def generate(context: Any, builder: Any, call: Any, given: Any) -> Any:  # noqa: ARG001
        return builder.ctpop(given[0])

    return signature(bits, bits), generate


bits_of: Any = intrinsic(typed_bits)  # in compiled loops: the bits of a float, as a whole number of its size
ones_of: Any = intrinsic(typed_ones)  # how many bits of a whole number are 1
float_of: Any = intrinsic(typed_float)  # the float, of the size of a second one, that has the lowest bits of a whole number


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
