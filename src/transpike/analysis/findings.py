"""What a report says in words, with advice; each finder looks at one thing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence

from transpike.analysis.advice import ANOTHER, advice_of, counted, elapsed, finer
from transpike.analysis.metric_loss import metric_loss
from transpike.analysis.operations import Work
from transpike.analysis.report import Checkpoint, Layer, Report
from transpike.analysis.saving import saving
from transpike.exits import broken, shortfall
from transpike.parts import Finding

LOSS = 0.01  # a loss of more than one point is worth a warning
SATURATED = 0.01
SILENT = 0.5
CLIPPED = 0.005
POOR_LAYER = 0.2
STILL_RISING = 0.005
FEW_SAMPLES = 500
BREAK_EVEN_SPIKES = 1.72
EQUAL = 1.05  # ratios nearer to 1 than this are called equal
NAMED = 3


def find(report: Report, work: Work) -> Report:
    """Return the report with its findings, gravest first."""
    found = [finding for finder in FINDERS for finding in finder(report, work)]
    everything = [*found, *merged_dead(report.findings)]
    ordered = sorted(everything, key=lambda finding: finding.severity != "warning")
    return dataclasses.replace(report, findings=tuple(ordered))


def points(fraction: float) -> str:
    """Word a difference of accuracies."""
    return f"{100 * fraction:.1f} points"


def named(layers: list[Layer], measure: Callable[[Layer], float]) -> str:
    """Word the worst few layers with their measure in percent."""
    worst = sorted(layers, key=measure, reverse=True)[:NAMED]
    listed = ", ".join(f"{layer.name} ({100 * measure(layer):.1f} %)" for layer in worst)
    more = len(layers) - len(worst)
    return listed + (f" and {more} more" if more else "")


def accuracy_loss(report: Report, work: Work) -> Iterator[Finding]:  # noqa: ARG001 - one signature for all finders
    if report.accuracy is None or report.loss is None:
        return
    after = f"After {elapsed(report)} the network"
    if report.loss <= LOSS:
        lost = "loses nothing" if report.loss <= 0 else f"loses {points(report.loss)}"
        yield Finding("accuracy", f"{after} {lost} against the ANN.", "No action needed.")
        return
    lost = f"{after} loses {points(report.loss)} against the ANN."
    yield Finding("accuracy-loss", lost, over_time(report, report.accuracy) or finer(report), severity="warning")


def over_time(report: Report, accuracy: Sequence[float]) -> str | None:
    """Word what the course of the accuracy advises; None where it says nothing, as while the last of all windows passes."""
    steps = len(accuracy)
    if report.turns is not None:
        return None
    peak = max(accuracy)
    if peak - accuracy[-1] > STILL_RISING:
        higher = f"It peaked {points(peak - accuracy[-1])} higher at step {accuracy.index(peak) + 1}"
        if report.own_window:
            return f"{higher}: convert with that window {ANOTHER}."
        return f"{higher}: activations are clipped. Raise the percentile."
    gain = accuracy[-1] - accuracy[3 * steps // 4 - 1] if steps >= 4 else 1.0  # noqa: PLR2004 - quarters
    if gain <= STILL_RISING:
        return None
    more = f"convert with a longer window {ANOTHER}" if report.own_window else "give it more time steps"
    return f"It still rose by {points(gain)} over the last quarter of the run: {more}."


def uncertainty(report: Report, work: Work) -> Iterator[Finding]:  # noqa: ARG001
    if report.accuracy is None or report.samples >= FEW_SAMPLES or report.places > 1:
        return
    p = report.accuracy[-1]
    error = math.sqrt(max(p * (1 - p), 0.25 / report.samples) / report.samples)
    yield Finding(
        "few-test-samples",
        f"Accuracies rest on {report.samples} samples: their standard error is about {points(error)}.",
        "Differences smaller than twice that mean nothing: evaluate more samples before you choose between networks.",
    )


def saturation(report: Report, work: Work) -> Iterator[Finding]:  # noqa: ARG001
    if layers := [layer for layer in report.layers if layer.saturated > SATURATED]:
        yield Finding(
            "saturated",
            f"Neurons {advice_of(report).full} in {named(layers, lambda layer: layer.saturated)}.",
            advice_of(report).overfull,
            node=layers[0].name,
            severity="warning",
        )


def silence(report: Report, work: Work) -> Iterator[Finding]:  # noqa: ARG001
    if layers := [layer for layer in report.layers if layer.silent > SILENT]:
        yield Finding(
            "silent",
            f"More than half of the neurons never fire in {named(layers, lambda layer: layer.silent)}.",
            f"If the ANN's units are as silent, they can be pruned; if not, {advice_of(report).silent}",
            node=layers[0].name,
        )


def clipping(report: Report, work: Work) -> Iterator[Finding]:  # noqa: ARG001
    if layers := [layer for layer in report.layers if layer.clipped > CLIPPED]:
        yield Finding(
            "clipped",
            f"ANN activations exceed the threshold in {named(layers, lambda layer: layer.clipped)}.",
            advice_of(report).clipped,
            node=layers[0].name,
            severity="warning",
        )


def poor_layers(report: Report, work: Work) -> Iterator[Finding]:  # noqa: ARG001
    if layers := [layer for layer in report.layers if layer.error > POOR_LAYER]:
        first = layers[0]
        yield Finding(
            "layer-error",
            f"Decoded activations differ most from the ANN's in {named(layers, lambda layer: layer.error)}.",
            f"The error first exceeds 20 % in {first.name}: errors grow from layer to layer, so look there first. "
            f"{advice_of(report).layers}",
            node=first.name,
            severity="warning" if (report.loss or 0) > LOSS else "note",
        )


def dense_currents(report: Report, work: Work) -> Iterator[Finding]:
    if work.current_nodes:
        relays = " What products give are numbers up to the next neurons: Recipe.with_relays() puts some before weights."
        computed = f" Functions ({', '.join(work.functions[:NAMED])}) give numbers, no spikes, up to the next neurons."
        offered = report.turns is not None and (work.products or work.count_products)
        merge = " Merge two linear layers in a row, or put a ReLU between them and fine-tune."
        yield Finding(
            "dense-currents",
            f"{len(work.current_nodes)} layers ({', '.join(work.current_nodes[:NAMED])} ...) read currents instead of "
            f"spikes, since no neurons stand right before them: {report.current_macs:,} multiply-accumulates per step.",
            "They are charged as such at every step." + (relays if offered else computed if work.functions else merge),
            node=work.current_nodes[0],
            severity="warning",
        )


def products(report: Report, work: Work) -> Iterator[Finding]:
    if work.products:
        where = "Take Recipe.with_products(MultiplyCounts())" if report.members > 1 else "In population coding they can be"
        yield Finding(
            "products",
            f"{len(work.products)} layers ({', '.join(work.products[:NAMED])} ...) multiply what two signals stand for, which "
            f"no spikes do: {work.multiplications:,} multiplications per sample.",
            f"{where}: products of numbers of spikes, where each spike adds the other factor.",
            node=work.products[0],
        )
    if work.count_products:
        yield Finding(
            "count-products",
            f"{len(work.count_products)} layers ({', '.join(work.count_products[:NAMED])} ...) multiply numbers of spikes: "
            "each spike adds the other factor once.",
            "These additions are among the synaptic operations.",
            node=work.count_products[0],
        )


def energy(report: Report, work: Work) -> Iterator[Finding]:  # noqa: ARG001
    final = report.final
    if final.energy[0].ann == 0:
        return
    spikes = final.spikes_per_neuron
    cheap = spikes < BREAK_EVEN_SPIKES
    break_even = (
        f"Memory traffic alone eats the gain above {BREAK_EVEN_SPIKES} spikes per neuron (Davidson and Furber 2021); "
        f"this run is {'below' if cheap else 'above'}."
    )
    yield Finding(
        "energy",
        f"After {elapsed(report)}: {compared(final)} by arithmetic alone ({final.energy[0].model}), at {spikes:.2f} spikes per "
        "neuron.",
        f"{break_even} {sooner(report)}",
        severity="note" if cheap and final.energy[0].ratio < 1 else "warning",
    )


def compared(point: Checkpoint) -> str:
    """Word the energy at some point of a run against the ANN's."""
    ratio = point.energy[0].ratio
    if ratio == 0:
        words = "no energy, against the float32 ANN"
    elif 1 / EQUAL < ratio < EQUAL:
        words = "about as much energy as the float32 ANN"
    else:
        words = f"{1 / ratio:.1f} times less" if ratio < 1 else f"{ratio:.1f} times MORE"
        words += " energy than the float32 ANN"
    return words


def sooner(report: Report) -> str:
    """Word what stopping at 99 % of the ANN's accuracy would save, and how to; a last window cannot be cut short."""
    cheaper = advice_of(report).cheaper
    first = None if report.turns else report.latency.get("99%")
    early = next((point for point in report.checkpoints if first is not None and point.time_steps >= first), None)
    if early is None or early.accuracy is None or early is report.final:
        return cheaper
    return (
        f"After {counted(early.time_steps, 'step')}: {compared(early)}, at {100 * early.accuracy:.1f} % accuracy and "
        f"{early.spikes_per_neuron:.2f} spikes per neuron: {cheaper[0].lower()}{cheaper[1:]}"
    )


def unfinished(report: Report, work: Work) -> Iterator[Finding]:  # noqa: ARG001
    extra = report.method.extra_steps
    if extra >= report.time_steps:
        yield Finding(
            "unfinished",
            f"The run ended after {report.time_steps} steps, but recipe {report.method.name!r} corrects its neurons for "
            f"{extra} steps before the answer is read: this answer is a provisional one.",
            f"Simulate more than {extra} time steps, such as {extra + report.time_steps}, or choose another recipe.",
            severity="warning",
        )


def early_exit(report: Report, work: Work) -> Iterator[Finding]:  # noqa: ARG001
    exits = report.exits
    if exits is None:
        return
    seen = round(exits.changed * report.samples)
    if exits.margin is None:
        yield shortfall(exits.calibrated, exits.loss, exits.confidence)
    elif exits.time_steps != report.time_steps:
        yield Finding(
            "other-time-steps",
            f"The margin of early exit was calibrated for {exits.time_steps} steps, but the run has {report.time_steps}: "
            "nothing is promised of its decisions.",
            f"Simulate {exits.time_steps} steps, or calibrate again with time_steps={report.time_steps}.",
            severity="warning",
        )
    elif broken(seen, report.samples, exits.loss, exits.confidence):
        yield Finding(
            "broken-promise",
            f"Early exit changed {seen} of {report.samples:,} decisions, more than the {100 * exits.loss:g} % that were "
            "promised and than chance explains.",
            "These samples differ from those that calibrated the margin, which the ANN may have been trained on: calibrate on "
            "samples like these; labels are not needed.",
            severity="warning",
        )


def merged_dead(findings: tuple[Finding, ...]) -> Iterator[Finding]:
    """Yield findings of the conversion, those about dead channels as one."""
    dead = [finding for finding in findings if finding.kind == "dead-channels"]
    yield from (finding for finding in findings if finding.kind != "dead-channels")
    if len(dead) == 1:
        yield dead[0]
    elif dead:
        listed = ", ".join(finding.node or "" for finding in dead[:NAMED])
        more = f" and {len(dead) - NAMED} more" if len(dead) > NAMED else ""
        yield Finding(
            "dead-channels",
            f"Some channels of {len(dead)} layers ({listed}{more}) are 0 on every calibration sample.",
            dead[0].advice,
            node=dead[0].node,
        )


FINDERS: tuple[Callable[[Report, Work], Iterator[Finding]], ...] = (
    unfinished,
    accuracy_loss,
    metric_loss,
    uncertainty,
    saturation,
    clipping,
    poor_layers,
    dense_currents,
    products,
    silence,
    energy,
    saving,
    early_exit,
)
