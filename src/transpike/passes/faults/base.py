"""What faults share: they have a level, are drawn from a seed, and are put on neurons one layer after another."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.calibration import Samples
from transpike.errors import ArgumentError, ConversionError
from transpike.network import Network, Node, shapes
from transpike.network.grammar import check_spiking, place
from transpike.neurons import DIFFERENTIAL, Fault, FaultyNeuron, Neuron, Population, with_fault
from transpike.parts import Finding, Op

Change = Callable[[Node, Neuron, tuple[int, ...], int], Neuron]  # node, its neurons, the shape of a sample, their number
PRIME = 1_000_003


@dataclass(frozen=True)
class FaultPass:
    """A fault of a level from 0 (none); what is drawn follows from `seed`, and another seed is another chip, or another run.

    Raises ArgumentError for a level or seed that is none, ConversionError for neurons for which the fault has no meaning.
    """

    removes: ClassVar[tuple[type[Op], ...]] = ()
    number: ClassVar[int] = 0  # tells the draws of the faults apart
    level_name: ClassVar[str] = "share"
    highest: ClassVar[float] = 1.0

    level: float
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.level, bool) or not 0 <= self.level <= self.highest:
            limit = f" to {self.highest:g}" if self.highest < torch.inf else ""
            raise ArgumentError(f"{type(self).__name__}: {self.level_name} must be a number from 0{limit}, not {self.level!r}.")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise ArgumentError(f"{type(self).__name__}: seed must be a whole number from 0, not {self.seed!r}.")

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        check_spiking(network)
        if not network.having(Neuron):
            raise ConversionError("The network has no neurons that a fault could concern: convert with another recipe.")
        changed = self.changed(network)
        advice = (
            "Figures are for this draw: another seed is another chip, and `transpike faults` shows the spread over several."
        )
        finding = Finding("fault", f"{self.worded()}.", advice)
        return dataclasses.replace(changed, findings=(*network.findings, finding))

    def changed(self, network: Network) -> Network:
        """Return the network with the fault."""
        raise NotImplementedError

    def worded(self) -> str:
        """Say what is wrong, without the full stop."""
        raise NotImplementedError

    def generator(self, line: int) -> torch.Generator:
        """Return the source of what is drawn for the neurons, or weights, number `line`."""
        return torch.Generator().manual_seed(((self.number * PRIME + self.seed) * PRIME + line) % 2**63)


def on_neurons(network: Network, change: Change) -> Network:
    """Return the network with each layer of neurons changed."""
    sizes = shapes(network)
    made: dict[str, Op] = {}
    for line, node in enumerate(network.having(Neuron)):
        assert isinstance(node.op, Neuron)
        made[node.name] = change(node, node.op, sizes[node.name], line)
    return network.map_ops(lambda node: made.get(node.name, node.op))


def at_root(op: Neuron, change: Callable[[Neuron], Neuron]) -> Neuron:
    """Return neurons whose innermost ones, without faults, are changed."""
    if isinstance(op, FaultyNeuron):
        return with_fault(at_root(op.inside, change), op.happens, op.seed, op.line)
    return change(op)


def root_of(op: Neuron) -> Neuron:
    """Return neurons without their faults."""
    return op.root if isinstance(op, FaultyNeuron) else op


def on_spikes(node: Node, op: Neuron, fault: Fault, seed: int, line: int) -> Neuron:
    """Return neurons whose spikes a fault changes. Raises ConversionError for differential coding."""
    if isinstance(root_of(op), DIFFERENTIAL):
        raise ConversionError(
            f"{type(op).__name__} {place(node)} sends changes of a value, so that one that goes wrong stays wrong: there is no "
            "rule for faults of its spikes. Take a recipe in which spikes stand for values, such as rate or graded-ls."
        )
    return with_fault(op, fault, seed, line)


def with_members(op: Population, units: tuple[int, ...], change: Callable[[Tensor], Tensor]) -> Population:
    """Return populations with other thresholds for their members: `change` of the thresholds [*units, N], in any order.

    Where each member has a weight of its own it keeps it.
    """
    thresholds, table = sorted_again(change(op.thresholds.expand(*units, op.size).clone()), op.table)
    changes: dict[str, Tensor | None] = {"thresholds": thresholds, "table": table}
    if op.inhibitory is not None:
        changes["inhibitory"] = change(op.inhibitory.expand(*units, op.inhibitory.shape[-1]).clone()).sort(-1).values
    return dataclasses.replace(op, **changes)  # type: ignore[arg-type]


def sorted_again(thresholds: Tensor, table: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return thresholds [..., N] in order, and the values of so many spikes [..., N + 1] that follow from each one's weight."""
    ordered = thresholds.sort(-1)
    if table is None:
        return ordered.values, None
    weights = table.diff(dim=-1).expand(thresholds.shape).gather(-1, ordered.indices)
    first = table[..., :1].expand(*thresholds.shape[:-1], 1)
    return ordered.values, torch.cat([first, first + weights.cumsum(-1)], -1)
