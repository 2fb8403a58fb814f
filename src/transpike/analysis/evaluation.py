"""Evaluate a spiking network against the model that it came from."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from torch.export import ExportedProgram

from transpike.analysis.attribution import Examiner
from transpike.analysis.causes import diagnosis
from transpike.analysis.findings import find
from transpike.analysis.leaving import Leaver
from transpike.analysis.metric import Meters, checked_steps, named_metrics
from transpike.analysis.operations import Work, count_work
from transpike.analysis.progress import Progress, fingerprint
from transpike.analysis.raster import rasters
from transpike.analysis.reference import Reference, regresses
from transpike.analysis.report import Report
from transpike.analysis.summary import summarise
from transpike.analysis.tally import Tally, add_answers, add_layers, add_operations, checkpoints, measured
from transpike.capture import check_model
from transpike.data import Batch, batches, checked
from transpike.errors import ArgumentError
from transpike.exits import exit_of, without_exit
from transpike.network import Network
from transpike.network.grammar import check_spiking
from transpike.network.turns import steps_for
from transpike.simulation import AUTO, Block, Engine, Snapshots, blocks

SAVE_EVERY = 5.0  # seconds


@dataclass(frozen=True)
class Subject:
    """What is evaluated: the spiking network, the ANN as reference, the steps; causes of the loss and early exit, if any."""

    network: Network
    reference: Reference
    time_steps: int
    work: Work
    examiner: Examiner | None
    leaver: Leaver | None
    meters: Meters

    @classmethod
    def of(
        cls,
        network: Network,
        model: nn.Module | None,
        first: Batch,
        time_steps: int,
        metric: Any,
        metric_steps: Sequence[int] | None,
        *,
        diagnose: bool,
    ) -> Subject:
        """Return what is evaluated; `first` are some samples, which tell whether targets are values."""
        full, work = without_exit(network), count_work(without_exit(network))
        metrics = named_metrics("mse" if metric is None and regresses(full, first) else metric)
        return cls(
            full,
            Reference(full, model, measured=bool(metrics)),
            time_steps,
            work,
            Examiner(full, time_steps) if diagnose else None,
            Leaver(network, time_steps, work) if exit_of(network) else None,
            Meters(metrics, checked_steps(metric_steps, time_steps)),
        )


@dataclass(frozen=True)
class Limits:
    """Bounds of a simulation: bytes of memory, samples at once, where None leaves the choice to it; and its engine."""

    memory: int | None = None
    block: int | None = None
    engine: str | Engine = AUTO


def evaluate(
    model: nn.Module | ExportedProgram | None,
    network: Network,
    samples: Any,
    time_steps: int | None = None,
    *,
    metric: Any = None,
    metric_steps: Sequence[int] | None = None,
    title: str = "",
    raster: Sequence[str] | None = None,
    diagnose: bool = False,
    folder: str | Path | None = None,
    resume: bool = False,
    memory: int | None = None,
    block: int | None = None,
    engine: str | Engine = AUTO,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Simulate `network` on `samples` for `time_steps` steps and return what the conversion cost.

    Codes with a window of their own need no `time_steps`. `model` is the ANN that was converted; None compares with the
    network's own analogue. `samples` are inputs with or without labels, as in `convert`; with labels [batch], or a map of
    labels [batch, ...] for an output [batch, classes, ...], the report has accuracies of the first output at every step (of
    a map: the share of its places). With targets in floats of the output's shape it has their mean squared error instead.
    `metric` is what else to measure: a name of `analysis.MEASURES`, a function (outputs, targets) -> number that is called
    on all samples at once, an object with update(outputs, targets) and compute(), such as a `torchmetrics.Metric`, or a
    mapping from names to these. It reads whatever came beside the samples, and several outputs as a dict by key; it is taken
    after `metric_steps` steps (default: powers of 2 and the last). `raster` names the layers (see `analysis.raster`) whose
    spikes on the first sample are kept (default: the first, the middle and the last). `diagnose` adds where the loss comes
    from, see `transpike.diagnose`. A network of `transpike.early_exit` runs twice, to the end and to the exit of each
    sample, and `report.exits` compares. `engine` is as in `transpike.simulate`. With `folder` the evaluation can
    be interrupted, and `resume=True` goes on where it stopped. Raises ArgumentError, DataError, ArchiveError.

    >>> import torch
    >>> from transpike import convert
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> network = convert(model, torch.rand(64, 4))
    >>> report = evaluate(model, network, (torch.rand(40, 4), torch.randint(3, (40,))), time_steps=32)
    >>> len(report.accuracy), report.samples
    (32, 40)
    """
    check_spiking(network)
    steps = steps_for(network, time_steps)
    if model is not None:
        model = check_model(model)
    first = next(checked(batches(samples, len(network.inputs), "samples"), network.inputs, "samples"))
    subject = Subject.of(network, model, first, steps, metric, metric_steps, diagnose=diagnose)
    keeper = keeper_of(subject, network, folder, diagnosed=diagnose, resume=resume)
    tally, done = keeper.load() if resume else (Tally(), "")
    stream = checked(batches(samples, len(network.inputs), "samples"), network.inputs, "samples")
    rest = skipped(stream, tally.samples, keeper, done)
    run(subject, rest, tally, keeper, Limits(memory, block, engine), progress)
    pictures = rasters(subject.network, first, steps, raster)
    report = summarise(subject.network, subject.work, tally, steps, title, pictures)
    report = dataclasses.replace(report, metrics=subject.meters.summary())
    if subject.examiner is not None:
        report = dataclasses.replace(report, diagnosis=diagnosis(subject.examiner, tally))
    if subject.leaver is not None:
        report = dataclasses.replace(report, exits=subject.leaver.summary(tally, report))
    keeper.clear()
    return find(report, subject.work)


def keeper_of(subject: Subject, network: Network, folder: str | Path | None, *, diagnosed: bool, resume: bool) -> Progress:
    """Return what keeps a run on disk; nothing is kept of metrics, whose sums are their own."""
    names = list(subject.meters.metrics)
    if names and resume:
        raise ArgumentError(
            f"An evaluation with a metric ({names[0]}) cannot go on where it stopped, since what the metric has added up is "
            "not kept: start anew without resuming."
        )
    kept = None if folder is None or names else Path(folder)
    return Progress(kept, fingerprint(network, subject.time_steps, diagnosed=diagnosed))


def run(
    subject: Subject,
    stream: Iterator[Batch],
    tally: Tally,
    keeper: Progress,
    limits: Limits,
    progress: Callable[[int], None] | None,
) -> None:
    """Simulate the samples of a stream and add them to the tally, keeping it on disk as it grows."""
    snapshots = Snapshots(checkpoints(subject.time_steps), functools.partial(measured, work=subject.work))
    saved = time.monotonic()
    if progress is not None and tally.samples:
        progress(tally.samples)
    try:
        for part in blocks(
            subject.network,
            stream,
            subject.time_steps,
            memory=limits.memory,
            block=limits.block,
            engine=limits.engine,
            snapshots=snapshots,
            first_sample=tally.samples,
        ):
            add_block(subject, part, tally)
            keeper.digest(list(part.batch.inputs))
            if progress is not None:
                progress(len(part))
            if time.monotonic() - saved > SAVE_EVERY:
                keeper.save(tally)
                saved = time.monotonic()
    except BaseException:
        if tally.samples:
            keeper.save(tally)
        raise


def add_block(subject: Subject, part: Block, tally: Tally) -> None:
    """Add everything that one block tells to the tally; nothing is added if a label is wrong."""
    inputs = [tensor.to(subject.network.device) for tensor in part.batch.inputs]
    expected = subject.reference.of(part, tally.samples)
    subject.meters.add(part.outputs, expected.outputs, part.batch.labels, tally.samples)
    add_answers(tally, part.outputs, expected)
    add_layers(tally, subject.network, part, inputs, subject.time_steps)
    for step, sums in part.snapshots.items():
        add_operations(tally, sums, step)
    if subject.examiner is not None:
        subject.examiner.add(tally, part, expected)
    if subject.leaver is not None:
        subject.leaver.add(tally, part, expected.labels)
    tally.samples += len(part)


def skipped(stream: Iterator[Batch], count: int, keeper: Progress, expected: str) -> Iterator[Batch]:
    """Yield a stream without its first `count` samples, after checking that they are those of the earlier run."""
    left = count
    for batch in stream:
        if left:
            keeper.digest([tensor[:left] for tensor in batch.inputs])
            taken = min(left, len(batch))
            left -= taken
            if left == 0:
                keeper.check(expected)
            if taken < len(batch):
                yield batch[taken:]
        else:
            yield batch
    if left:
        keeper.check(expected)
