"""The tables of the page as plain values: what each cell says, and what it sorts by."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from transpike.analysis import Checkpoint, Layer, Report
from transpike.analysis.energy import Energy
from transpike.report.wording import MICROJOULES, NONE, Scale, accuracy_digits, figures, number, scale, share


@dataclass(frozen=True)
class Column:
    """A column with its unit; neighbours of one group share a heading above."""

    title: str
    unit: str = ""
    group: str = ""


@dataclass(frozen=True)
class Cell:
    """What a cell says, and the value that it sorts by."""

    text: str
    value: float | str = ""
    heading: bool = False


@dataclass(frozen=True)
class Row:
    """Cells in the order of the columns; an anchor can be linked to."""

    cells: tuple[Cell, ...]
    anchor: str = ""


@dataclass(frozen=True)
class Table:
    """A table with rows for comparison at its foot."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    foot: tuple[Row, ...] = ()
    sortable: bool = False

    @property
    def groups(self) -> list[tuple[str, list[tuple[int, Column]]]]:
        """The columns with their positions, by group; a column without a group is on its own."""
        keyed = itertools.groupby(enumerate(self.columns), lambda item: item[1].group or item[0])
        return [(key if isinstance(key, str) else "", list(columns)) for key, columns in keyed]


def over_time(report: Report) -> Table:
    """Return operations and energy at each checkpoint, with the ANN at the foot."""
    points = report.checkpoints
    macs = [macs_after(report, point.time_steps) for point in points]
    work = work_scale(report)
    title, answer = answer_column(report)
    scales = [energy_scale(points, index) for index in range(len(points[0].energy))]
    columns = (
        Column("Time steps"),
        Column(title, "%"),
        *(Column(one.name) for one in report.metrics),
        Column("Spikes per neuron"),
        Column("Synaptic operations", work.unit),
        Column("Multiply-accumulates", work.unit),
        *(column for energy, unit in zip(points[0].energy, scales, strict=True) for column in energy_columns(energy, unit)),
    )
    rows = tuple(
        Row(
            (
                Cell(str(point.time_steps), point.time_steps, heading=True),
                Cell(answer(point.time_steps)),
                *(Cell(figures(one.after(point.time_steps))) for one in report.metrics),
                Cell(number(point.spikes_per_neuron, 2)),
                Cell(work(point.synaptic_operations)),
                Cell(work(count)),
                *(cell for energy, unit in zip(point.energy, scales, strict=True) for cell in energy_cells(energy, unit)),
            )
        )
        for point, count in zip(points, macs, strict=True)
    )
    return Table("over-time", "Per sample, after the time steps on the left", columns, rows, ann_rows(report, work, scales))


def work_scale(report: Report) -> Scale:
    """Return the unit that suits all operations of both networks."""
    macs = [macs_after(report, point.time_steps) for point in report.checkpoints]
    operations = [point.synaptic_operations for point in report.checkpoints]
    return scale([*operations, *macs, report.ann_macs, report.ann_connections])


def macs_after(report: Report, time_steps: int) -> float:
    """Return multiply-accumulates per sample: the analogue first layer once, layers that read currents and functions always."""
    return report.static_macs + (report.current_macs + report.function_values) * time_steps


def answer_column(report: Report) -> tuple[str, Callable[[int], str]]:
    """Return the title of the column that says how good the answer is, and its words after some steps."""
    accuracy, agreement = report.accuracy, report.agreement
    digits = accuracy_digits(report.samples)
    if accuracy is not None:
        return "Accuracy", lambda step: number(100 * accuracy[step - 1], digits)
    if agreement is not None:
        return "Agreement with the ANN", lambda step: number(100 * agreement[step - 1], digits)
    return "Relative output error", lambda step: number(100 * report.output_error[step - 1], 1)


def energy_scale(points: tuple[Checkpoint, ...], index: int) -> Scale:
    """Return the unit that suits all energies under one model."""
    energies = [point.energy[index] for point in points]
    return scale([value for one in energies for value in (one.snn, one.snn_recomputed, one.ann)], MICROJOULES, 1)


def energy_columns(energy: Energy, unit: Scale) -> tuple[Column, ...]:
    """Return the columns of one energy model."""
    group = f"Energy, {energy.model}"
    return (
        Column("first layer once", unit.unit, group),
        Column("first layer each step", unit.unit, group),
        Column("ratio to ANN", "", group),
    )


def energy_cells(energy: Energy, unit: Scale) -> tuple[Cell, ...]:
    """Return the cells of one energy model at one checkpoint."""
    return Cell(unit(energy.snn)), Cell(unit(energy.snn_recomputed)), Cell(number(energy.ratio, 2))


def ann_rows(report: Report, work: Scale, scales: list[Scale]) -> tuple[Row, ...]:
    """Return the ANN as the energy counts it, and with its multiply-accumulates as they are usually counted."""
    energies = zip(report.final.energy, scales, strict=True)
    digits = accuracy_digits(report.samples)
    accuracy = NONE if report.reference_accuracy is None else number(100 * report.reference_accuracy, digits)
    nothing = (Cell(NONE), Cell(NONE))
    metrics = [Cell(figures(one.reference)) for one in report.metrics]
    costs = [cell for one, unit in energies for cell in (Cell(unit(one.ann)), Cell(NONE), Cell("1.00"))]
    return (
        Row((Cell("ANN", heading=True), Cell(accuracy), *metrics, *nothing, Cell(work(report.ann_connections)), *costs)),
        Row(
            (
                Cell("ANN, usual count", heading=True),
                *(Cell(NONE), *(Cell(NONE) for _ in metrics), *nothing),
                Cell(work(report.ann_macs)),
                *(Cell(NONE) for _ in costs),
            )
        ),
    )


def by_layer(report: Report) -> Table:
    """Return every layer of neurons in numbers."""
    work = scale([layer.synaptic_operations for layer in report.layers])
    columns = (
        Column("No."),
        Column("Layer"),
        Column("Place in the model"),
        Column("Neurons"),
        Column("Spikes per neuron"),
        Column("Rate", "per step"),
        Column("Error", "%"),
        Column("Silent", "%"),
        Column("Saturated", "%"),
        Column("Clipped", "%"),
        *(Column(title, "", "Threshold") for title in ("least", "median", "greatest")),
        Column("Synaptic operations", work.unit),
    )
    rows = tuple(layer_row(place, layer, report.time_steps, work) for place, layer in enumerate(report.layers, 1))
    return Table("by-layer", "From input to output", columns, rows, sortable=True)


def layer_row(place: int, layer: Layer, time_steps: int, work: Scale) -> Row:
    """Return one layer in numbers."""
    rate = layer.spikes_per_neuron / time_steps
    shares = (layer.silent, layer.saturated, layer.clipped)
    return Row(
        (
            Cell(str(place), place),
            Cell(layer.name, layer.name, heading=True),
            Cell(layer.origin or "top level", layer.origin),
            Cell(number(layer.neurons, 0), layer.neurons),
            Cell(number(layer.spikes_per_neuron, 2), layer.spikes_per_neuron),
            Cell(number(rate, 3), rate),
            Cell(number(100 * layer.error, 1), layer.error),
            *(Cell(share(value), value) for value in shares),
            *(Cell(threshold(value), value) for value in layer.thresholds),
            Cell(work(layer.synaptic_operations), layer.synaptic_operations),
        ),
        f"layer-{place}",
    )


def threshold(value: float) -> str:
    """Word a threshold with three decimals, or as a power of ten where those say nothing."""
    return number(value, 3) if value == 0 or 0.001 <= abs(value) < 1e6 else f"{value:.2e}"  # noqa: PLR2004 - 3 decimals
