"""The command line: each command builds plain values, calls a job, and prints what it returns."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from transpike import __version__, jobs
from transpike.analysis import MEASURES
from transpike.cli import breaking, encodings, exchange, finding, planning, racing, show, silicon, trying, writing
from transpike.cli.arguments import (
    SETTINGS,
    Data,
    Json,
    Model,
    Numbers,
    Samples,
    Seed,
    Size,
    StepMs,
    Weights,
    choice,
    numbers,
    populations,
    sentence,
)
from transpike.options import MAX_POOLS, RecipeChoice
from transpike.recipe import RECIPES
from transpike.simulation import AUTO, ENGINES

app = typer.Typer(
    help="Compile trained neural networks into spiking networks, run them, and see what it cost.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        show.out.print(f"transpike {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    _: Annotated[bool, typer.Option("--version", callback=version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Read the options before the command."""
    SETTINGS.debug = debug


@app.command()
@sentence
def demo(
    out: Annotated[str, typer.Option(help="Folder for network, report and page.")] = "transpike-demo",
    time_steps: Annotated[int, typer.Option(help="How many steps to simulate.")] = 64,
    as_json: Json = False,
) -> None:
    """Train a small CNN on handwritten digits, convert it, run it as spikes, and report what it cost."""
    with show.watching(quiet=as_json) as watch:
        report = jobs.demo(out, time_steps, watch)
    if as_json:
        show.as_json(report.to_json())
        return
    show.report(report)
    show.out.print(f"Open {show.escaped(str(Path(out) / jobs.PAGE))} in a browser to see where accuracy and spikes went.")


@app.command()
@sentence
def inspect(
    model: Model,
    weights: Weights = None,
    data: Annotated[str | None, typer.Option(help="Samples to trace the model with, as in convert.")] = None,
    shape: Annotated[str | None, typer.Option(help="Shape of one sample instead of data: 3,32,32")] = None,
    size: Size = None,
    step_ms: StepMs = None,
    as_json: Json = False,
) -> None:
    """Show what of a model converts, and why not."""
    sizes = tuple(int(size) for size in numbers(shape, "--shape"))
    given = choice(data, None, None, None, size, step_ms) if data else None
    result = jobs.inspect(model, weights, given, sizes)
    show.as_json({**asdict(result), "converts": result.converts}) if as_json else show.inspection(result)
    if not result.converts:
        raise typer.Exit(1)


@app.command()
@sentence
def convert(
    model: Model,
    data: Data,
    out: Annotated[str, typer.Option(help="Folder for the network.")],
    weights: Weights = None,
    recipe: Annotated[str, typer.Option(help=f"auto, or one of {', '.join(RECIPES)}.")] = "rate",
    time_steps: Annotated[int | None, typer.Option(help="Steps that the network will run for; some recipes fit it.")] = None,
    graded: Annotated[bool, typer.Option("--graded", help="Let --recipe auto take spikes of several bits.")] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="Exact arithmetic: the same spikes on every engine and device.")
    ] = False,
    percentile: Annotated[float | None, typer.Option(help="Percentile of the thresholds, instead of the recipe's.")] = None,
    entrance: Annotated[str, typer.Option("--input", help="constant (current), or spikes: poisson, regular.")] = "constant",
    seed: Seed = 0,
    output: Annotated[str | None, typer.Option(help="What is decoded: potential (accumulated) or spikes (counted).")] = None,
    margin: Annotated[float | None, typer.Option(help="Decide for the first class that leads by this much.")] = None,
    softmax: Annotated[bool, typer.Option("--softmax", help="Answer with probabilities.")] = False,
    max_pool: Annotated[str | None, typer.Option(help=f"One of {', '.join(MAX_POOLS)}.")] = None,
    window: Annotated[int | None, typer.Option(help="Steps of the window of a code that has one, instead of its own.")] = None,
    population: Annotated[
        list[str] | None, typer.Option(help="Neurons of a population: 1000, or '*.forget_gate=5000' for some; may be repeated.")
    ] = None,
    products: Annotated[str | None, typer.Option(help="Gates multiply values, or in populations counts (of spikes).")] = None,
    relays: Annotated[bool, typer.Option("--relays", help="Let no weights read products: encode them anew as spikes.")] = False,
    weight_bits: Annotated[int | None, typer.Option(help="Whole numbers, with weights of so many bits (8).")] = None,
    potential_bits: Annotated[int | None, typer.Option(help="Whole numbers, with potentials of so many bits (16).")] = None,
    samples: Samples = None,
    mean: Numbers = None,
    std: Numbers = None,
    size: Size = None,
    step_ms: StepMs = None,
    as_json: Json = False,
) -> None:
    """Convert a trained model into a spiking network, calibrated on samples of its training data."""
    neurons, others = populations(population or [])
    chosen = RecipeChoice(
        name=recipe,
        percentile=percentile,
        input=entrance,
        seed=seed,
        output=output,
        margin=margin,
        softmax=softmax,
        max_pool=max_pool,
        window=window,
        population=neurons,
        populations=others,
        relays=relays,
        products=products,
        weight_bits=weight_bits,
        potential_bits=potential_bits,
    ).recipe()
    with show.watching(quiet=as_json) as watch:
        given = choice(data, samples, mean, std, size, step_ms)
        network = jobs.convert_model(
            model, weights, given, chosen, out, time_steps=time_steps, graded=graded, exact=exact, watch=watch
        )
    show.converted(network, out, as_json)


@app.command()
@sentence
def evaluate(
    network: Annotated[str, typer.Argument(help="Folder that convert wrote.")],
    data: Data,
    time_steps: Annotated[
        int | None, typer.Option(help=f"How many steps to simulate (default: the window of the code, or {jobs.STEPS}).")
    ] = None,
    out: Annotated[str | None, typer.Option(help="Folder for report.json (default: the network's).")] = None,
    model: Annotated[str | None, typer.Option(help="Compare with this model instead of the network's own analogue.")] = None,
    weights: Weights = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted evaluation stopped.")] = False,
    raster: Annotated[
        list[str] | None, typer.Option(help="Layer whose spikes to draw, or layer:3,17 for neurons of it; may be repeated.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(MEASURES)}, or file.py:factory of one's own; may be repeated.")
    ] = None,
    diagnose: Annotated[bool, typer.Option("--diagnose", help="Find where the loss comes from, layer by layer.")] = False,
    memory: Annotated[int | None, typer.Option(min=1, help="Memory budget in MB (default: a quarter of what is free).")] = None,
    engine: Annotated[str, typer.Option(help=f"auto, or one of {', '.join(one.name for one in ENGINES)}.")] = AUTO,
    samples: Samples = None,
    mean: Numbers = None,
    std: Numbers = None,
    size: Size = None,
    step_ms: StepMs = None,
    as_json: Json = False,
) -> None:
    """Run a spiking network on labelled data and report accuracy over time, spikes, operations and energy."""
    folder = out or network
    with show.watching(quiet=as_json) as watch:
        report = jobs.evaluate_network(
            network,
            choice(data, samples, mean, std, size, step_ms),
            time_steps,
            folder,
            model=model,
            weights=weights,
            resume=resume,
            raster=tuple(raster) if raster else None,
            metric=tuple(metric or ()),
            diagnose=diagnose,
            memory=memory * 1_000_000 if memory else None,
            engine=engine,
            watch=watch,
        )
    if as_json:
        show.as_json(report.to_json())
        return
    show.report(report)
    show.out.print(f"Written: {show.escaped(str(Path(folder) / jobs.REPORT))}. Make the page with transpike report.")


@app.command()
@sentence
def report(
    source: Annotated[str, typer.Argument(help="Folder that evaluate wrote, or its report.json.")],
    out: Annotated[str | None, typer.Option(help="The page to write (default: report.html beside report.json).")] = None,
    figures: Annotated[str | None, typer.Option(help="Folder for each figure as SVG and PNG.")] = None,
    as_json: Json = False,
) -> None:
    """Write one self-contained HTML page of an evaluation, and its figures for papers."""
    written = jobs.write_report(source, out, figures)
    if as_json:
        show.as_json({"written": [str(path) for path in written]})
        return
    for path in written:
        show.out.print(f"Written: {show.escaped(str(path))}")


app.command()(finding.data)
app.command()(planning.predict)
app.command()(planning.populations)
app.command()(planning.search)
app.command()(planning.hasten)
app.command()(writing.perplexity)
app.command()(racing.bench)
app.command()(encodings.codings)
app.command()(trying.neuron)
app.command()(breaking.fault)
app.command()(breaking.faults)
app.command()(silicon.fit)
app.command()(silicon.chips)
app.add_typer(exchange.export, name="export")
app.add_typer(exchange.imports, name="import")


def main() -> None:
    """Run the command line."""
    app(prog_name="transpike")


if __name__ == "__main__":
    main()
