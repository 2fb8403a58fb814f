"""A brain-computer interface as spikes: the recipe that keeps a latency in milliseconds and a firing rate in hertz.

    python benchmarks/brain_interface.py [--subject 1 4] [--latency-ms 100] [--max-hz 100] [--step-ms 1] [--trials 60]
        [--figure docs/pictures/brain-computer-interface]

The networks are those of benchmarks/motor_imagery.py, trained if they are not there. `tp.search` calibrates and judges on
sessions 1 to 3 alone; what it tried and what it chose is then run on sessions 4 and 5. Latency is the time from the end of the
3 seconds of signal to the answer. Population codes are left out: with a thousand neurons for each value they keep nearly any
budget; and so is `ttfs-exact`, whose spikes have real times and wait for no step. Needs TRANSPIKE_DATA.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import transpike as tp
from keeping import Data, accuracy
from motor_imagery import BAND_POWERS, SUBJECTS, ImageryReader, motor_imagery
from tables import keep, show
from transpike.errors import TranspikeWarning
from transpike.report import save_figure
from transpike.report.curves import log_axis, percent_axis
from transpike.report.style import BLACK, BLUE, GREY, HEIGHT, ORANGE, SMALL, VERMILION, new_figure, styled
from transpike.report.wording import plain
from transpike.selection import Trial

LEFT_OUT = ("population-normal", "population-quantile", "population-calibrated", "ttfs-exact")
TRIED = tuple(name for name in tp.recipes if name not in LEFT_OUT)


@dataclass(frozen=True)
class Tested:
    """A conversion on sessions 4 and 5, calibrated on all of sessions 1 to 3: what was measured there, and where it stands."""

    trial: Trial  # as measured on sessions 4 and 5
    ms: float
    hz: float
    kept: bool  # whether it keeps the limits on the samples that judged
    chosen: bool


@dataclass(frozen=True)
class Outcome:
    """What came of one subject."""

    subject: int
    ann: float
    selection: tp.Selection
    tested: tuple[Tested, ...]

    @property
    def chosen(self) -> Tested | None:
        return next((one for one in self.tested if one.chosen), None)


def tested(model: ImageryReader, training: Data, test: Data, trial: Trial, selection: tp.Selection) -> Tested:
    """Convert as a trial did, with all training samples, and run the test sessions."""
    recipe = trial.chosen_recipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TranspikeWarning)
        network = tp.convert(model, training, recipe, time_steps=None if recipe.has_window else trial.time_steps)
    report = tp.evaluate(model, network, test, None if recipe.has_window else trial.time_steps)
    assert report.accuracy is not None
    assert report.agreement is not None
    busiest = max(layer.spikes_per_neuron for layer in report.layers) / report.time_steps
    measured = replace(
        trial,
        accuracy=report.accuracy[-1],
        agreement=report.agreement[-1],
        spikes_per_neuron=report.spikes_per_neuron,
        energy=report.final.energy[0].ratio,
        time_steps=report.time_steps,
        busiest=busiest,
    )
    limits = selection.limits
    kept = limits.excess(trial) == 0
    return Tested(measured, limits.milliseconds(measured), limits.hertz(measured), kept, trial == selection.best)


def searched(subject: int, limits: tp.Limits, trials: int) -> Outcome:
    """Search a recipe for the network of one subject, and test what was tried."""
    model, training, test = motor_imagery(subject)
    selection = tp.search(model, training, limits, recipes=TRIED, trials=trials)
    found = tuple(tested(model, training, test, trial, selection) for trial in selection.trials)
    return Outcome(subject, accuracy(model, test), selection, found)


def row(outcome: Outcome) -> dict:
    """What the chosen network does on sessions 4 and 5."""
    made = {"subject": outcome.subject, "ANN %": f"{outcome.ann:.2f}", "linear %": BAND_POWERS[outcome.subject]}
    one = outcome.chosen
    if one is None:
        return made | {"recipe": "none keeps the budget"}
    trial = one.trial
    return made | {
        "recipe": trial.recipe if trial.percentile is None else f"{trial.recipe}, percentile {trial.percentile:g}",
        "SNN %": f"{100 * (trial.accuracy or 0):.2f}",
        "same decisions %": f"{100 * trial.agreement:.2f}",
        "latency ms": f"{one.ms:g}",
        "rate Hz": f"{one.hz:.1f}",
        "spikes per neuron": f"{trial.spikes_per_neuron:.3f}",
        "energy / ANN's": f"{trial.energy:.2f}",
        "tried": len(outcome.tested),
        "within the budget": sum(each.kept for each in outcome.tested),
    }


@styled
def drawn(outcome: Outcome, latency_ms: float) -> Any:
    """Draw accuracy on sessions 4 and 5 against latency: all that was tried, and the budget."""
    figure = new_figure(1.15 * HEIGHT)
    axes = figure.subplots()
    line: dict[str, Any] = {"linewidth": 1.2, "zorder": 1}
    axes.axhline(outcome.ann / 100, color=BLACK, linestyle=(0, (5, 3)), label="ANN", **line)
    axes.axhline(BAND_POWERS[outcome.subject] / 100, color=GREY, linestyle=(0, (1, 2)), label="linear, band powers", **line)
    axes.axvline(
        latency_ms, color=VERMILION, label=f"budget: {latency_ms:g} ms, {outcome.selection.limits.max_hz:g} Hz", **line
    )
    late = [one for one in outcome.tested if not one.kept and one.ms > latency_ms]
    busy = [one for one in outcome.tested if not one.kept and one.ms <= latency_ms]
    kept = [one for one in outcome.tested if one.kept and not one.chosen]
    kinds: tuple[tuple[list[Tested], str, str, dict[str, Any]], ...] = (
        (late, "x", "tried: too late", {"color": GREY, "markersize": 5}),
        (busy, "^", "tried: fires too much or not binary", {"color": VERMILION, "markersize": 5, "markerfacecolor": "white"}),
        (kept, "o", "tried: within the budget", {"color": BLUE, "markersize": 5}),
        ([one for one in outcome.tested if one.chosen], "*", "chosen", {"color": ORANGE, "markersize": 15}),
    )
    for points, marker, label, look in kinds:
        if points:
            places, heights = zip(*((one.ms, one.trial.accuracy) for one in points), strict=True)
            axes.plot(places, heights, marker, linestyle="", label=label, zorder=3, **look)
    log_axis(axes.xaxis, [latency_ms, *(one.ms for one in outcome.tested)], plain)
    axes.set_xlabel("Latency (ms)")
    percent_axis(axes, "accuracy")
    figure.legend(loc="outside upper left", ncols=2, fontsize=SMALL)
    return figure


def main(given: argparse.Namespace) -> None:
    limits = tp.Limits.timed(given.latency_ms, given.max_hz, step_ms=given.step_ms)
    rows, kept = [], []
    for subject in given.subject:
        outcome = searched(subject, limits, given.trials)
        rows.append(row(outcome))
        kept.append({"subject": subject, "ann": outcome.ann, "tested": [asdict(one) for one in outcome.tested]})
        print(rows[-1], flush=True)
        if given.figure is not None:
            save_figure(drawn(outcome, given.latency_ms), Path(f"{given.figure}-{subject}.svg"))
    budget = f"{given.latency_ms:g} ms, {given.max_hz:g} Hz, steps of {given.step_ms:g} ms"
    show(f"Motor imagery on sessions 4 and 5 within {budget}", rows)
    keep(f"brain_interface-{given.latency_ms:g}-{given.max_hz:g}-{given.step_ms:g}", {"rows": rows, "tested": kept})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subject", nargs="+", type=int, choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--latency-ms", type=float, default=100.0)
    parser.add_argument("--max-hz", type=float, default=100.0)
    parser.add_argument("--step-ms", type=float, default=1.0)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--figure", help="draw a picture for each subject; its path without the subject and .svg")
    main(parser.parse_args())
