"""What a simulation keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from transpike.data import Batch
from transpike.errors import ArgumentError, choose
from transpike.network import Network
from transpike.network.turns import sequential
from transpike.neurons import Windowed
from transpike.neurons.pointwise import in_samples
from transpike.parts import Stateful
from transpike.simulation.stepper import Stepper


@dataclass(frozen=True)
class Record:
    """Which traces to keep, by node name: spike trains, membrane potentials, counts and first spike times of each neuron."""

    spikes: Sequence[str] = ()
    potentials: Sequence[str] = ()
    counts: Sequence[str] = ()
    times: Sequence[str] = ()

    def checked(self, network: Network) -> Record:
        """Return self if every name is a node that has such a trace, else raise ArgumentError."""
        for names in (self.spikes, self.potentials, self.counts, self.times):
            if isinstance(names, str):
                raise ArgumentError(f"record= takes lists of node names, not the text {names!r}.")
        spiking = counting_nodes(network)
        for name in (*self.spikes, *self.counts, *self.times):
            choose("spiking node", name, spiking)
        for name in self.potentials:
            choose("node with a potential", name, keeping(network, "potential"))
        return self

    def with_trains(self, network: Network) -> Record:
        """Return a record with the spike trains from which times are found, where no engine gives the times themselves."""
        return self if sequential(network) else dataclasses.replace(self, spikes=tuple({*self.spikes, *self.times}))


def counting_nodes(network: Network) -> list[str]:
    """Return the nodes that emit spikes, in order."""
    return keeping(network, "count")


def keeping(network: Network, what: str) -> list[str]:
    """Return the nodes whose state holds `what`: "count" or "potential". Layers that take turns have it in their windows."""
    kind = Windowed if what == "potential" and sequential(network) else Stateful
    return [name for name, node in network.nodes.items() if isinstance(node.op, kind) and what in node.op.keeps]


@dataclass(frozen=True)
class Recording:
    """The result of a simulation; of samples that end early, up to their exits.

    `outputs` [time, batch, ...] is the decoded answer after each step (a mapping from key to tensor where the model has
    several). `spike_counts` gives, per spiking node, the spikes of each sample [batch]. `spikes` [time, batch, ...]
    (bool), `potentials` [time, batch, ...], `counts` [batch, ...] and `times` [batch, ...] (of first spikes, in steps,
    infinity where there is none) hold the traces that were asked for. `decided` gives,
    per decoder that decides by a margin, the step at which each sample was decided [batch], 0 where none was.

    Where layers take turns, the time of a node is that of its own windows: spikes and their times are those of the window in
    which it sends (that of `turns(network)`), and potentials [2 time, batch, ...] those of the windows in which it listens and
    sends.
    """

    outputs: Tensor | Mapping[str, Tensor]
    spike_counts: Mapping[str, Tensor]
    time_steps: int
    spikes: Mapping[str, Tensor] = field(default_factory=dict)
    potentials: Mapping[str, Tensor] = field(default_factory=dict)
    counts: Mapping[str, Tensor] = field(default_factory=dict)
    decided: Mapping[str, Tensor] = field(default_factory=dict)
    times: Mapping[str, Tensor] = field(default_factory=dict)


Ways = Mapping[str, Callable[[], Tensor]]


class Later(Mapping[str, Tensor]):
    """Values by name, each computed when it is asked for; `sums` give those of whole samples [batch] sooner."""

    def __init__(
        self, ways: Mapping[str, Callable[[], Tensor]], sums: Mapping[str, Callable[[], Tensor]] | None = None
    ) -> None:
        self.ways = ways
        self.sums = sums or {}

    def __getitem__(self, name: str) -> Tensor:
        return self.ways[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self.ways)

    def __len__(self) -> int:
        return len(self.ways)


@dataclass(frozen=True)
class Block:
    """A recording of some samples that follow each other.

    `totals` are the spikes of every neuron [batch, ...], `sums` the sum of what it sent, `decided` the steps [batch] at
    which decoders settled on their answers.
    """

    batch: Batch
    outputs: Mapping[str, Tensor]
    totals: Mapping[str, Tensor]
    sums: Mapping[str, Tensor]
    spikes: Mapping[str, Tensor]
    potentials: Mapping[str, Tensor]
    snapshots: Mapping[int, Any]
    decided: Mapping[str, Tensor]
    times: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.batch)

    def condensed(self, record: Record) -> Block:
        """Return the block with what was asked for: the spikes of whole samples [batch], of each neuron only where wanted."""
        totals = {name: self.totals[name] if name in record.counts else summed(self.totals, name) for name in self.totals}
        times = {name: self.times[name] if name in self.times else first_spikes(self.spikes[name]) for name in record.times}
        spikes = {name: self.spikes[name] for name in record.spikes}
        return dataclasses.replace(self, totals=totals, sums={}, times=times, spikes=spikes)


def summed(values: Mapping[str, Tensor], name: str) -> Tensor:
    """Return the sum of a value over the neurons of each sample [batch]."""
    soon = values.sums.get(name) if isinstance(values, Later) else None
    return in_samples(values[name]) if soon is None else soon()


def first_spikes(trains: Tensor) -> Tensor:
    """Return the step, from 1, of the first spike of each neuron [batch, ...] in [time, batch, ...]; infinity for none."""
    first = trains.to(torch.uint8).argmax(0) + 1.0
    return first.masked_fill(~trains.any(0), torch.inf)


@dataclass(frozen=True)
class Snapshots:
    """What to measure at which steps: `measure` gets the spikes of every neuron so far [batch, ...] by node.

    The counts are the simulation's own: `measure` must neither keep nor change them.
    """

    steps: Sequence[int]
    measure: Callable[[Mapping[str, Tensor]], Any]


class Tape:
    """Collects traces while a block runs."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.spikes: dict[str, list[Tensor]] = {name: [] for name in record.spikes}
        self.potentials: dict[str, list[Tensor]] = {name: [] for name in record.potentials}

    def note(self, stepper: Stepper) -> None:
        """Keep the traces of the step that was just made."""
        for name, trace in self.spikes.items():
            trace.append((stepper.sent[name] != 0).cpu())
        for name, trace in self.potentials.items():
            potential = stepper.states[name].potential
            assert potential is not None
            trace.append(potential.cpu().clone())


def joined(blocks: Sequence[Block], time_steps: int, counts: Sequence[str]) -> Recording:
    """Return one recording of consecutive blocks."""

    def along_batch(maps: Sequence[Mapping[str, Tensor]], axis: int) -> dict[str, Tensor]:
        if len(maps) == 1:
            return dict(maps[0])
        return {name: torch.cat([one[name] for one in maps], axis) for name in maps[0]}

    outputs = along_batch([block.outputs for block in blocks], 1)
    totals = [{name: in_samples(total).long() for name, total in block.totals.items()} for block in blocks]
    wanted = [{name: block.totals[name] for name in counts} for block in blocks]
    return Recording(
        next(iter(outputs.values())) if len(outputs) == 1 else outputs,
        along_batch(totals, 0),
        time_steps,
        along_batch([block.spikes for block in blocks], 1),
        along_batch([block.potentials for block in blocks], 1),
        along_batch(wanted, 0),
        along_batch([block.decided for block in blocks], 0),
        along_batch([block.times for block in blocks], 0),
    )
