"""What the command line does with networks that write text."""

from __future__ import annotations

from pathlib import Path

from transpike.analysis import Perplexity, perplexity
from transpike.calibration import Watch, unwatched
from transpike.data import Batch
from transpike.datasets import TEST
from transpike.frontends import load_model
from transpike.jobs import STEPS, DataChoice, playing
from transpike.network.turns import steps_for


def perplexity_of(
    network: str | Path,
    data: DataChoice,
    time_steps: int | None,
    *,
    ignored: int | None = None,
    model: str | None = None,
    weights: str | None = None,
    watch: Watch = unwatched,
) -> Perplexity:
    """Return the perplexity of a saved network on sequences; `time_steps` None takes its window, or 64."""
    loaded, given = playing(network, data, TEST, time_steps)
    samples, steps = given.whole(), steps_for(loaded, time_steps, STEPS)
    advance = watch(f"Simulating {steps} steps", len(samples))
    original = load_model(model, weights).module if model else None
    return perplexity(original, loaded, Batch(samples.inputs), steps, ignored=ignored, progress=advance)
