"""What the command line does, as functions of plain values: inspect, convert, evaluate, report, demo."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from transpike.analysis import Report, evaluate
from transpike.calibration import Samples
from transpike.capture import survey
from transpike.choice import AUTO
from transpike.codings import Poisson, RateCode, Regular
from transpike.conversion import convert
from transpike.data import Batch
from transpike.demo import EPOCHS, train
from transpike.errors import ArgumentError, ConversionError, TranspikeWarning, choose, positive_whole
from transpike.network import Network
from transpike.network.archive import load, save
from transpike.network.grammar import trait
from transpike.network.turns import steps_for
from transpike.neurons import FirstToMargin
from transpike.ops import TRAITS, Input
from transpike.parts import Op, Trait
from transpike.passes import (
    AccumulateMaxPool,
    CompeteForMax,
    CountSpikes,
    DecodeOutputs,
    EncodeInputs,
    GateMaxPool,
    InsertDifferenceNeurons,
    InsertNeurons,
    MaxPoolForm,
    NormaliseOutputs,
    PoolEachStep,
    apply,
)
from transpike.recipe import STRUCTURE, Recipe, find_recipe
from transpike.report import FIGURES, save_figure, write_page
from transpike.simulation import AUTO as AUTO_ENGINE
from transpike.sources import Scaling, load_data, load_model

NETWORK, REPORT, PAGE = "network", "report.json", "report.html"
TRACE_BATCH = 4
STEPS = 64  # to simulate where neither the user nor the code says how many

Watch = Callable[[str, int], Callable[[int], None]]  # (what, total) -> advance(by)


def unwatched(what: str, total: int) -> Callable[[int], None]:  # noqa: ARG001 - the signature of a watch
    """Watch nothing."""
    return lambda by: None  # noqa: ARG005


@dataclass(frozen=True, kw_only=True)
class DataChoice:
    """Which samples to use, and how they are scaled."""

    data: str
    samples: int | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def load(self, split: str) -> Batch:
        """Return the samples as a batch."""
        return load_data(self.data, split, self.samples, Scaling(self.mean, self.std))


@dataclass(frozen=True)
class Row:
    """One line of `inspect`: a place in the model and what becomes of it."""

    name: str
    op: str
    fate: str


@dataclass(frozen=True)
class Inspection:
    """What of a model converts, and why the rest does not."""

    rows: tuple[Row, ...]
    refusals: tuple[str, ...]

    @property
    def converts(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.refusals


FATES = {
    Trait.LINEAR: "stays as it is: linear",
    Trait.ACTIVATION: "becomes neurons",
    Trait.COUPLED: "emits increments of the maximum of accumulated inputs",
    Trait.DISCRETE: "looked up once, before any neuron",
    Trait.STATIC: "input or constant",
}
OWN_FATES: dict[str, str] = {
    "BatchNorm": "folded into a neighbour, or kept as scale and shift",
    "LeakyRelu": "becomes two opposite neurons",
    "Sigmoid": "acts on the decoded answer; inside becomes neurons of few-spike, binary-value or populations",
    "Tanh": "acts on the decoded answer; inside becomes neurons of few-spike, binary-value or populations",
    "Softmax": "acts on the decoded answer",
    "Multiply": "multiplies what both signals stand for",
    "Element": "begins a loop over a sequence, one window for each element",
    "Previous": "holds what the element before sent: a delay of one window",
    "Collect": "ends a loop over a sequence",
}


def fate(op: Op) -> str:
    """Say what a conversion makes of an op."""
    return OWN_FATES.get(type(op).__name__, FATES[trait(op) if type(op) in TRAITS else Trait.LINEAR])


def inspect(model: str, weights: str | None, data: DataChoice | None, shape: tuple[int, ...] | None) -> Inspection:
    """Return what of a model converts; samples come from `data`, or are random of `shape`."""
    if data is None and not shape:
        raise ArgumentError("Give --data or --shape (of one sample, such as 3,32,32), so that the model can be traced.")
    loaded = load_model(model, weights)
    if data is None:
        inputs: tuple[torch.Tensor, ...] = (torch.rand(TRACE_BATCH, *(shape or ())),)
    else:
        inputs = data.load("train").inputs
    network, refusals = survey(loaded, inputs)
    if not refusals:
        refusals = structural_refusals(network)
    rows = tuple(Row(n.name, type(n.op).__name__, fate(n.op)) for n in network.nodes.values() if type(n.op) is not Input)
    return Inspection(rows, tuple(refusals))


def structural_refusals(network: Network) -> list[str]:
    """Return why the structure of a captured network cannot become spiking, if so."""
    try:
        apply(STRUCTURE, network, Samples())
    except ConversionError as error:
        return [str(error)]
    return []


READERS = (InsertNeurons, InsertDifferenceNeurons, EncodeInputs, CountSpikes, CompeteForMax)  # passes that read samples once
INPUTS: dict[str, Callable[[int], RateCode]] = {"poisson": lambda seed: Poisson(seed=seed), "regular": lambda _: Regular()}
OUTPUTS: dict[str, tuple[CountSpikes, ...]] = {"potential": (), "spikes": (CountSpikes(),)}
MAX_POOLS: dict[str, MaxPoolForm] = {
    "exact": AccumulateMaxPool(),
    "step": PoolEachStep(),
    "gated": GateMaxPool(),
    "winner-take-all": CompeteForMax(),
}


@dataclass(frozen=True, kw_only=True)
class RecipeChoice:
    """A recipe by name and the changes that were asked for; None, and "constant" input, leave what the recipe has."""

    name: str
    percentile: float | None = None
    input: str = "constant"
    seed: int = 0
    output: str | None = None
    margin: float | None = None
    softmax: bool = False
    max_pool: str | None = None
    window: int | None = None

    def recipe(self) -> Recipe | str:
        """Return the recipe; "auto" stands for itself and takes no changes. Raises ArgumentError for what does not fit."""
        if self.name == AUTO:
            if self != RecipeChoice(name=AUTO, seed=self.seed):
                raise ArgumentError("Recipe 'auto' chooses by itself: leave out the options that change a recipe, or name one.")
            return AUTO
        return self.changed(find_recipe(self.name))

    def changed(self, recipe: Recipe) -> Recipe:
        """Return a recipe with the changes that were asked for."""
        if self.percentile is not None:
            recipe = recipe.with_percentile(self.percentile)
        if self.window is not None:
            recipe = recipe.with_window(positive_whole("window", self.window))
        if self.max_pool is not None:
            recipe = recipe.with_max_pool(MAX_POOLS[choose("max-pool", self.max_pool, MAX_POOLS)])
        if self.output is not None or self.margin is not None or self.softmax:
            count = OUTPUTS[choose("output", self.output or "potential", OUTPUTS)]
            decode = DecodeOutputs() if self.margin is None else DecodeOutputs(FirstToMargin(self.margin))
            recipe = recipe.with_output(*count, decode, *[NormaliseOutputs()] * self.softmax)
        if choose("input", self.input, ["constant", *INPUTS]) == "constant":
            return recipe
        return recipe.with_input(INPUTS[self.input](self.seed))


def convert_model(
    model: str,
    weights: str | None,
    data: DataChoice,
    recipe: Recipe | str,
    out: str | Path,
    *,
    time_steps: int | None = None,
    graded: bool = False,
    exact: bool = False,
    watch: Watch = unwatched,
) -> Network:
    """Convert a model, calibrated on `data`, and save the network in the folder `out`; see `transpike.convert`."""
    samples = data.load("train")
    passes = recipe.passes if isinstance(recipe, Recipe) else ()
    readings = sum(isinstance(step, READERS) for step in passes)
    advance = watch("Calibrating", readings * len(samples))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TranspikeWarning)  # they are findings of the network, which are shown
        loaded = load_model(model, weights)
        network = convert(loaded, samples, recipe, time_steps=time_steps, graded=graded, exact=exact, progress=advance)
    save(network, out)
    return network


def evaluate_network(
    network: str | Path,
    data: DataChoice,
    time_steps: int | None,
    out: str | Path,
    *,
    model: str | None = None,
    weights: str | None = None,
    resume: bool = False,
    raster: tuple[str, ...] | None = None,
    diagnose: bool = False,
    memory: int | None = None,
    engine: str = AUTO_ENGINE,
    watch: Watch = unwatched,
) -> Report:
    """Evaluate a saved network and write `report.json` into the folder `out`; `time_steps` None takes its window, or 64."""
    loaded = load(network)
    steps = steps_for(loaded, time_steps, STEPS)
    samples = data.load("test")
    report = evaluate(
        load_model(model, weights) if model else None,
        loaded,
        samples,
        steps,
        title=f"{Path(network).name} on {Path(data.data).name}",
        raster=raster,
        diagnose=diagnose,
        folder=out,
        resume=resume,
        memory=memory,
        engine=engine,
        progress=watch(f"Simulating {steps} steps", len(samples)),
    )
    report.save(Path(out) / REPORT)
    return report


def write_report(source: str | Path, page: str | Path | None = None, figures: str | Path | None = None) -> list[Path]:
    """Write the page of a report, and its figures as SVG and PNG if a folder is given; return what was written."""
    path = Path(source)
    path = path / REPORT if path.is_dir() else path
    report = Report.load(path)
    written = [Path(page) if page else path.with_name(PAGE)]
    write_page(report, written[0])
    if figures is not None:
        for name, figure in FIGURES.items():
            if not figure.applies(report):
                continue
            for suffix in (".svg", ".png"):
                written.append(Path(figures) / f"{name}{suffix}")
                save_figure(figure.draw(report), written[-1])
    return written


def demo(out: str | Path, time_steps: int = 64, watch: Watch = unwatched) -> Report:
    """Train a small CNN on the bundled digits, convert it, evaluate it, and write network, report and page into `out`."""
    folder = Path(out)
    data, test = load_data("digits", "train"), load_data("digits", "test")
    model = train(data, watch("Training a CNN on 1,437 digits", EPOCHS))
    network = convert(model, data)
    save(network, folder / NETWORK)
    advance = watch(f"Simulating {time_steps} steps on {len(test)} digits", len(test))
    report = evaluate(model, network, test, time_steps, title="A small CNN on handwritten digits", progress=advance)
    report.save(folder / REPORT)
    write_page(report, folder / PAGE)
    return report
