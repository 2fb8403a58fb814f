"""What to do about an error, worded for how a code uses time: any number of steps, a window that it has, or first spikes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from transpike.analysis.report import Report
from transpike.recipe import RECIPES

ANOTHER = "(Recipe.with_window, or --window)"
ROOM = "calibrate on more samples, or make room for larger values: by a higher percentile where the recipe has one, and where "
ROOM += "thresholds are of least squared error, by a longer window."
PATIENT = (
    "Recipe ttfs-corrective takes such spikes back, ttfs-dynamic waits, and codes whose layers take turns, such as phase, "
)
PATIENT += "have none."


@dataclass(frozen=True)
class Advice:
    """The words of the findings that depend on how a code uses time."""

    finer: str  # how to lose less, where no limit is in the way
    full: str  # what neurons do that send the most they can
    overfull: str  # what to do about it
    silent: str  # what else to do about silent neurons than prune them
    clipped: str
    layers: str  # how errors of layers get smaller
    cheaper: str
    causes: Mapping[str, str]  # what to do about each cause of a diagnosis


STEPS = Advice(
    finer="More time steps will not help: raise the percentile of the thresholds, or calibrate on more samples.",
    full="fire at every step",
    overfull="They cannot send more: raise the percentile of the thresholds, or run more time steps if the run is short.",
    silent="run more time steps or lower the percentile.",
    clipped="The calibration samples may not represent these data: calibrate on more, or raise the percentile.",
    layers="It falls as 1/T: twice the steps halve it.",
    cheaper="Choose the fewest time steps that reach your accuracy.",
    causes={
        "clipping": "Raise the percentile of the thresholds, or calibrate on more samples, so that larger activations fit.",
        "quantisation": "Run more time steps, or fit the thresholds to so few of them: lower ones count in smaller units.",
        "unevenness": "Use neurons that can take spikes back (signed, with memory), read the answer out late so that early "
        "spikes do not count, or use a recipe that corrects layer by layer on what the spiking network really sends.",
    },
)
MOVED = "What neurons send here depends on no order of spikes, so that spikes were moved on their way: see passes.JitterSpikes."
EVEN = Advice(
    finer="Convert for more time steps, which make the window longer, and calibrate on more samples.",
    full="fire in every slot of their window",
    overfull="They cannot send more: calibrate on more samples, or convert for more time steps, which raise the thresholds.",
    silent="convert for more time steps, a longer window.",
    clipped="The calibration samples may not represent these data: calibrate on more, or convert for more time steps.",
    layers="Rounding falls as 1/T: convert for more time steps.",
    cheaper="Choose the fewest time steps, the shortest window, that reach your accuracy, and convert for so many.",
    causes={
        "clipping": "Calibrate on more samples, or convert for more time steps, which raise the thresholds.",
        "quantisation": "Convert for more time steps, which make the window longer.",
        "unevenness": MOVED,
    },
)
WINDOW = Advice(
    finer=f"Convert with a longer window {ANOTHER}, which tells more values apart.",
    full="send the largest value of their code",
    overfull=f"They cannot send more: {ROOM}",
    silent=f"their values are smaller than the least that is sent: convert with a longer window {ANOTHER}.",
    clipped=f"The calibration samples may not represent these data: {ROOM}",
    layers=f"A longer window {ANOTHER} rounds less.",
    cheaper=f"Choose the shortest window that reaches your accuracy {ANOTHER}: it answers sooner and sends fewer spikes.",
    causes={
        "clipping": ROOM[0].upper() + ROOM[1:],
        "quantisation": f"Convert with a longer window {ANOTHER}, which tells more values apart.",
        "unevenness": MOVED,
    },
)
EXACT = Advice(
    finer="Times are exact here, so only values beyond the largest of a spike are lost: calibrate on more samples.",
    full="send the largest value of their code",
    overfull="They cannot send more: calibrate on more samples.",
    silent="compare with the ANN in float64: times are exact.",
    clipped="The calibration samples may not represent these data: calibrate on more.",
    layers="Times are exact here, so values were clipped: calibrate on more samples.",
    cheaper="Neurons fire here for every value above 0: recipe phase-sparse keeps the smallest back and sends fewer spikes.",
    causes={
        "clipping": "Calibrate on more samples, so that larger activations fit.",
        "quantisation": "Times are exact here: what is left is the rounding of floats.",
        "unevenness": MOVED,
    },
)
LARGER = "Larger populations (Recipe.with_population) tell more values apart."
POPULATION = Advice(
    finer=f"{LARGER} With thresholds from a normal distribution the curve itself is off: take recipe population-quantile.",
    full="fire with all of their members",
    overfull="They stand for no more: calibrate on more samples.",
    silent="their values lie below the first threshold: calibrate on more samples.",
    clipped="The calibration samples may not represent these data: calibrate on more.",
    layers=LARGER,
    cheaper="Choose the smallest populations that reach your accuracy (Recipe.with_population): spikes grow with their size.",
    causes={
        "clipping": "Calibrate on more samples, so that larger values fit.",
        "quantisation": f"{LARGER} With drawn thresholds recipe population-quantile is nearer to the curve at the same size.",
        "unevenness": MOVED,
    },
)
FIRST_SPIKES = Advice(
    finer=f"Neurons fire before all of their inputs have arrived. {PATIENT}",
    full="stand for the largest value or more",
    overfull=f"They fire before all of their inputs have arrived. {PATIENT}",
    silent=f"their spikes would come after the end: convert with a longer window {ANOTHER}.",
    clipped="The calibration samples may not represent these data: calibrate on more.",
    layers=f"A neuron errs that fires before all of its inputs have arrived. {PATIENT}",
    cheaper=f"Choose the shortest window that reaches your accuracy {ANOTHER}.",
    causes={},  # they keep no sum of what they send, so they are not diagnosed
)


def advice(*, in_turns: bool, own_window: bool, steps: int, members: int = 1) -> Advice:
    """Return the words for a code: whether its layers take turns, whether its window is its own, and the steps of that.

    `members` is how many neurons stand for one value.
    """
    if members > 1:
        return POPULATION
    if not in_turns:
        return FIRST_SPIKES if own_window else STEPS
    if not own_window:
        return EVEN
    return EXACT if steps == 1 else WINDOW


def advice_of(report: Report) -> Advice:
    """Return the words for the code of a report."""
    return advice(
        in_turns=report.turns is not None, own_window=report.own_window, steps=report.time_steps, members=report.members
    )


def finer(report: Report) -> str:
    """Word how the network of a report may lose less where no limit is in its way."""
    fitted = f"{report.method.name.split(',')[0]}-sbg"
    also = f" In deep networks recipe {fitted} helps: it fits a bias and a gain to each layer." if fitted in RECIPES else ""
    return advice_of(report).finer + also


def elapsed(report: Report) -> str:
    """Word how long a run took."""
    steps = counted(report.time_steps, "step")
    if report.turns is None:
        return steps
    windows = counted(report.turns.windows, "window")
    return windows if report.time_steps == 1 else f"{windows} of {steps}"


def counted(count: int, what: str) -> str:
    """Word a number of things."""
    return f"{count} {what}{'' if count == 1 else 's'}"
