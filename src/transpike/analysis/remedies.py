"""What a diagnosis says in words: what takes the accuracy, which layers cost most, and what to do about it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping

from transpike.analysis.diagnosis import OWN, Diagnosis, LayerLoss
from transpike.parts import Finding

NAMED = 3
WORTH_NAMING = 0.01  # of the answer's squared error
WORTH_A_WARNING = 0.01  # of the samples
MOSTLY = 0.5
FAR = 1000  # from here on the power of ten says enough


def remedies(diagnosis: Diagnosis, causes: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return the findings of a diagnosis, with what to do about each of the `causes`."""
    if diagnosis.answer_error == 0:
        return (Finding("no-loss", "The answers are the ANN's to the last bit.", "No action needed."),)
    return (*by_stage(diagnosis, causes), *costly_layers(diagnosis, causes), *inheriting(diagnosis), *loose_bound(diagnosis))


def by_stage(diagnosis: Diagnosis, causes: Mapping[str, str]) -> Iterator[Finding]:
    """Say how much of the loss is there once activations are clipped, once quantised as well, and only with spikes."""
    measure = next((m for m in ("accuracy", "agreement") if getattr(diagnosis.stages[0], m) is not None), None)
    if measure is None:
        worded = ", ".join(f"{100 * stage.output_error:.1f} % {stage.name}" for stage in diagnosis.stages[1:])
        yield Finding("loss-by-cause", f"The output's error against the ANN is {worded}.", causes[leading(diagnosis)])
        return
    values = [getattr(stage, measure) for stage in diagnosis.stages]
    lost = dict(zip(OWN, (before - after for before, after in itertools.pairwise(values)), strict=True))
    total = values[0] - values[-1]
    worst = max(OWN, key=lambda cause: lost[cause])
    parts = ", ".join(f"{cause} {points(lost[cause])}" for cause in OWN)
    what = "accuracy" if measure == "accuracy" else "agreement with the ANN"
    yield Finding(
        "loss-by-cause",
        f"{diagnosis.time_steps} time steps cost {points(total)} points of {what}: {parts}.",
        causes[worst] if total > 0 else "No action needed.",
        severity="warning" if total > WORTH_A_WARNING else "note",
    )


def points(fraction: float) -> str:
    """Word a difference of fractions in points, a gain as below 0."""
    return f"{100 * fraction:.1f}".replace("-0.0", "0.0")


def leading(diagnosis: Diagnosis) -> str:
    """Return the cause with the largest share in what the layers add."""
    return max(OWN, key=diagnosis.share)


def costly_layers(diagnosis: Diagnosis, causes: Mapping[str, str]) -> Iterator[Finding]:
    """Name the layers that cost the answer most, and what to do about them, in one finding for each cause."""
    named = [layer for layer in diagnosis.costliest[:NAMED] if layer.cost >= WORTH_NAMING]
    for cause in dict.fromkeys(layer.leading for layer in named):
        layers = [layer for layer in named if layer.leading == cause]
        listed = ", ".join(f"{layer.name} ({described(layer)})" for layer in layers)
        yield Finding(
            "costly-layers",
            f"Errors that these layers add cost the answer most, and are {cause} errors above all: {listed}.",
            causes[cause],
            node=layers[0].name,
            severity="warning" if max(layer.recovered or 0.0 for layer in layers) > WORTH_A_WARNING else "note",
        )


def described(layer: LayerLoss) -> str:
    """Word what a layer costs, as what would be if it alone added no error."""
    gain = ""
    if layer.recovered:
        verb = "more" if layer.recovered > 0 else "fewer"
        gain = f", {points(abs(layer.recovered))} % {verb} answers like the ANN's"
    return f"without its own, {100 * layer.cost:.0f} % less squared error{gain}"


def inheriting(diagnosis: Diagnosis) -> Iterator[Finding]:
    """Say where errors come from the layers before, and which of those to mend."""
    layers = [layer for layer in diagnosis.layers if layer.error > 0 and layer.share("inherited") > MOSTLY]
    if not layers:
        return
    most = max(layers, key=lambda layer: layer.share("inherited"))
    first = diagnosis.costliest[0]
    yield Finding(
        "inherited",
        f"{len(layers)} of {len(diagnosis.layers)} layers inherit most of their error from the layers before them, "
        f"{most.name} {100 * most.share('inherited'):.0f} %.",
        f"Mending those layers helps little: start with {first.name}, whose own error costs the answer most.",
        node=most.name,
    )


def loose_bound(diagnosis: Diagnosis) -> Iterator[Finding]:
    """Say how far the bound by the product of norms is from what was measured."""
    times = diagnosis.answer_bound / diagnosis.answer_error
    if math.isinf(times):
        return  # products and loops have no norm
    factor = f"{times:,.1f}" if times < FAR else f"about 10^{math.log10(times):.0f}"
    yield Finding(
        "loose-bound",
        f"The decoded answer is off by {100 * diagnosis.answer_error:.2g} % of its length; the product of the layers' norms "
        f"promises only that it is off by less than {factor} times that.",
        "The bound takes every error for the worst direction of every layer, so it is loose and grows with depth: choose "
        "layers by their measured cost, not by it.",
    )
