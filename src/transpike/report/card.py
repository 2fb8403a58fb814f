"""The energy card as tables, and its figure with the break-evens drawn in."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from transpike.analysis import Report
from transpike.analysis.card import RATE_LIMIT, SPIKES_LIMIT, SYNAPSE_LIMITS, Budget, Card
from transpike.analysis.traffic import Estimate
from transpike.report.style import BLACK, BLUE, GREEN, GREY, HEIGHT, ORANGE, SMALL, VERMILION, empty_figure, new_figure, styled
from transpike.report.tables import Cell, Column, Row, Table
from transpike.report.wording import MICROJOULES, NONE, Scale, number, scale, tick

ANNS = (("float32", "ANN, float32"), ("int8", "ANN, 8 bits"), ("matched", "quantised ANN"))
BEHIND = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1}  # of words over lines
NAMES = {
    "footprint": ("Footprint", "bytes of all parameters"),
    "parameter_count": ("ParameterCount", "weights, biases left out"),
    "connection_sparsity": ("ConnectionSparsity", "share of weights that are 0"),
    "activation_sparsity": ("ActivationSparsity", "share of neurons times steps without a spike"),
    "effective_macs": ("SynapticOperations: Effective_MACs", "first layer, currents and graded spikes"),
    "effective_acs": ("SynapticOperations: Effective_ACs", "binary spikes"),
    "dense": ("SynapticOperations: Dense", "as if every neuron fired at every step"),
    "membrane_updates": ("MembraneUpdates", "neurons times steps"),
}


def card_of(report: Report) -> Card:
    """Return the energy card of a report that has one."""
    assert report.card is not None
    return report.card


def budgets(report: Report) -> Table:
    """Return the energy of the spiking network under each model, against the ANN at each precision."""
    card = card_of(report)
    rows_of = card.final.budgets
    units = [scale([one.snn.value, one.snn.high, *ann_values(one)], MICROJOULES, 2) for one in rows_of]
    columns = (
        Column("Model"),
        Column("Spiking network"),
        *(Column(f"{title} ({card.final.bits} bits)" if name == "matched" else title) for name, title in ANNS),
        *(Column(title.removeprefix("ANN, "), "", "Spiking network over ANN") for _, title in ANNS),
    )
    rows = tuple(Row(budget_cells(one, unit)) for one, unit in zip(rows_of, units, strict=True))
    return Table("budgets", f"Per sample, after {report.time_steps:,} time steps; ranges in brackets", columns, rows)


def ann_values(budget: Budget) -> list[float]:
    """Return the energies of the ANNs of a budget."""
    return [ann.value for name, _ in ANNS if (ann := getattr(budget, name)) is not None]


def budget_cells(budget: Budget, unit: Scale) -> tuple[Cell, ...]:
    """Return the cells of one budget."""
    energies = [budget.snn, *(getattr(budget, name) for name, _ in ANNS)]
    ratios = [budget.ratio(name) for name, _ in ANNS]
    return (
        Cell(budget.model, heading=True),
        *(Cell(NONE if one is None else ranged(one, unit)) for one in energies),
        *(Cell(NONE if one is None else ranged(one, Scale(1.0, "", 2))) for one in ratios),
    )


def ranged(estimate: Estimate, unit: Scale) -> str:
    """Word an estimate with its unit, and its range if that is more than rounding."""
    said = unit.worded(estimate.value)
    if unit(estimate.low) == unit(estimate.high):
        return said
    return f"{said} ({unit(estimate.low)} to {unit(estimate.high)})"


def on_chips(report: Report) -> Table:
    """Return the energy on each chip whose energy of synaptic operations is published, in its own unit."""
    columns = (Column("Chip"), Column("Energy"), Column("Counted"), Column("Energies are"), Column("Latency", "ms"))
    rows = tuple(
        Row(
            (
                Cell(one.title, one.title, heading=True),
                Cell(ranged(one.energy, scale([one.energy.value, one.energy.high], MICROJOULES, 2)), one.energy.value),
                Cell(one.counts),
                Cell(one.confidence),
                Cell(NONE if one.latency_ms is None else number(one.latency_ms, 1), one.latency_ms or -1),
            )
        )
        for one in card_of(report).chips
    )
    return Table("on-chips", "Per sample, if the network fits", columns, rows, sortable=True)


def counts(report: Report) -> Table:
    """Return the counts of a run under NeuroBench's names."""
    found = card_of(report).neurobench
    columns = (Column("Metric of NeuroBench"), Column("Value"), Column("What it counts here"))
    rows = tuple(
        Row((Cell(name, heading=True), Cell(number(found[key], 3 if key.endswith("sparsity") else 0)), Cell(meaning)))
        for key, (name, meaning) in NAMES.items()
        if key in found
    )
    return Table("neurobench", "Per sample, over all time steps", columns, rows)


def break_evens(report: Report) -> Table:
    """Return this run beside the break-evens that are published, and its own."""
    card = card_of(report)
    point = card.final
    low, high = SYNAPSE_LIMITS
    own = NONE if point.break_even is None else number(point.break_even, 2)
    texts = (
        ("Spikes per neuron", number(point.spikes_per_neuron, 2), number(SPIKES_LIMIT, 2), "Davidson and Furber 2021"),
        ("Spikes per neuron", number(point.spikes_per_neuron, 2), own, f"with memory, ANN of {point.bits} bits, this network"),
        ("Spikes per connection", number(point.spikes_per_synapse, 2), f"{low} to {high}", "Dampfhoffer et al. 2023"),
        ("Rate per step", number(card.rate, 3), number(RATE_LIMIT, 3), "Yan et al. 2024, 5 to 10 steps"),
    )
    columns = (Column("Measure"), Column("This run"), Column("Break-even"), Column("Source"))
    rows = tuple(Row((Cell(name, heading=True), *map(Cell, rest))) for name, *rest in texts)
    return Table("break-evens", "The spiking network needs less below the break-even", columns, rows)


@styled
def energy_break_even(report: Report) -> Figure:
    """Draw the energy over the ANN's against spikes per neuron, at each checkpoint, with the break-evens."""
    points = [] if report.card is None else [point for point in report.card.points if point.spikes_per_neuron > 0]
    if not points:
        return empty_figure("No spikes, or a report without an energy card.")
    figure = new_figure(HEIGHT * 1.15)
    axes = figure.subplots()
    spikes = [point.spikes_per_neuron for point in points]
    looks = (("int8", "with memory, ANN of 8 bits", GREEN), ("matched", "with memory, quantised ANN", BLUE))
    for name, label, colour in looks:
        found = [point.budgets[-1].ratio(name) for point in points]
        known = [(x, ratio) for x, ratio in zip(spikes, found, strict=True) if ratio is not None]
        xs = [x for x, _ in known]
        axes.fill_between(xs, [r.low for _, r in known], [r.high for _, r in known], color=colour, alpha=0.13, linewidth=0)
        axes.plot(xs, [ratio.value for _, ratio in known], "o-", color=colour, markersize=4, label=label)
    arithmetic = [point.budgets[0].ratio("float32") for point in points]
    lines = [(x, ratio.value) for x, ratio in zip(spikes, arithmetic, strict=True) if ratio is not None and ratio.value > 0]
    label = "arithmetic alone, ANN of float32"
    axes.plot([x for x, _ in lines], [y for _, y in lines], "s--", color=ORANGE, markersize=3.5, linewidth=1.2, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    marks(axes, report)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("Spikes per neuron and sample")
    axes.set_ylabel("Energy over the ANN's")
    figure.legend(loc="outside upper left", ncols=1)
    return figure


def marks(axes: Axes, report: Report) -> None:
    """Draw equality, and the break-evens that are published, in spikes per neuron."""
    axes.axhline(1, color=BLACK, linewidth=1.2)
    equal: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "ha": "left", "va": "bottom", "fontsize": SMALL}
    axes.annotate("as much as the ANN", (0.01, 1), bbox=BEHIND, **equal)
    limits = [(SPIKES_LIMIT, f"{SPIKES_LIMIT} spikes", VERMILION)]
    if report.turns is None:
        limits.append((RATE_LIMIT * report.time_steps, f"6.4 % of {report.time_steps:,} steps", GREY))
    for value, label, colour in limits:
        axes.axvline(value, color=colour, linestyle=(0, (2, 2)), linewidth=1.2)
        look: dict[str, Any] = {"rotation": 90, "ha": "right", "va": "top", "fontsize": SMALL, "color": colour}
        axes.annotate(label, (value, 0.98), xycoords=("data", "axes fraction"), bbox=BEHIND, **look)
