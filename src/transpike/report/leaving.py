"""Early exit as plain values: a table, and the promise in words."""

from __future__ import annotations

from transpike.analysis import Checkpoint, Exits, Report
from transpike.report.tables import Cell, Column, Row, Table
from transpike.report.wording import MICROJOULES, NONE, accuracy_digits, number, percent, scale


def with_exit(report: Report) -> Table:
    """Return latency, answers and costs of the whole run and with each sample run to its exit."""
    found = report.exits
    assert found is not None
    runs: tuple[Checkpoint | Exits, ...] = (report.final, found)
    work = scale([run.synaptic_operations for run in runs])
    unit = scale([run.energy[0].snn for run in runs], MICROJOULES, 1)
    digits = accuracy_digits(report.samples)
    columns = (
        Column("Run"),
        Column("mean", "steps", "Latency"),
        Column("99th percentile", "steps", "Latency"),
        Column("Accuracy", "%"),
        Column("Decisions changed", "%"),
        Column("Spikes per neuron"),
        Column("Synaptic operations", work.unit),
        Column("Energy", unit.unit),
    )
    texts = (
        ("all steps", number(report.time_steps, 0), report.time_steps, report.final.accuracy, NONE),
        ("each to its exit", number(found.mean_steps, 1), found.steps_99, found.accuracy, number(100 * found.changed, 2)),
    )
    rows = tuple(
        Row(
            (
                Cell(name, heading=True),
                Cell(mean),
                Cell(number(within, 0)),
                Cell(NONE if accuracy is None else number(100 * accuracy, digits)),
                Cell(changed),
                Cell(number(run.spikes_per_neuron, 2)),
                Cell(work(run.synaptic_operations)),
                Cell(unit(run.energy[0].snn)),
            )
        )
        for run, (name, mean, within, accuracy, changed) in zip(runs, texts, strict=True)
    )
    return Table("with-exit", "Per sample, run to the end and run to its exit", columns, rows)


def promise(report: Report) -> str:
    """Word what was promised of early exit, and what these samples show of it."""
    found = report.exits
    assert found is not None
    calibrated, confidence = f"{found.calibrated:,} calibration samples", f"{100 * found.confidence:g} %"
    points = f"{100 * found.loss:g}"
    if found.margin is None:
        return f"{calibrated} are too few to promise a loss of at most {points} points: no sample exits early."
    changed = number(found.changed * report.samples, 0)
    return (
        f"A sample exits once its first class leads the second by {found.margin:.4g} in the sum of the outputs; "
        f"{percent(found.exited)} of the samples did so before the last step. Promised from {calibrated}, with {confidence} "
        f"confidence: at most {points} % of decisions differ from those after {found.time_steps:,} steps, so that at most "
        f"{points} points of accuracy are lost. Here {changed} of {report.samples:,} differ."
    )
