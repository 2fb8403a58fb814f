"""The commands before a simulation: predict, search and hasten."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from transpike import plans
from transpike.cli import outcomes, show
from transpike.cli.arguments import Data, Json, Model, Numbers, Samples, Size, Weights, choice, numbers, sentence
from transpike.errors import ArgumentError
from transpike.jobs import DataChoice
from transpike.recipe import RECIPES
from transpike.selection import Limits

STEPS = 32  # of a search without other limits
Steps = Annotated[int, typer.Option(help="How many steps at most.")]


@sentence
def predict(
    network: Annotated[str, typer.Argument(help="Folder that convert wrote.")],
    data: Data,
    time_steps: Steps = 64,
    simulate: Annotated[int, typer.Option(min=0, help="Simulate so many samples to correct the estimate; 64 will do.")] = 0,
    out: Annotated[str | None, typer.Option(help="Folder for prediction.json (default: the network's).")] = None,
    model: Annotated[str | None, typer.Option(help="Compare with this model instead of the network's own analogue.")] = None,
    weights: Weights = None,
    samples: Samples = None,
    mean: Numbers = None,
    std: Numbers = None,
    size: Size = None,
    as_json: Json = False,
) -> None:
    """Estimate accuracy at each number of time steps before simulating, from a few passes over the data."""
    folder = out or network
    with show.watching(quiet=as_json) as watch:
        result = plans.predict_network(
            network,
            choice(data, samples, mean, std, size),
            time_steps,
            folder,
            simulated=simulate,
            model=model,
            weights=weights,
            watch=watch,
        )
    if as_json:
        show.as_json(result.to_json())
        return
    outcomes.prediction(result)
    show.out.print(f"Written: {show.escaped(str(Path(folder) / plans.PREDICTION))}.")


@sentence
def populations(
    model: Model,
    data: Data,
    weights: Weights = None,
    recipe: Annotated[str, typer.Option(help="One of population coding.")] = "population-normal",
    sizes: Annotated[str, typer.Option(help="Neurons of a population, with commas between.")] = "1,10,100,1000",
    draws: Annotated[int, typer.Option(help="How many times to draw the thresholds.")] = 5,
    samples: Samples = None,
    mean: Numbers = None,
    std: Numbers = None,
    size: Size = None,
    as_json: Json = False,
) -> None:
    """Show how large populations have to be: accuracy for each gate and state alone, and all at once, over draws."""
    wanted = tuple(int(size) for size in numbers(sizes, "--sizes"))
    with show.watching(quiet=as_json) as watch:
        result = plans.draw_sizes(model, weights, choice(data, samples, mean, std, size), recipe, wanted, draws, watch=watch)
    if as_json:
        show.as_json(result.to_json())
        return
    outcomes.draws(result)


@sentence
def search(
    model: Model,
    data: Data,
    out: Annotated[str, typer.Option(help="Folder for the trials, their picture, and the best network.")],
    weights: Weights = None,
    time_steps: Annotated[int | None, typer.Option(help="Limit: how many steps at most (default: 32).")] = None,
    latency_ms: Annotated[float | None, typer.Option(help="Limit: milliseconds until the answer, for --time-steps.")] = None,
    max_hz: Annotated[float | None, typer.Option(help="Limit: spikes per second and neuron in the busiest layer.")] = None,
    step_ms: Annotated[float | None, typer.Option(help="Milliseconds of a time step (default: 1).")] = None,
    spikes: Annotated[float | None, typer.Option(help="Limit: spikes per neuron and sample.")] = None,
    bits: Annotated[
        int | None, typer.Option(help="Limit: bits per spike; 1 admits binary spikes only (default: 1, or the chip's).")
    ] = None,
    chip: Annotated[str | None, typer.Option(help="Limit: must fit this chip (see transpike chips), or YAML file.")] = None,
    energy: Annotated[float | None, typer.Option(help="Limit: energy over the ANN's, such as 0.5.")] = None,
    recipe: Annotated[
        list[str] | None, typer.Option(help=f"Try this recipe; may be repeated (default: {', '.join(RECIPES)}).")
    ] = None,
    trials: Annotated[int, typer.Option(help="How many conversions to try.")] = 40,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted search stopped.")] = False,
    noise: Annotated[bool, typer.Option("--noise", help="Only choose the percentile, on noise in place of data.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the trials and of the split, or of the noise.")] = 0,
    samples: Samples = None,
    mean: Numbers = None,
    std: Numbers = None,
    size: Size = None,
    as_json: Json = False,
) -> None:
    """Find the recipe nearest to the ANN within limits, judged on training samples that did not calibrate it."""
    chosen = choice(data, samples, mean, std, size, step_ms)
    if noise:
        if resume or any(limit is not None for limit in (spikes, energy, latency_ms, max_hz, step_ms, chip, bits)):
            raise ArgumentError("--noise takes --time-steps, --seed and one --recipe; it knows no limits and no --resume.")
        search_on_noise(model, weights, chosen, time_steps or STEPS, out, recipe=recipe, seed=seed, as_json=as_json)
        return
    limits = limits_of(
        time_steps, latency_ms, step_ms, max_hz=max_hz, spikes_per_neuron=spikes, bits_per_spike=bits, energy=energy, chip=chip
    )
    with show.watching(quiet=as_json) as watch:
        result = plans.search_recipe(
            model, weights, chosen, limits, out, recipes=recipe, trials=trials, seed=seed, resume=resume, watch=watch
        )
    show.as_json(result.to_json()) if as_json else outcomes.selection(result, out)


def search_on_noise(
    model: str,
    weights: str | None,
    data: DataChoice,
    time_steps: int,
    out: str,
    *,
    recipe: Sequence[str] | None,
    seed: int,
    as_json: bool,
) -> None:
    """Choose the percentile on noise and print what each lost."""
    if len(recipe or ()) > 1:
        raise ArgumentError("--noise takes one --recipe: name one whose percentile is to be chosen.")
    name = recipe[0] if recipe else "rate"
    with show.watching(quiet=as_json) as watch:
        found = plans.search_percentile(model, weights, data, time_steps, out, recipe=name, seed=seed, watch=watch)
    show.as_json(plans.noise_values(found, time_steps)) if as_json else outcomes.noise(found, time_steps)


def limits_of(time_steps: int | None, latency_ms: float | None, step_ms: float | None, **others: Any) -> Limits:
    """Return the limits of a search, in time steps or in milliseconds; a step lasts 1 ms where a limit needs to know."""
    if latency_ms is not None and time_steps is not None:
        raise ArgumentError("--time-steps and --latency-ms limit the same: give one of them.")
    given = {name: value for name, value in others.items() if value is not None}
    if "chip" in given:
        chip = Limits.of(given.pop("chip"), STEPS)
        given = {"chip": chip.chip, "bits_per_spike": chip.bits_per_spike} | given
        step_ms = chip.step_ms if step_ms is None else step_ms
    timed = latency_ms is not None or "max_hz" in given
    duration = 1.0 if timed and step_ms is None else step_ms
    if latency_ms is not None and duration is not None:
        return Limits.timed(latency_ms, step_ms=duration, **given)
    return Limits(time_steps=STEPS if time_steps is None else time_steps, step_ms=duration, **given)


@sentence
def hasten(
    network: Annotated[str, typer.Argument(help="Folder that convert wrote.")],
    data: Data,
    out: Annotated[str, typer.Option(help="Folder for the network whose samples exit early.")],
    time_steps: Steps = 64,
    points: Annotated[float, typer.Option(help="Lose at most so many points of accuracy.")] = 0.1,
    confidence: Annotated[float, typer.Option(help="How sure that must be, in percent.")] = 95.0,
    samples: Samples = None,
    mean: Numbers = None,
    std: Numbers = None,
    size: Size = None,
    as_json: Json = False,
) -> None:
    """Let each sample exit early, once its decision is safe by a calibrated margin: labels are not needed."""
    for name, value in (("--points", points), ("--confidence", confidence)):
        if not 0 < value < 100:  # noqa: PLR2004 - percent
            raise ArgumentError(f"{name} must lie between 0 and 100, not {value:g}.")
    chosen = choice(data, samples, mean, std, size)
    with show.watching(quiet=as_json) as watch:
        limits = {"loss": points / 100, "confidence": confidence / 100}
        hastened = plans.hasten_network(network, chosen, time_steps, out, **limits, watch=watch)
    if as_json:
        show.as_json({"out": out, **outcomes.exit_values(hastened)})
        return
    show.findings(hastened.findings)
    saved = show.escaped(out)
    show.out.print(f"Saved in {saved}: run [bold]transpike evaluate {saved} --time-steps {time_steps}[/bold] on test data.")
