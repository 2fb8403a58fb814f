"""Tables for people."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from transpike.analysis import Diagnosis, Exits, Report
from transpike.analysis.card import Card
from transpike.analysis.diagnosis import CAUSES
from transpike.calibration import Watch
from transpike.jobs import Inspection
from transpike.network import Network
from transpike.neurons import Neuron
from transpike.parts import Finding
from transpike.report.leaving import promise
from transpike.report.wording import figures, in_turns, spiking_level

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def as_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    sys.stdout.write((value if isinstance(value, str) else json.dumps(value, indent=1)) + "\n")


@contextmanager
def watching(quiet: bool) -> Iterator[Watch]:
    """Give a watch that draws progress bars with the time left, on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=quiet) as bars:

        def watch(what: str, total: int | None) -> Callable[[int], None]:
            task = bars.add_task(what, total=total)
            return lambda by: bars.advance(task, by)

        yield watch


def table(title: str, *columns: str) -> Table:
    """Return an empty table; columns but the first are aligned right."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for i, column in enumerate(columns):
        made.add_column(column, justify="right" if i else "left")
    return made


def percent(value: float | None) -> str:
    """Word a fraction."""
    return "-" if value is None else f"{100 * value:.1f} %"


def inspection(result: Inspection) -> None:
    """Print what of a model converts, and why not."""
    rows = table(f"Operators of a model in the form: {escaped(result.form)}", "place in the model", "op", "under rate coding")
    for row in result.rows:
        rows.add_row(row.name, row.op, row.fate)
    out.print(rows)
    for refusal in result.refusals:
        out.print(f"[red]cannot convert[/red]  {escaped(refusal)}")
    obstacles = len(result.refusals)
    verdict = f"{obstacles} obstacle{'s' * (obstacles > 1)}: this model does not convert as it is."
    out.print("This model converts." if result.converts else verdict)


def converted(made: Network, folder: str, machine: bool) -> None:
    """Print a network that was just converted, for people or as JSON."""
    if not machine:
        network(made, folder)
        return
    method = dataclasses.asdict(made.method) if made.method else None
    as_json({"out": folder, "method": method, "findings": [dataclasses.asdict(one) for one in made.findings]})


def network(converted: Network, folder: str) -> None:
    """Print a network that was just converted."""
    neurons = converted.having(Neuron)
    name = converted.method.name if converted.method else "unnamed passes"
    rows = table(f"Converted: {name}", "layer of neurons", "thresholds", "least", "median", "greatest")
    for node in neurons:
        assert isinstance(node.op, Neuron)
        values = node.op.threshold.flatten()
        low, middle, high = (f"{float(value):.4g}" for value in (values.min(), values.median(), values.max()))
        rows.add_row(node.name, str(len(values)), low, middle, high)
    out.print(rows)
    findings(converted.findings)
    out.print(f"Saved in {escaped(folder)}: evaluate it with [bold]transpike evaluate {escaped(folder)}[/bold].")


def report(result: Report) -> None:
    """Print what a conversion cost."""
    names = [escaped(one.name) for one in result.metrics]
    rows = table(
        result.title, "time steps", "accuracy", *names, "spikes per neuron", "synaptic operations", "energy", "against ANN"
    )
    for point in result.checkpoints:
        one = point.energy[0]
        rows.add_row(
            str(point.time_steps),
            percent(point.accuracy),
            *(figures(one.after(point.time_steps)) for one in result.metrics),
            f"{point.spikes_per_neuron:.2f}",
            f"{point.synaptic_operations / 1e6:.3f} M",
            f"{one.snn:.3g} uJ",
            f"{one.ratio:.2f} x",
        )
    rows.add_section()
    ann = result.final.energy[0]
    macs = f"{result.ann_connections / 1e6:.3f} M MAC"
    values = [figures(one.reference) for one in result.metrics]
    rows.add_row("ANN", percent(result.reference_accuracy), *values, "-", macs, f"{ann.ann:.3g} uJ", "1.00 x")
    out.print(rows)
    out.print(spiking_level(result))
    for share, steps in result.latency.items():
        where = " of the last window" if result.turns else ""
        reached = f"from step {steps}{where} on" if steps else f"not within {result.time_steps} steps{where}"
        out.print(f"{share} of the ANN's accuracy: {reached}.")
    if result.turns:
        out.print(in_turns(**dataclasses.asdict(result.turns)))
    if result.accuracy is None:
        out.print(f"Relative error of the output after {result.time_steps} steps: {percent(result.output_error[-1])}.")
    if result.agreement:
        out.print(f"Same answer as the ANN after {result.time_steps} steps: {percent(result.agreement[-1])} of samples.")
    if result.exits:
        exits(result.exits, result)
    out.print(f"[dim]Energy per sample, {ann.model}. {ann.assumptions}[/dim]")
    if result.card:
        card(result.card)
    findings(result.findings)
    if result.diagnosis:
        diagnosis(result.diagnosis)


def card(found: Card) -> None:
    """Print the energy card: each budget against the ANN at each precision."""
    bits = f"ANN {found.final.bits} bits"
    rows = table("Energy card, per sample", "model", "SNN", "ANN float32", "ANN 8 bits", bits, f"SNN over {bits}")
    for one in found.final.budgets:
        energies = (one.snn, one.float32, one.int8, one.matched)
        ratio = one.ratio("matched")
        over = "-" if ratio is None else f"{ratio.value:.2g} x ({ratio.low:.2g} to {ratio.high:.2g})"
        rows.add_row(one.model, *("-" if energy is None else f"{energy.value:.3g} uJ" for energy in energies), over)
    out.print(rows)


def exits(found: Exits, result: Report) -> None:
    """Print what early exit promised, changed and saved."""
    columns = ("mean steps", "99 % within", "accuracy", "spikes per neuron", "energy")
    rows = table("Early exit, per sample", "run", *columns)
    accuracy = result.accuracy[-1] if result.accuracy else None
    for name, steps, within, right, spent in (
        ("whole", float(result.time_steps), result.time_steps, accuracy, result.final),
        ("to its exit", found.mean_steps, found.steps_99, found.accuracy, found),
    ):
        costs = (f"{spent.spikes_per_neuron:.2f}", f"{spent.energy[0].snn:.3g} uJ")
        rows.add_row(name, f"{steps:.1f}", str(within), percent(right), *costs)
    out.print(rows)
    out.print(promise(result))


def diagnosis(found: Diagnosis) -> None:
    """Print where the loss comes from."""
    causes = table("Where the loss comes from", "layer", "error", *CAUSES, "cost to the answer")
    for layer in found.layers:
        parts = (percent(layer.share(cause)) for cause in CAUSES)
        causes.add_row(escaped(layer.name), percent(layer.relative_error), *parts, percent(layer.cost))
    out.print(causes)
    findings(found.findings)


def findings(found: tuple[Finding, ...]) -> None:
    """Print findings with their advice."""
    for finding in found:
        mark = "[yellow]![/yellow]" if finding.severity == "warning" else "[cyan]-[/cyan]"
        out.print(f"{mark} {escaped(finding.message)} [dim]{escaped(finding.advice)}[/dim]")


def escaped(text: str) -> str:
    """Return text without markup: names come from files of others."""
    return text.replace("[", "\\[")
