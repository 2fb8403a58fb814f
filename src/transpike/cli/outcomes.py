"""Tables of predictions and searches, and what early exit comes to."""

from __future__ import annotations

import math
from dataclasses import asdict

from transpike.analysis import Draws, Tolerance
from transpike.cli import show
from transpike.exits import exit_of
from transpike.network import Network
from transpike.prediction import Estimate, Prediction
from transpike.selection import Limits, NoiseChoice, Selection, Trial


def prediction(result: Prediction) -> None:
    """Print what a network will answer."""
    rows = show.table(f"Predicted: {show.escaped(result.method)}", "time steps", "accuracy", "agreement", "off by", "passes")
    for estimate in result.best:
        rows.add_row(str(estimate.time_steps), *estimated(estimate))
    rows.add_section()
    rows.add_row("clipped only", *estimated(result.clipped))
    if result.reference_accuracy is not None:
        rows.add_row("ANN", show.percent(result.reference_accuracy), show.percent(1.0), "-", "1")
    show.out.print(rows)
    if result.simulated:
        show.out.print(f"Corrected by what {result.simulated} simulated samples showed; without labels.")
    show.out.print("[dim]Off by: the most that was measured on ResNet-20 and ResNet-56, in points.[/dim]")
    show.findings(result.findings)


def estimated(estimate: Estimate) -> tuple[str, str, str, str]:
    """Word one estimate."""
    band = "unknown" if estimate.band is None else f"{estimate.band:g}"
    return show.percent(estimate.accuracy), show.percent(estimate.agreement), band, str(estimate.passes)


def draws(result: Draws) -> None:
    """Print what populations of each size come to."""
    sizes = list(dict.fromkeys(row.size for row in result.rows))
    columns = [f"{size:,} neurons" for size in sizes]
    rows = show.table(f"{show.escaped(result.recipe)}, {result.samples} samples", "alone", *columns)
    for name in dict.fromkeys(row.name for row in result.rows):
        found = [row for row in result.rows if row.name == name]
        rows.add_row(show.escaped(name), *[f"{100 * row.mean:.1f} ± {100 * row.deviation:.1f} %" for row in found])
    show.out.print(rows)
    show.out.print(
        f"[dim]ANN {show.percent(result.reference_accuracy)}; mean and standard deviation of the accuracy over "
        f"{len(result.rows[0].accuracy)} draws of the thresholds, the other activations as in the ANN.[/dim]"
    )


def tolerance(result: Tolerance) -> None:
    """Print what a network bears."""
    rows = show.table(f"Accuracy on {result.samples} samples with faults", result.fault, "accuracy", "as the ANN", "draws")
    for row in result.rows:
        agreement = sum(row.agreement) / len(row.agreement)
        accuracy = f"{100 * row.mean:.1f} ± {100 * row.deviation:.1f} %"
        rows.add_row(f"{row.level:g}", accuracy, show.percent(agreement), str(len(row.accuracy)))
    show.out.print(rows)
    show.out.print(
        f"[dim]ANN {show.percent(result.reference_accuracy)}; mean and standard deviation over draws of the fault. Without "
        "labels, right is what the ANN says.[/dim]"
    )


def selection(result: Selection, folder: str) -> None:
    """Print what a search found."""
    columns = ("recipe", "steps", "distance", "agree", "right", "spikes", "bits", "energy")
    physical = () if result.limits.step_ms is None else ("ms", "Hz")
    rows = show.table(f"Best of {len(result.trials)} conversions, on {result.held_out} held-out samples", *columns, *physical)
    for trial in result.front:
        rows.add_row(*tried(trial), *timed(trial, result.limits), style="bold" if trial == result.best else "")
    show.out.print(rows)
    valued = any(trial.agreement is None for trial in result.trials)
    measure = "relative squared error of the outputs" if valued else "KL divergence of the SNN's softmax from the ANN's in nats"
    for refusal in result.refusals:
        show.out.print(f"[yellow]left out[/yellow]  {show.escaped(refusal)}")
    show.out.print(f"[dim]Distance: {measure}, which decides; spikes per neuron and sample.[/dim]")
    if result.best is None:
        show.out.print("No conversion keeps the limits: allow more time steps, spikes, hertz or energy, or more --trials.")
        return
    show.out.print(f"Nearest to the ANN: {named(result.best)} at {result.best.latency} steps.")
    network = show.escaped(f"{folder}/network")
    show.out.print(f"Saved in {network}: evaluate it on test data with [bold]transpike evaluate {network}[/bold].")


def named(trial: Trial) -> str:
    """Name a conversion."""
    return trial.recipe if trial.percentile is None else f"{trial.recipe}, percentile {trial.percentile:g}"


def tried(trial: Trial) -> tuple[str, ...]:
    """Word one conversion."""
    shares = (show.percent(trial.agreement), show.percent(trial.accuracy))
    costs = (f"{trial.spikes_per_neuron:.2f}", str(trial.bits_per_spike), f"{trial.energy:.2f} x")
    return (named(trial), str(trial.latency), f"{trial.divergence:.4f}", *shares, *costs)


def timed(trial: Trial, limits: Limits) -> tuple[str, ...]:
    """Word latency and firing rate of a conversion where steps have a duration."""
    return () if limits.step_ms is None else (f"{limits.milliseconds(trial):g}", f"{limits.hertz(trial):.1f}")


def noise(choice: NoiseChoice, time_steps: int) -> None:
    """Print what each percentile lost on noise."""
    rows = show.table(f"Answers to noise that differ from the ANN's, {time_steps} steps", "percentile", "loss", "divergence")
    for row in choice.losses:
        look = "bold" if row == choice.best else ""
        rows.add_row(f"{row.percentile:g}", show.percent(row.loss), f"{row.divergence:.4f}", style=look)
    show.out.print(rows)
    show.out.print(f"Convert with --percentile {choice.best.percentile:g}.")


def exit_values(network: Network) -> dict[str, object]:
    """Return the promise of a network whose samples exit early as plain values; the margin is None if there is none."""
    rule = exit_of(network)
    assert rule is not None
    values = {name: getattr(rule, name) for name in ("time_steps", "loss", "confidence", "samples")}
    margin = None if math.isinf(rule.margin) else rule.margin
    return {"margin": margin, **values, "findings": [asdict(finding) for finding in network.findings]}
