"""Counting spikes in the messages of windows, compiled by numba: of each neuron, or of all neurons of a sample."""

from __future__ import annotations

from typing import Any

import numpy as np

from transpike.compiled import Floats, compiled, ones_of


@compiled
def digits(number: Any, signed: bool, drop: int) -> Any:
    """Return how many digits of a whole number are not 0, binary or in non-adjacent form, less the `drop` last ones."""
    whole = np.int32(number)
    if signed:
        whole = np.int32((whole ^ np.int32(whole + whole + whole)) >> 1)
    return np.int32(ones_of(np.int32(whole >> drop)))


@compiled
def ones(numbers: Floats, signed: bool, drop: int, count: Floats, begin: int, end: int) -> None:
    """Count the digits of whole numbers."""
    for i in range(begin, end):
        count[i] = digits(numbers[i], signed, drop)


@compiled
def sum_of_ones(numbers: Floats, signed: bool, drop: int) -> Any:
    """Return the sum of what `ones` counts."""
    total = np.int32(0)
    for i in range(numbers.shape[0]):
        total = np.int32(total + digits(numbers[i], signed, drop))
    return total


@compiled
def ones_of_samples(numbers: Floats, signed: bool, drop: int, size: int, sums: Any, begin: int, end: int) -> None:
    """Write it for the `size` numbers of each sample."""
    for sample in range(begin, end):
        sums[sample] = sum_of_ones(numbers[sample * size : (sample + 1) * size], signed, drop)


@compiled
def number_reaching(values: Floats, least: Any) -> Any:
    """Return how many values are at least so large."""
    total = np.int32(0)
    for i in range(values.shape[0]):
        total = np.int32(total + np.int32(values[i] >= least))
    return total


@compiled
def reaching(values: Floats, least: float, size: int, sums: Any, begin: int, end: int) -> None:
    """Write it for the `size` values of each sample."""
    bound = values.dtype.type(least)
    for sample in range(begin, end):
        sums[sample] = number_reaching(values[sample * size : (sample + 1) * size], bound)
