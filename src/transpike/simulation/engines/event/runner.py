"""Run blocks of samples on the kernels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from transpike.data import Batch
from transpike.network import Network, shapes
from transpike.network.grammar import decoded
from transpike.network.remembered import once, remembered
from transpike.network.turns import sequential
from transpike.neurons import EarlyExit, Integrator, Neuron
from transpike.neurons.base import row
from transpike.parts import Decoder, Stateful
from transpike.simulation.engines.event.compiled import KERNELS, Compiled, Exits, Plan, Run, is_neuron
from transpike.simulation.engines.event.currents import drives, following_inputs, grid_of
from transpike.simulation.engines.event.kernels import library
from transpike.simulation.engines.event.lowering import Stage, UnsupportedError, lowered, whole_unit, worth
from transpike.simulation.memory import keep_freed_memory
from transpike.simulation.recording import Block, Later
from transpike.simulation.task import Task

BLOCK = 32
TRIALS = 4  # samples on which kernels are compared
TRIED = 32  # time steps of that: the kernels take so many together
FEWEST, MOST, PATIENCE = 2, 8, 0.02  # runs of each kernel for that, and the seconds that more than the fewest may take


def plan_for(network: Network, time_steps: int) -> Plan:
    """Return the plan of a network; raise UnsupportedError with the reason if there is none."""
    kept = remembered(network)
    if ("plan", time_steps) not in kept:
        try:
            kept["plan", time_steps] = made_plan(network, time_steps)
        except UnsupportedError as error:
            kept["plan", time_steps] = error
    found = kept["plan", time_steps]
    if isinstance(found, UnsupportedError):
        raise found
    assert isinstance(found, Plan)
    return found


def made_plan(network: Network, time_steps: int) -> Plan:
    """Make the plan of a network."""
    if sequential(network):
        raise UnsupportedError("the layers of a sequential network take turns")
    if network.having(EarlyExit) and len(network.having(Decoder)) > 1:
        raise UnsupportedError("samples end early by one of several outputs")
    stages = once(network, "stages", lowered)
    following = following_inputs(network)
    silent = {stage.name: torch.zeros(1, *flat_shape(network, stage)) for stage in stages}
    found = drives(network, [stage.drive for stage in stages], silent, {})
    constants, units = {}, {}
    for stage in stages:
        constant = found[stage.drive]
        changing = stage.drive in following
        bits = grid_of(network, stage.drive, following) if changing else 0
        constants[stage.name] = constant
        units[stage.name] = 0 if bits is None else whole_unit(stage, constant, time_steps, bits)
    with_units = tuple(dataclasses.replace(s, unit=units[s.name]) for s in stages)
    still = {s.name: laid_out(with_bias(s, constants[s.name]), s) for s in with_units if s.drive not in following}
    settled = {name: value[0, 0, 0].clone() for name, value in still.items() if bool((value == value[:, :1, :1]).all())}
    return Plan(with_units, settled, {name: value for name, value in still.items() if name not in settled})


def flat_shape(network: Network, stage: Stage) -> tuple[int, ...]:
    """Return the shape of one sample of what a stage sends, as its readers want it."""
    return once(network, "shapes", shapes)[stage.name]


def with_bias(stage: Stage, current: Tensor) -> Tensor:
    """Return a current with the bias of the neurons, if it is the same at each step."""
    op = stage.op
    constant = isinstance(op, Neuron) and op.bias is not None and len(op.bias) == 1
    return current + op.bias[0] if constant else current  # type: ignore[union-attr, index]


def laid_out(current: Tensor, stage: Stage) -> Tensor:
    """Return a current [n, ...] as [n, height, width, channels], cut to whole windows of a pool."""
    channels, height, width = stage.shape
    image = current if current.ndim == 4 else current.reshape(len(current), channels, 1, 1)  # noqa: PLR2004
    cut = image[:, :, : height * stage.pool[0], : width * stage.pool[1]]
    return cut.permute(0, 2, 3, 1).contiguous()


def exits_of(plan: Plan) -> Exits | None:
    """Return what ends samples early, None where nothing does."""
    found = [(number, stage.op) for number, stage in enumerate(plan.stages) if isinstance(stage.op, EarlyExit)]
    return next((Exits(number, op.delay, op.margin) for number, op in found if isinstance(op, EarlyExit)), None)


class EventRunner:
    """A task on the kernels."""

    largest_block = BLOCK

    def __init__(self, task: Task) -> None:
        self.task, self.network = task, task.network
        self.plan = plan_for(task.network, task.time_steps)
        for stage in self.plan.stages:
            if isinstance(stage.op, Neuron) and stage.op.bias is not None:
                row(stage.op.bias, task.time_steps)
        traced = tuple(task.record.spikes)
        kept, chosen = remembered(self.network), library()
        assert chosen is not None
        self.exits = exits_of(self.plan)
        key = ("compiled", chosen.name, traced, *[stage.unit for stage in self.plan.stages])
        if key not in kept:
            kept[key] = Compiled(chosen, self.plan, traced, exits=self.exits is not None)
        self.compiled: Compiled = kept[key]
        following = once(self.network, "following", following_inputs)
        self.changing = [stage for stage in self.plan.stages if stage.drive in following]
        answers = once(self.network, "decoded", decoded)
        self.after = [name for name in self.network.nodes if name in answers]
        self.needed = self.ancestors([stage.drive for stage in self.changing])

    def ancestors(self, names: list[str]) -> set[str]:
        """Return the nodes from which the currents that follow the input are computed."""
        found, waiting = set(), list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                node = self.network.nodes[name]
                waiting += [] if isinstance(node.op, Stateful) else node.inputs
        return found

    def bytes_per_sample(self) -> int:
        neurons = sum(s.shape[0] * s.shape[1] * s.shape[2] for s in self.plan.stages)
        steps = self.task.time_steps if self.task.record.spikes else 0
        return neurons * (16 + 4 * len(self.checkpoints()) + steps)

    def checkpoints(self) -> list[int]:
        """Return the steps after which spikes are counted; the last is the end."""
        steps = () if self.task.snapshots is None else self.task.snapshots.steps
        return sorted({*steps, self.task.time_steps})

    @torch.inference_mode()
    def run(self, batch: Batch, first_sample: int = 0) -> Block:  # noqa: ARG002 - nothing here is random
        keep_freed_memory()
        currents = self.currents(batch)
        if not self.compiled.measured:
            self.choose_kernels(currents)
        run = self.request(currents, len(batch), torch.get_num_threads(), exits=self.exits)
        self.compiled.run(run)
        return self.block(batch, run)

    def request(
        self,
        currents: Mapping[str, Tensor],
        samples: int,
        threads: int,
        steps: int | None = None,
        exits: Exits | None = None,
    ) -> Run:
        """Return a run of some samples, for all time steps or fewer."""
        last = self.task.time_steps if steps is None else steps
        checkpoints = [*[step for step in self.checkpoints() if step < last], last]
        return Run(self.plan, currents, samples, last, checkpoints, self.task.record.spikes, threads, exits)

    def currents(self, batch: Batch) -> dict[str, Tensor]:
        """Return the currents that do not change in time [n or 1, height, width, channels], by stage."""
        found = dict(self.plan.constants)
        if self.changing:
            inputs = dict(zip(self.network.inputs, batch.inputs, strict=True))
            silent = {s.name: torch.zeros(1, *flat_shape(self.network, s)) for s in self.plan.stages if s.name in self.needed}
            values = drives(self.network, [s.drive for s in self.changing], silent, inputs, self.needed)
            for stage in self.changing:
                found[stage.name] = laid_out(with_bias(stage, values[stage.drive]), stage)
        return found

    def choose_kernels(self, currents: Mapping[str, Tensor]) -> None:
        """Run a few samples with each kernel and keep, for each stage, the fastest one; all give the same."""
        self.compiled.measured = True
        few = {name: value[:TRIALS] for name, value in currents.items()}
        samples = min((len(value) for value in few.values() if len(value) > 1), default=1)
        run = self.request(few, samples, 1, min(self.task.time_steps, TRIED))
        tried, seconds = [], []
        for kernels in (possible for kernel in KERNELS if (possible := self.compiled.possible(kernel)) not in tried):
            tried.append(kernels)
            self.compiled.lay_out(kernels)
            seconds.append(self.least_times(run))
        fastest = [min(range(len(tried)), key=times.__getitem__) for times in zip(*seconds, strict=True)]
        self.compiled.lay_out([tried[way][stage] for stage, way in enumerate(fastest)])

    def least_times(self, run: Run) -> list[float]:
        """Return the least time of each stage in a few runs, more of them the less they take, in seconds."""
        times: list[list[float]] = []
        while len(times) < FEWEST or (len(times) < MOST and sum(map(sum, times)) < PATIENCE):
            times.append(self.compiled.run(run, timed=True))
        return [min(each) for each in zip(*times, strict=True)]

    def block(self, batch: Batch, run: Run) -> Block:
        """Return the recording of a run."""
        neurons = [stage for stage in self.plan.stages if is_neuron(stage)]

        def counted(stage: Stage, place: int = -1) -> Tensor:
            return self.as_values(stage, run.counts[stage.name][place, None])[0]

        def of_samples(stage: Stage) -> Tensor:
            return run.counts[stage.name][-1].flatten(1).sum(1)

        def sent(stage: Stage) -> Tensor:
            net = run.nets.get(stage.name)
            return (counted(stage) if net is None else self.as_values(stage, net[None])[0]) * worth(stage.op)

        kept: dict[int, Any] = {}
        if self.task.snapshots is not None:
            for step in self.task.snapshots.steps:
                place = self.checkpoints().index(step)
                kept[step] = self.task.snapshots.measure({stage.name: counted(stage, place) for stage in neurons})
        totals = Later({s.name: partial(counted, s) for s in neurons}, {s.name: partial(of_samples, s) for s in neurons})
        sums = Later({stage.name: partial(sent, stage) for stage in neurons})
        trains = {s.name: self.as_values(s, run.trains[s.name]).bool() for s in self.plan.stages if s.name in run.trains}
        outputs, decided = self.answers(run)
        return Block(batch, outputs, totals, sums, trains, {}, kept, decided)

    def as_values(self, stage: Stage, values: Tensor) -> Tensor:
        """Return values [..., n, height, width, channels] as [..., n, *shape] of the node."""
        shape = flat_shape(self.network, stage)
        return values.movedim(-1, -3).reshape(*values.shape[:2], *shape)

    def answers(self, run: Run) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the decoded outputs after each step, and when decoders settled."""
        values: dict[str, Tensor] = {}
        decided: dict[str, Tensor] = {}
        received = {s.name: self.as_values(s, run.answers[s.name]) for s in self.plan.stages if not is_neuron(s)}
        for name in self.after:
            node = self.network.nodes[name]
            if type(node.op) is Integrator:
                values[name] = node.op.over_time(received[name])
            elif isinstance(node.op, Decoder):
                state = node.op.start(received[name][0])
                values[name] = torch.stack([node.op.step(state, x).clone() for x in received[name]])
                if state.decided is not None:
                    decided[name] = state.decided
            else:
                sources = [values[source] for source in node.inputs]
                values[name] = torch.stack([node.op(*each) for each in zip(*sources, strict=True)])
        return {key: values[name] for key, name in self.network.outputs.items()}, decided
