"""A spiking network as the kernels hold it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from ctypes import byref, c_double
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.neurons import IntegerIntegrateAndFire, Neuron, Ternary, Wrapping
from transpike.parts import Decoder
from transpike.simulation.engines.event.kernels import Library, Request, address, pointers, whole_numbers
from transpike.simulation.engines.event.linear import Kernel
from transpike.simulation.engines.event.lowering import Stage

FIRE, TERNARY, READ_OUT = 0, 1, 2
EVENT, DENSE, COLUMNS, TABLES, PIXELS = KERNELS = (0, 1, 2, 3, 4)
NAMES = {EVENT: "event", DENSE: "dense", COLUMNS: "columns", TABLES: "tables", PIXELS: "pixels"}


@dataclass(frozen=True)
class Plan:
    """What the kernels need to know of a network: its stages, and their currents where these do not change with the sample.

    `settled` are currents [channels] that are the same at all places, None for 0; `constants` [1, height, width, channels]
    those that are not.
    """

    stages: tuple[Stage, ...]
    settled: Mapping[str, Tensor | None]
    constants: Mapping[str, Tensor]


class Compiled:
    """A plan in the memory of the kernels, freed with this object."""

    def __init__(self, library: Library, plan: Plan, traced: Sequence[str], *, exits: bool = False) -> None:
        self.library, self.plan = library, plan
        self.handle = allocated(library.new())
        weakref.finalize(self, library.delete, self.handle)
        self.lock = threading.Lock()
        self.kernels = [EVENT] * len(plan.stages)
        self.measured = False
        if exits:
            library.keep(self.handle)
        numbers = {stage.name: number for number, stage in enumerate(plan.stages)}
        for stage in plan.stages:
            self.add(stage, traced=stage.name in traced)
            if stage.name in plan.settled:
                self.library.settle(self.handle, numbers[stage.name], address(plan.settled[stage.name]))
            for source, kernel in stage.terms:
                self.connect(numbers[stage.name], numbers[source], kernel)
        self.lay_out(self.kernels)

    def add(self, stage: Stage, *, traced: bool) -> None:
        """Add a stage."""
        op = stage.op
        shape = whole_numbers([*stage.shape, *stage.pool])
        unit = float(stage.unit)
        if isinstance(op, Decoder):
            kept: list[Tensor | None] = [None, None, None, None]
            result = self.library.stage(self.handle, READ_OUT, shape, unit, 0, None, 0, 0, None, None, None, 0)
        else:
            signed = isinstance(op, Ternary)
            threshold = stage.spread(op.threshold)
            table = None if op.bias is None or len(op.bias) == 1 else stage.channel_rows(op.bias)
            returns = threshold * op.retract if isinstance(op, Ternary) else None
            kept = [table, stage.spread(op.first_potential()), threshold, returns]
            addresses = [address(tensor) for tensor in kept]
            forgives = int(isinstance(op, Ternary) and op.forgives_debt)
            rows = 1 if table is None else len(table)
            kind = TERNARY if signed else FIRE
            result = self.library.stage(
                self.handle, kind, shape, unit, rows, addresses[0], op.delay, forgives, *addresses[1:], int(traced)
            )
        allocated(result + 1)
        if isinstance(op, IntegerIntegrateAndFire):
            self.library.limit(self.handle, result, op.bits, int(isinstance(op, Wrapping)))

    def connect(self, stage: int, source: int, kernel: Kernel) -> None:
        """Let a stage listen to an earlier one."""
        geometry = whole_numbers([*kernel.weight.shape[-2:], *kernel.stride, *kernel.offset])
        weight = kernel.weight.float().contiguous()
        result = self.library.source(self.handle, stage, source, geometry, int(kernel.diagonal), weight.data_ptr())
        allocated(result + 1)

    def lay_out(self, kernels: Sequence[int]) -> None:
        """Choose the kernel of each stage."""
        self.kernels = list(kernels)
        with self.lock:
            allocated(self.library.lay_out(self.handle, whole_numbers(self.kernels)) + 1)

    def possible(self, kernel: int) -> list[int]:
        """Return the kernels with `kernel` wherever it can be, the event kernel elsewhere."""
        library = self.library
        checks = {
            DENSE: library.can_be_dense,
            COLUMNS: library.can_be_columns,
            TABLES: library.can_be_tables,
            PIXELS: library.can_be_pixels,
        }
        can = checks.get(kernel, lambda _, __: True)
        return [kernel if can(self.handle, i) else EVENT for i in range(len(self.kernels))]

    def run(self, run: Run, *, timed: bool = False) -> list[float]:
        """Run samples; return the seconds that each stage took, if `timed` (on one thread)."""
        seconds = (c_double * len(self.kernels))()
        with self.lock:  # the buffers of the kernels serve one run at a time
            allocated(self.library.run(self.handle, byref(run.request), seconds if timed else None) + 1)
        return list(seconds)


@dataclass(frozen=True)
class Exits:
    """The read-out, by its number, that ends a sample, after which delay and at which lead: see `EarlyExit`."""

    stage: int
    delay: int
    margin: float


class Run:
    """What one run reads and writes; the tensors live as long as this object."""

    def __init__(
        self,
        plan: Plan,
        currents: Mapping[str, Tensor],
        samples: int,
        steps: int,
        checkpoints: Sequence[int],
        traced: Sequence[str],
        threads: int,
        exits: Exits | None = None,
    ) -> None:
        stages = plan.stages
        made = torch.empty if exits is None else torch.zeros  # what comes after an exit stays as it is
        self.currents = [currents.get(stage.name) for stage in stages]
        self.counts = {s.name: filled((len(checkpoints), samples), s, torch.float32) for s in stages if is_neuron(s)}
        self.nets = {s.name: filled((samples,), s, torch.float32) for s in stages if isinstance(s.op, Ternary)}
        self.trains = {s.name: filled((steps, samples), s, torch.uint8, made) for s in stages if s.name in traced}
        self.answers = {s.name: filled((steps, samples), s, torch.float32, made) for s in stages if not is_neuron(s)}
        self.arrays = [
            pointers(self.currents),
            whole_numbers([0 if current is None else len(current) for current in self.currents]),
            whole_numbers(checkpoints),
            *[pointers([kept.get(s.name) for s in stages]) for kept in (self.answers, self.counts, self.nets, self.trains)],
        ]
        currents_, rows, steps_, answers, counts, nets, trains = self.arrays
        exit_ = (-1, 0, 0.0) if exits is None else (exits.stage, exits.delay, exits.margin)
        self.request = Request(
            samples, steps, currents_, rows, answers, len(checkpoints), steps_, counts, nets, trains, threads, *exit_
        )


def is_neuron(stage: Stage) -> bool:
    """Whether a stage fires; else it is read out."""
    return isinstance(stage.op, Neuron)


def filled(first: tuple[int, ...], stage: Stage, dtype: torch.dtype, made: Callable[..., Tensor] = torch.empty) -> Tensor:
    """Return room for values [..., height, width, channels] of a stage."""
    channels, height, width = stage.shape
    return made((*first, height, width, channels), dtype=dtype)


def allocated(result: int | None) -> int:
    """Return what a C function returned; raise MemoryError if it says that there was no memory."""
    if not result:
        raise MemoryError("The event engine found no memory for this network: use engine='layerwise'.")
    return result
