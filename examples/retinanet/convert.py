"""Convert the trained detector, measure its mAP over time steps, and draw what it finds.

    TRANSPIKE_DATA=... python examples/retinanet/convert.py --weights retinanet-out/model.safetensors --out retinanet-out

Recipes are compared by the relative error of the outputs on pictures that calibrated none; test pictures are seen once, by
the recipes that were chosen.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import transpike as tp
from coco import CocoScore
from detection import Found, detect, levels
from detector import SIZES, RetinaNet
from drawing import draw
from sources import SOURCES, Source
from train import trained
from transpike.report import write_page

BINARY, BINARY_STEPS = "sbg,ls,ls-tg", 64
GRADED, GRADED_STEPS = "graded-ls,dcgs", 8
PICTURED = (8, 32, 128)


@dataclass(frozen=True)
class Task:
    """A detector, where its pictures come from, and those that calibrate, that choose between recipes, and that judge."""

    model: RetinaNet
    source: Source
    fit: Tensor
    choice: Tensor
    test: tuple[Tensor, Tensor]

    def seen(self, classes: Sequence[Tensor], boxes: Sequence[Tensor]) -> list[Found]:
        """Return what the maps of both heads say."""
        return detect(classes, boxes, self.source.anchors, len(self.source.names))


def chosen(task: Task, recipes: Sequence[str], steps: int) -> str:
    """Return the recipe whose outputs are nearest to the ANN's on pictures that calibrated none."""
    errors: dict[str, float] = {}
    for name in recipes if len(recipes) > 1 else ():
        network = tp.convert(task.model, task.fit, name, time_steps=steps)
        errors[name] = tp.evaluate(task.model, network, task.choice, steps).output_error[-1]
        print(f"{name:12} {steps:3} steps: output error {100 * errors[name]:.2f} %", flush=True)
    return min(errors, key=errors.__getitem__, default=recipes[0])


def measured(task: Task, network: tp.Network, steps: int, out: Path) -> tp.Report:
    """Return the report of a network on test pictures, with mAP over time, and write it and its page."""
    title = f"RetinaNet, {network.method.name if network.method else ''}"
    score = CocoScore(task.source.anchors, len(task.source.names))
    report = tp.evaluate(task.model, network, task.test, steps, metric=score, title=title)
    report.save(out / f"{steps}-steps.json")
    write_page(report, out / f"{steps}-steps.html")
    return report


def rows(report: tp.Report) -> list[dict[str, Any]]:
    """Return mAP, error, spikes and energy at each checkpoint."""
    scores, loose = report.metrics
    found = []
    for point in report.checkpoints:
        energy = point.energy[0].ratio
        costs = {"spikes per neuron": point.spikes_per_neuron, "energy over ANN": energy}
        error = report.output_error[point.time_steps - 1]
        value = {"mAP": scores.after(point.time_steps), "AP50": loose.after(point.time_steps)}
        found.append({"recipe": report.method.name, "steps": point.time_steps, **value, "output error": error, **costs})
    return found


def show(report: tp.Report) -> None:
    """Print the rows of a report."""
    scores, loose = report.metrics
    print(f"{report.method.name}, {report.samples} test pictures: ANN mAP {scores.reference:.2f}, AP50 {loose.reference:.2f}")
    for row in rows(report):
        said = (f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items())
        print(", ".join(said), flush=True)


def pictured(task: Task, network: tp.Network, count: int, path: Path) -> None:
    """Draw what the ANN finds, and the spiking network after more and more steps."""
    pictures = task.test[0][:count]
    with torch.inference_mode():
        answer = task.model(pictures)
    found: dict[str, list[Found]] = {"ANN": task.seen(answer["classes"], answer["boxes"])}
    outputs = tp.simulate(network, pictures, max(PICTURED)).outputs
    assert isinstance(outputs, Mapping)
    for step in PICTURED:
        now = {key: value[step - 1] for key, value in outputs.items()}
        found[f"T = {step}"] = task.seen(levels(now, "classes"), levels(now, "boxes"))
    draw(pictures, found, task.source.names, path)


def converted(task: Task, recipes: Sequence[str], steps: int, out: Path) -> tp.Network:
    """Return the network of the best of some recipes, after measuring it on test pictures and writing what was found."""
    name = chosen(task, recipes, steps)
    network = tp.convert(task.model, task.fit, name, time_steps=steps)
    tp.save(network, out / name)
    report = measured(task, network, steps, out)
    (out / f"{steps}-steps-table.json").write_text(json.dumps(rows(report), indent=1))
    show(report)
    return network


def main() -> None:
    """Read the command line, choose recipes, convert, measure and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=SOURCES, default="digits")
    parser.add_argument("--weights", type=Path, default=Path("retinanet-out/model.safetensors"))
    parser.add_argument("--out", type=Path, default=Path("retinanet-out"))
    parser.add_argument("--steps", type=int, default=BINARY_STEPS, help="of the recipes with binary spikes")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--binary", default=BINARY, help="recipes to choose from for so many steps; none to leave them out")
    parser.add_argument("--graded", default=GRADED, help=f"the same for {GRADED_STEPS} steps")
    parser.add_argument("--calibration", type=int, default=24, help="pictures that calibrate, and at most as many to choose by")
    parser.add_argument("--test", type=int, default=300, help="test pictures, at most")
    parser.add_argument("--drawn", type=int, default=3, help="test pictures that are drawn")
    parser.add_argument("--pictures", type=Path, help="where to draw what is found (default: pictures.png in --out)")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    source = SOURCES[given.data](SIZES[given.size]["shrink"])
    model = trained(given.weights, source, given.size)
    fit, choice = source.calibration(given.calibration)[0], source.choice(given.calibration)[0]
    task = Task(model, source, fit, choice, source.test(given.test))
    if given.graded:
        converted(task, given.graded.split(","), GRADED_STEPS, given.out)
    if given.binary:
        network = converted(task, given.binary.split(","), given.steps, given.out)
        pictured(task, network, given.drawn, given.pictures or given.out / "pictures.png")


if __name__ == "__main__":
    main()
