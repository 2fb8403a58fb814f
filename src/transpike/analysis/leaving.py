"""What early exit does to a network: when samples end, what that changes, and what it saves."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from transpike.analysis.operations import Work
from transpike.analysis.report import Exits, Report
from transpike.analysis.summary import accumulates_of
from transpike.analysis.tally import Tally, measured
from transpike.exits import exit_of
from transpike.network import Network
from transpike.neurons import EarlyExit, Neuron
from transpike.simulation import Block, StoppingEngine, Task

MOST_SAMPLES = 0.99


class Leaver:
    """Runs blocks of samples to their exits and compares with the whole run; its sums are kept in the tally."""

    def __init__(self, network: Network, time_steps: int, work: Work) -> None:
        self.network = network
        self.time_steps = time_steps
        self.work = work
        self.runner = StoppingEngine().prepare(Task(network, time_steps))

    def add(self, tally: Tally, whole: Block, labels: Tensor | None) -> None:
        """Run the samples of a block again, each to its exit, and add what comes of it."""
        part = self.runner.run(whole.batch, tally.samples)
        (decided,) = part.decided.values()
        steps = decided.where(decided > 0, self.time_steps)
        answers, last = (next(iter(block.outputs.values()))[-1].argmax(1) for block in (part, whole))
        tally.add("exit.steps", torch.bincount(steps, minlength=self.time_steps + 1))
        tally.add("exit.changed", (answers != last).sum())
        if labels is not None:
            tally.add("exit.correct", (answers == labels).sum())
        for name, value in measured(part.totals, self.work).items():
            tally.add(f"exit.{name}", value)

    def summary(self, tally: Tally, report: Report) -> Exits:
        """Return what early exit did in a finished tally, beside the report of the whole run."""
        rule = exit_of(self.network)
        assert isinstance(rule, EarlyExit)
        counts = tally["exit.steps"]
        mean = float((counts * torch.arange(len(counts))).sum()) / tally.samples
        sums = ((name, f"exit.operations.{name}") for name in self.work.causes)
        costs = {name: float(tally.mean(key)) for name, key in sums if key in tally.sums}
        accumulates = sum(value * accumulates_of(self.network.nodes[name].op) for name, value in costs.items())
        firing = [node.name for node in self.network.having(Neuron) if node.name in costs]
        spikes = sum(float(tally.mean(f"exit.spikes.{name}")) for name in firing)
        return Exits(
            margin=None if math.isinf(rule.margin) else rule.margin,
            loss=rule.loss,
            confidence=rule.confidence,
            calibrated=rule.samples,
            time_steps=rule.time_steps,
            mean_steps=mean,
            steps_99=percentile(counts, MOST_SAMPLES),
            exited=float(counts[:-1].sum()) / tally.samples,
            changed=float(tally.mean("exit.changed")),
            accuracy=float(tally.mean("exit.correct")) if "exit.correct" in tally.sums else None,
            spikes_per_neuron=spikes / max(1, report.neurons),
            synaptic_operations=sum(costs.values()),
            energy=self.work.energy(accumulates, mean),
        )


def percentile(counts: Tensor, share: float) -> int:
    """Return the least step by which a share of all samples is done, of samples per step, step 0 first.

    >>> percentile(torch.tensor([0, 90, 9, 0, 1]), 0.99)
    2
    """
    done = counts.cumsum(0)
    return int((done < math.ceil(share * float(done[-1]) - 1e-9)).sum())
