"""Calibration samples as passes see them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.data import Batch
from transpike.errors import ArgumentError

Watch = Callable[[str, int | None], Callable[[int], None]]  # (what, how many in all) -> advance(by)


def unwatched(what: str, total: int | None) -> Callable[[int], None]:  # noqa: ARG001 - the signature of a watch
    """Watch nothing."""
    return lambda by: None  # noqa: ARG005


@dataclass(frozen=True)
class Samples:
    """Calibration samples, to be read as often as passes need, and the time steps that a network is converted for."""

    batches: Iterable[Batch] = ()
    time_steps: int | None = None
    watch: Watch = unwatched

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches."""
        yield from self.batches

    def steps_for(self, what: str) -> int:
        """Return the time steps; raise ArgumentError naming `what` needs them if none were given."""
        if self.time_steps is None:
            raise ArgumentError(f"{what} fits the network to a number of time steps: give time_steps= to convert.")
        return self.time_steps

    def first(self, count: int) -> tuple[Tensor, ...]:
        """Return the first `count` samples, or all if there are fewer, each input as one tensor [n, ...]."""
        taken: list[Batch] = []
        for batch in self.batches:
            taken.append(batch[: count - sum(map(len, taken))])
            if sum(map(len, taken)) >= count:
                break
        return tuple(torch.cat(parts) for parts in zip(*(batch.inputs for batch in taken), strict=True))
