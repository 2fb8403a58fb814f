"""What the command line does, as functions of plain values: inspect, convert, evaluate, report, demo."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import torch

from transpike.analysis import Report, evaluate
from transpike.calibration import Samples, Watch, unwatched
from transpike.capture import survey
from transpike.conversion import convert
from transpike.data import Batch
from transpike.demo import EPOCHS, train
from transpike.errors import ArgumentError, ConversionError, TranspikeWarning
from transpike.network import Network
from transpike.network.archive import load, save
from transpike.network.grammar import trait
from transpike.network.turns import steps_for
from transpike.ops import RECTIFIERS, TRAITS, Input
from transpike.parts import Op, Trait
from transpike.passes import apply
from transpike.preparation import Scaling
from transpike.recipe import STRUCTURE, Recipe
from transpike.report import FIGURES, save_figure, write_page
from transpike.simulation import AUTO as AUTO_ENGINE
from transpike.sources import load_data, load_model

NETWORK, REPORT, PAGE = "network", "report.json", "report.html"
TRACE_BATCH = 4
STEPS = 64  # to simulate where neither the user nor the code says how many


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
    Trait.ACTIVATION: "acts on the decoded answer; inside by recipes few-spike, hybrid and differential",
    Trait.COUPLED: "acts on the decoded answer; inside by recipes hybrid and differential",
    Trait.DISCRETE: "computed once, before any neuron",
    Trait.STATIC: "input or constant",
}
MAXIMUM = "emits increments of the maximum of accumulated inputs"
OWN_FATES: dict[str, str] = {
    "BatchNorm": "folded into a neighbour, or kept as scale and shift",
    **{kind.__name__: "becomes neurons" for kind in RECTIFIERS},
    "LeakyRelu": "becomes two opposite neurons",
    "MaxPool": MAXIMUM,
    "AdaptiveMaxPool": MAXIMUM,
    "Sigmoid": "acts on the decoded answer; inside becomes neurons of few-spike, binary-value or populations",
    "Tanh": "acts on the decoded answer; inside becomes neurons of few-spike, binary-value or populations",
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TranspikeWarning)  # they are findings of the network, which are shown
        loaded = load_model(model, weights)
        network = convert(loaded, samples, recipe, time_steps=time_steps, graded=graded, exact=exact, watch=watch)
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
