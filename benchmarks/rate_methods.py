"""Every rate-coding recipe on ResNet-20 and ResNet-56: accuracy, latency, spikes per neuron, bits per spike against T.

    python benchmarks/rate_methods.py [--depth 20] [--recipes sbg ls ...] [--steps 4 8 16] [--images 2000]
        [--calibration 1000] [--figure out.svg]

Calibration: training images without labels. A recipe that fits the network to T is converted for each T; the others are
converted once and read at every T, `any-time` for the largest T. Rows that an earlier run finished are taken from
benchmarks/out; delete the file to start over. Needs TRANSPIKE_DATA.
"""

from __future__ import annotations

import argparse
import json
import time

import torch

import transpike as tp
from datasets import cifar10_test, cifar10_train, data_folder
from models import trained_resnet
from tables import OUT, keep, show
from transpike.analysis import Checkpoint
from transpike.errors import ArgumentError
from transpike.neurons import Neuron
from transpike.passes import CorrectLayers, UseTrainedThresholds

STEPS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CALIBRATION = 1000  # images, where nothing else is asked for


class Bench:
    """One network, its data, and the rows measured so far."""

    def __init__(self, depth: int, images: int, calibration: int) -> None:
        fewer = "" if calibration == CALIBRATION else f"-calibrated-by-{calibration}"
        self.name = f"rate-methods-resnet{depth}-{images}{fewer}"
        self.model = trained_resnet(depth, data_folder())
        self.samples = cifar10_train(calibration)[0]
        self.images, self.labels = cifar10_test(images)
        path = OUT / f"{self.name}.json"
        self.rows = json.loads(path.read_text())["rows"] if path.is_file() else []

    def missing(self, recipe: str, steps: list[int]) -> list[int]:
        """The steps that no earlier run measured."""
        done = {row["T"] for row in self.rows if row["recipe"] == recipe}
        return [step for step in steps if step not in done]

    def measure(self, recipe: str, steps: list[int]) -> None:
        """Convert for each of the steps, or once if the recipe does not care, and add the rows."""
        steps = self.missing(recipe, steps)
        groups = [[step] for step in steps] if fits_time(recipe) else [steps] * bool(steps)
        for group in groups:
            started = time.perf_counter()
            try:
                network = tp.convert(self.model, self.samples, recipe, time_steps=group[-1])
            except ArgumentError as refusal:  # of so few steps
                print(f"{recipe}, T = {group[-1]}: {refusal}", flush=True)
                continue
            converted = time.perf_counter() - started
            report = tp.evaluate(self.model, network, (self.images, self.labels), group[-1])
            for point in report.checkpoints:
                if point.time_steps in group:
                    self.add(recipe, network, point, converted)
            keep(self.name, {"rows": self.rows}, quiet=True)

    def add(self, recipe: str, network: tp.Network, point: Checkpoint, seconds: float) -> None:
        """Add one row and print it."""
        neurons = [node.op for node in network.having(Neuron)]
        windows = len(neurons) if tp.recipes[recipe].method.schedule == "sequential" else 1
        row = {
            "recipe": recipe,
            "T": point.time_steps,
            "accuracy %": round(100 * point.accuracy, 2),
            "latency": point.time_steps * windows,
            "spikes/neuron": round(point.spikes_per_neuron, 2),
            "bits/spike": max(op.bits_per_spike for op in neurons),
            "conversion s": round(seconds, 1),
        }
        self.rows.append(row)
        print(row, flush=True)


def rows_on(depth: int, images: int) -> list[dict]:
    """The rows of all runs on so many images, whatever calibrated them."""
    name = f"rate-methods-resnet{depth}-{images}"
    runs = [*OUT.glob(f"{name}.json"), *sorted(OUT.glob(f"{name}-calibrated-*.json"))]
    order = list(tp.recipes)
    return sorted(
        (row for run in runs for row in json.loads(run.read_text())["rows"]), key=lambda row: order.index(row["recipe"])
    )


def draw(rows: list[dict], path: str, ann: float, title: str) -> None:
    """Draw accuracy against latency, a line for each recipe: binary spikes on the left, signed and graded ones on the right."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    colours = colormaps["tab20"].colors
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    binary = {row["recipe"] for row in rows if row["bits/spike"] == 1}
    for axes, name in zip(figure.subplots(1, 2, sharey=True), ("binary spikes", "spikes of 2 to 4 bits"), strict=True):
        of_panel = [row for row in rows if (row["recipe"] in binary) == (name == "binary spikes")]
        for index, recipe in enumerate(dict.fromkeys(row["recipe"] for row in of_panel)):
            points = sorted((row["latency"], row["accuracy %"]) for row in of_panel if row["recipe"] == recipe)
            style = {"color": colours[2 * index % 20 + index // 10 % 2], "linestyle": "-" if index < 10 else "--"}
            axes.plot(*zip(*points, strict=True), marker="o", markersize=3, linewidth=1, label=recipe, **style)
        axes.axhline(ann, color="black", linestyle=":", linewidth=1, label="ANN")
        axes.set_xscale("log", base=2)
        axes.set(xlabel="latency in time steps", title=f"{title}: {name}")
        axes.title.set_fontsize(9)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.1))
    figure.axes[0].set_ylabel("accuracy in %")
    figure.savefig(path, metadata={"Date": None})


def training_free() -> list[str]:
    """The recipes for networks as they are; the others need thresholds that were trained."""
    return [
        name for name, recipe in tp.recipes.items() if not any(isinstance(step, UseTrainedThresholds) for step in recipe.passes)
    ]


def fits_time(recipe: str) -> bool:
    """Whether a recipe's network is good for one number of time steps only."""
    if any(isinstance(step, CorrectLayers) and step.shares for step in tp.recipes[recipe].passes):
        return False
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, 2)).eval()
    try:
        tp.convert(model, torch.rand(64, 2), recipe)
    except ArgumentError:
        return True
    return tp.recipes[recipe].method.schedule != "concurrent"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, default=20, choices=(20, 56))
    parser.add_argument("--recipes", nargs="+", default=training_free())
    parser.add_argument("--steps", nargs="+", type=int, default=list(STEPS))
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--calibration", type=int, default=CALIBRATION, help="How many training images calibrate.")
    parser.add_argument(
        "--figure", help="Write accuracy against latency, of all runs on as many images, to this .svg or .png file."
    )
    given = parser.parse_args()
    bench = Bench(given.depth, given.images, given.calibration)
    for chosen in given.recipes:
        bench.measure(chosen, sorted(given.steps))
    order = list(tp.recipes)
    bench.rows.sort(key=lambda row: (order.index(row["recipe"]), row["T"]))
    keep(bench.name, {"rows": bench.rows})
    with torch.inference_mode():
        ann = float((bench.model(bench.images).argmax(1) == bench.labels).float().mean())
    show(f"ResNet-{given.depth}, {given.images} test images, ANN {100 * ann:.2f} %", bench.rows)
    if given.figure:
        draw(rows_on(given.depth, given.images), given.figure, 100 * ann, f"ResNet-{given.depth}, {given.images} test images")
