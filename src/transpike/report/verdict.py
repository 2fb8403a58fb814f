"""The few numbers that answer whether the conversion was worth it, worded honestly."""

from __future__ import annotations

from dataclasses import dataclass

from transpike.analysis import Report
from transpike.report.wording import MICROJOULES, accuracy_digits, figures, number, percent, scale, times


@dataclass(frozen=True)
class Tile:
    """A big number with its unit (or a few words), what it is, and what to compare it with."""

    value: str
    label: str
    note: str = ""

    @property
    def parts(self) -> tuple[str, str]:
        """The number and its unit; words alone are all unit."""
        first, _, rest = self.value.replace("\u00a0", " ").partition(" ")
        return (first, rest) if first[:1].isdigit() else ("", self.value)


def verdict(report: Report) -> list[Tile]:
    """Return the tiles of a report, without those that need labels if there were none."""
    labelled = report.accuracy is not None and report.reference_accuracy is not None
    answers = [accuracy(report), loss(report), *latency(report)] if labelled else likeness(report)
    return [*answers, *measured(report), spikes(report), energy(report)]


def steps(count: int) -> str:
    """Word a number of time steps."""
    return f"{count:,} time step{'' if count == 1 else 's'}"


def accuracy(report: Report) -> Tile:
    """Return the accuracy of both networks."""
    assert report.accuracy is not None
    digits = accuracy_digits(report.samples)
    return Tile(
        percent(report.accuracy[-1], digits),
        f"accuracy after {steps(report.time_steps)}",
        f"ANN: {percent(report.reference_accuracy, digits)}",
    )


def loss(report: Report) -> Tile:
    """Return the conversion loss in points; a gain is called one."""
    assert report.loss is not None
    points = number(100 * abs(report.loss), accuracy_digits(report.samples))
    if float(points) == 0:
        return Tile(f"{points} points", "lost against the ANN", "no measurable difference")
    verb = "lost against the ANN" if report.loss > 0 else "gained on the ANN"
    return Tile(f"{points} points", verb, f"{number(abs(report.loss) * report.samples, 0)} of {report.samples:,} samples, net")


def latency(report: Report) -> list[Tile]:
    """Return the steps until accuracy stays at the first share of the ANN's; the other shares are its note."""
    worded = [(name.replace("%", "\u00a0%"), step) for name, step in report.latency.items()]
    if not worded:
        return []
    (name, step), *others = worded
    notes = [f"{other}: {'not reached' if at is None else f'step {at:,}'}" for other, at in others]
    value = "not reached" if step is None else f"{step:,}"
    if report.turns is not None:
        notes.append(f"of the last of {report.turns.windows} windows, {report.turns.latency:,} steps altogether")
    return [Tile(value, f"time steps until accuracy stays at {name} of the ANN's", "; ".join(notes))]


def likeness(report: Report) -> list[Tile]:
    """Return how near the answers are to the ANN's, where no labels say which of them are right."""
    after = f"after {steps(report.time_steps)}"
    tiles = [] if report.agreement is None else [agreement(report.agreement[-1], report.samples, after)]
    note = "root mean square, relative to the ANN's output"
    return [*tiles, Tile(percent(report.output_error[-1]), f"error of the output {after}", note)]


def measured(report: Report) -> list[Tile]:
    """Return what else was measured after the last of its steps."""
    after = [f"{one.name} after {steps(one.steps[-1])}" for one in report.metrics]
    pairs = zip(report.metrics, after, strict=True)
    return [Tile(figures(one.values[-1]), label, f"ANN: {figures(one.reference)}") for one, label in pairs]


def agreement(fraction: float, samples: int, after: str) -> Tile:
    """Return how often both networks give the same answer."""
    return Tile(percent(fraction, accuracy_digits(samples)), f"same answer as the ANN {after}", "accuracy unknown: no labels")


def spikes(report: Report) -> Tile:
    """Return spikes per neuron and sample."""
    rate = number(report.spikes_per_neuron / report.time_steps, 3)
    note = f"{report.neurons:,} neurons; mean rate {rate} per step"
    return Tile(number(report.spikes_per_neuron, 2), "spikes per neuron and sample", note)


def energy(report: Report) -> Tile:
    """Return the energy against the ANN under the first model."""
    one = report.final.energy[0]
    unit = scale([one.snn, one.ann], MICROJOULES, 1)
    note = f"{unit.worded(one.snn)} against {unit.worded(one.ann)} per sample; {one.model}"
    return Tile(times(one.ratio), "energy against the ANN, arithmetic only", note)
