"""The tables of a diagnosis as plain values."""

from __future__ import annotations

from transpike.analysis import Diagnosis, LayerLoss
from transpike.analysis.diagnosis import OWN, Stage
from transpike.report.tables import Cell, Column, Row, Table
from transpike.report.wording import accuracy_digits, number, power, share

STAGES = {
    "ANN": "the original network",
    "clipped": "activations end at what a neuron can send at most",
    "quantised": "and are whole numbers of spikes, as for even input",
    "SNN": "the spiking network: spikes come unevenly",
}


def by_stage(diagnosis: Diagnosis) -> Table:
    """Return the networks on the way from ANN to SNN."""
    columns = (
        Column("Network"),
        Column("What it does"),
        Column("Accuracy", "%"),
        Column("Agrees with the ANN", "%"),
        Column("Output error", "%"),
    )
    return Table("by-stage", "From the ANN to the spiking network", columns, tuple(map(stage_row, diagnosis.stages)))


def stage_row(stage: Stage) -> Row:
    """Return one network in numbers."""
    fractions = (stage.accuracy, stage.agreement, stage.output_error)
    cells = (Cell(number(None if value is None else 100 * value, 1)) for value in fractions)
    return Row((Cell(stage.name, heading=True), Cell(STAGES.get(stage.name, "")), *cells))


def by_cause(diagnosis: Diagnosis) -> Table:
    """Return every layer with the causes of its error and what it costs."""
    columns = (
        Column("No."),
        Column("Layer"),
        Column("Error", "%"),
        *(Column(cause, "%", "Added here, share of all layers") for cause in OWN),
        Column("Inherited", "%"),
        Column("Cost", "%"),
        Column("Recovered", "%"),
        Column("measured", "", "Growth to the answer"),
        Column("bound", "", "Growth to the answer"),
    )
    rows = tuple(cause_row(place, layer, diagnosis) for place, layer in enumerate(diagnosis.layers, 1))
    return Table("by-cause", "From input to output", columns, rows, sortable=True)


def cause_row(place: int, layer: LayerLoss, diagnosis: Diagnosis) -> Row:
    """Return one layer in numbers."""
    shares = [diagnosis.share(cause, (layer.name,)) for cause in OWN]
    inherited = layer.share("inherited")
    recovered = None if layer.recovered is None else 100 * layer.recovered
    return Row(
        (
            Cell(str(place), place),
            Cell(layer.name, layer.name, heading=True),
            Cell(number(100 * layer.relative_error, 1), layer.relative_error),
            *(Cell(share(value, 1), value) for value in shares),
            Cell(number(100 * inherited, 0), inherited),
            Cell(number(100 * layer.cost, 1), layer.cost),
            Cell(number(recovered, accuracy_digits(diagnosis.samples)), recovered or 0.0),
            Cell(number(layer.growth, 2), layer.growth),
            Cell(power(layer.growth_bound), layer.growth_bound),
        )
    )
