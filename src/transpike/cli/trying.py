"""The command that tries neuron models."""

from __future__ import annotations

from typing import Annotated

import typer

from transpike.cli import show
from transpike.cli.arguments import Json, numbers, sentence
from transpike.errors import ArgumentError
from transpike.neurons.models import MODELS
from transpike.trials import Trial, try_neuron

LISTED = 12  # spikes whose times are printed


@sentence
def neuron(
    model: Annotated[str | None, typer.Argument(help="Which model (default: list them).")] = None,
    current: Annotated[
        str | None,
        typer.Option(help="A number, or step:START,STOP,AMPLITUDE, ramp:START,STOP,FIRST,LAST, pulses:SIZE,TIME,..."),
    ] = None,
    duration: Annotated[float | None, typer.Option(help="How long, in the model's unit of time.")] = None,
    parameter: Annotated[list[str] | None, typer.Option("--set", help="A parameter: --set a=0.1; may be repeated.")] = None,
    dt: Annotated[str | None, typer.Option(help="Steps of fixed length to compare with the solution: 0.4,0.2,0.1")] = None,
    out: Annotated[str | None, typer.Option(help="Picture to write, .svg or .png.")] = None,
    as_json: Json = False,
) -> None:
    """Solve a model of a neuron under a current, draw current, potential and spikes, and show what fixed steps cost."""
    if model is None:
        if any(option is not None for option in (current, duration, parameter, dt, out)):
            raise ArgumentError(
                "Options need a model, as in transpike neuron lif --current 300; without one, models are listed."
            )
        listing(as_json)
        return
    trial = try_neuron(model, current, duration, settings(parameter or []), numbers(dt, "--dt"))
    if out is not None:
        trial.draw(out)
    if as_json:
        show.as_json(trial.to_json())
        return
    course(trial)
    if trial.errors:
        errors(trial)
    if out is not None:
        show.out.print(f"Written: {show.escaped(out)}")


def settings(texts: list[str]) -> dict[str, float]:
    """Read parameters of the form name=number."""
    try:
        return {name.strip(): float(value) for name, value in (text.split("=") for text in texts)}
    except ValueError:
        raise ArgumentError(f"A parameter is set as name=number, not {' '.join(texts)!r}.") from None


def listing(as_json: bool) -> None:
    """Print all models."""
    if as_json:
        show.as_json(
            {
                name: {"title": kind.title, "citation": kind.citation, "variables": kind.variables}
                for name, kind in MODELS.items()
            }
        )
        return
    rows = show.table("Neuron models", "name", "variables", "current", "spike", "step", "source")
    rows.columns[0].no_wrap = True
    for name, kind in MODELS.items():
        current = "-" if kind.current_unit == "1" else kind.current_unit
        ways = "reset" if kind.resets else "own", "exact" if kind.linear else ""
        rows.add_row(name, ", ".join(kind.variables), current, *ways, kind.citation)
    show.out.print(rows)
    show.out.print("Try one: [bold]transpike neuron lif --current 300 --duration 100 --out lif.svg[/bold]")


def course(trial: Trial) -> None:
    """Print what a neuron did."""
    values, model = trial.to_json(), trial.model
    times = " ".join(f"{time:.4g}" for time in values["spikes"][:LISTED]) + (" ..." if len(values["spikes"]) > LISTED else "")
    unit = "" if model.time_unit == "1" else f" {model.time_unit}"
    height = "" if values["unit"] == "1" else f" {values['unit']}"
    number = len(values["spikes"])
    show.out.print(f"{model.title} ({model.citation}), {values['duration']:g}{unit}: {number} spike{'s' * (number != 1)}.")
    if number:
        rate = f"{1e3 * values['rate']:.4g} per second" if model.time_unit == "ms" else f"{values['rate']:.4g} per unit of time"
        show.out.print(f"Spikes at {times}{unit}; {rate} on average.")
    show.out.print(f"{model.shown} from {values['rest']:.4g}, between {values['lowest']:.4g} and {values['peak']:.4g}{height}.")


def errors(trial: Trial) -> None:
    """Print what steps of fixed length cost."""
    columns = ("dt", f"error of {trial.model.shown}", "spikes", "spikes off by")
    rows = show.table("Steps of fixed length against the solution", "method", *columns)
    for each in trial.errors:
        wrong, off = ("-" if value is None else f"{value:.3g}" for value in (each.error, each.late))
        rows.add_row(each.method, f"{each.dt:g}", wrong, "ran away" if each.spikes is None else str(each.spikes), off)
    show.out.print(rows)
    for name, both in trial.orders.items():
        named = zip(("error", "spikes"), both, strict=True)
        words = [f"{what} with order {order:.2f}" for what, order in named if order is not None]
        if words:
            show.out.print(f"{name}: {', '.join(words)} in dt.")
