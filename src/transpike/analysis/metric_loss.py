"""What a report says of metrics in words."""

from __future__ import annotations

from collections.abc import Iterator

from transpike.analysis.advice import counted, elapsed, finer
from transpike.analysis.metric import Measured
from transpike.analysis.operations import Work
from transpike.analysis.report import Report
from transpike.parts import Finding

LOSS = 0.01  # a metric that is worse by more than this share of the ANN's is worth a warning
HALVED = 0.75  # an error that fell by less than this from one step taken to the next does not fall as 1/T


def metric_loss(report: Report, work: Work) -> Iterator[Finding]:  # noqa: ARG001 - one signature for all finders
    """Say how each metric of the spiking network stands to the ANN's, and what to do if it is worse."""
    for one in report.metrics:
        worse = one.loss if one.loss is not None else abs(one.values[-1] - one.reference)
        scale = abs(one.reference) or 1.0
        side = f"{one.name} is {one.values[-1]:.4g}, the ANN's {one.reference:.4g}"
        if not worse > LOSS * scale:
            yield Finding("metric", f"After {elapsed(report)} {side}.", "No action needed.")
            continue
        rising = None if report.turns or one.higher_is_better is None else still_better(one)
        yield Finding("metric-loss", f"After {elapsed(report)} {side}.", rising or finer(report), severity="warning")


def still_better(one: Measured) -> str | None:
    """Say so if a metric still moved towards the ANN's between its last two values."""
    if len(one.values) < 2:  # noqa: PLR2004 - nothing to compare
        return None
    before, after = (abs(value - one.reference) for value in one.values[-2:])
    if after > HALVED * before:
        return None
    return f"It was {one.values[-2]:.4g} after {counted(one.steps[-2], 'step')}: give it more time steps."
