"""What the command line does before a simulation: predict, search what to convert with, let samples exit early."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Sequence
from pathlib import Path

from transpike.analysis import Draws, draw_populations
from transpike.calibration import Watch, unwatched
from transpike.conversion import convert
from transpike.datasets import TEST, TRAIN
from transpike.errors import TranspikeWarning
from transpike.exits import early_exit
from transpike.files import write_text
from transpike.frontends import load_model
from transpike.jobs import NETWORK, DataChoice, playing
from transpike.network import Network
from transpike.network.archive import save
from transpike.prediction import Prediction, predict
from transpike.preparation import Preparation
from transpike.recordings import play
from transpike.report import predicted_over_time, save_figure, search_front
from transpike.selection import Limits, NoiseChoice, Selection, percentile_by_noise, search
from transpike.selection.noise import PERCENTILES

PREDICTION, SELECTION, NOISE = "prediction.json", "search.json", "noise.json"


def predict_network(
    network: str | Path,
    data: DataChoice,
    time_steps: int,
    out: str | Path,
    *,
    simulated: int = 0,
    model: str | None = None,
    weights: str | None = None,
    watch: Watch = unwatched,
) -> Prediction:
    """Predict how a saved network will answer, and write `prediction.json` and its picture into the folder `out`."""
    loaded, samples = playing(network, data, TEST, time_steps)
    prediction = predict(
        loaded,
        samples,
        time_steps,
        load_model(model, weights).module if model else None,
        simulated=simulated,
        progress=watch(f"Predicting {time_steps} steps", len(samples)),
    )
    prediction.save(Path(out) / PREDICTION)
    for suffix in (".svg", ".png"):
        save_figure(predicted_over_time(prediction), Path(out) / f"predicted_over_time{suffix}")
    return prediction


def draw_sizes(
    model: str,
    weights: str | None,
    data: DataChoice,
    recipe: str,
    sizes: tuple[int, ...],
    draws: int,
    *,
    watch: Watch = unwatched,
) -> Draws:
    """Return how accurate a model is with populations of some sizes, drawn some times; see `transpike.draw_populations`."""
    loaded, rows = load_model(model, weights), watch("Drawing populations", 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TranspikeWarning)
        train, test = (data.load(purpose, loaded.preparation).means() for purpose in (TRAIN, TEST))
        return draw_populations(loaded.module, train, test, recipe, sizes=sizes, draws=draws, progress=rows)


def hasten_network(
    network: str | Path,
    data: DataChoice,
    time_steps: int,
    out: str | Path,
    *,
    loss: float,
    confidence: float,
    watch: Watch = unwatched,
) -> Network:
    """Let the samples of a saved network exit early, calibrated on `data`, and save it in the folder `out`."""
    loaded, samples = playing(network, data, TRAIN, time_steps)
    preparation = Preparation.load(network)
    advance = watch(f"Simulating {time_steps} steps", len(samples))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TranspikeWarning)  # they are findings of the network, which are shown
        hastened = early_exit(loaded, samples, time_steps, loss=loss, confidence=confidence, progress=advance)
    save(hastened, out)
    preparation.save(out)
    return hastened


def search_recipe(
    model: str,
    weights: str | None,
    data: DataChoice,
    limits: Limits,
    out: str | Path,
    *,
    recipes: Sequence[str] | None = None,
    trials: int = 40,
    seed: int = 0,
    resume: bool = False,
    watch: Watch = unwatched,
) -> Selection:
    """Search a recipe within limits; write `search.json`, its picture and the best network into the folder `out`."""
    loaded, folder = load_model(model, weights), Path(out)
    given = data.in_steps(limits.time_steps).load(TRAIN, loaded.preparation)
    samples = given.means()
    advance = watch("Searching", trials)
    found = search(
        loaded.module,
        samples,
        limits,
        recipes=recipes,
        trials=trials,
        seed=seed,
        folder=folder,
        resume=resume,
        progress=advance,
    )
    found.save(folder / SELECTION)
    for suffix in (".svg", ".png"):
        save_figure(search_front(found), folder / f"search_front{suffix}")
    if found.best is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TranspikeWarning)  # they are findings of the network, which is saved
            best = convert(loaded.module, samples, found.best.chosen_recipe(), time_steps=found.best.time_steps)
        best = best if given.frames is None else play(best, given.frames, given.step_ms)
        save(best, folder / NETWORK)
        loaded.preparation.save(folder / NETWORK)
    return found


def search_percentile(
    model: str,
    weights: str | None,
    data: DataChoice,
    time_steps: int,
    out: str | Path,
    *,
    recipe: str = "rate",
    seed: int = 0,
    watch: Watch = unwatched,
) -> NoiseChoice:
    """Choose the percentile on noise; write `noise.json` into the folder `out`."""
    loaded = load_model(model, weights)
    samples = data.in_steps(time_steps).load(TRAIN, loaded.preparation).means()
    advance = watch("Percentiles on noise", len(PERCENTILES))
    choice = percentile_by_noise(loaded.module, samples, time_steps, recipe, seed=seed, progress=advance)
    write_text(Path(out) / NOISE, json.dumps(noise_values(choice, time_steps), indent=1))
    return choice


def noise_values(choice: NoiseChoice, time_steps: int) -> dict[str, object]:
    """Return a choice of percentile as plain values."""
    losses = [dataclasses.asdict(row) for row in choice.losses]
    return {"time_steps": time_steps, "percentile": choice.best.percentile, "recipe": choice.recipe.name, "losses": losses}
