"""Convert the trained detector, measure its mAP over time steps, and draw what it finds.

    TRANSPIKE_DATA=... python examples/retinanet/convert.py --weights retinanet-out/model.safetensors --out retinanet-out

Recipes are compared by the relative error of the outputs on canvases of training digits; test canvases are seen once, by
the recipes that were chosen.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import transpike as tp
from canvases import canvases, mnist
from coco import CocoScore
from detection import Found, detect, levels
from detector import SIZES, RetinaNet
from drawing import draw
from train import trained
from transpike.report import write_page

BINARY, BINARY_STEPS = "sbg,ls,ls-tg", 64
GRADED, GRADED_STEPS = "graded-ls,dcgs", 8
PICTURED = (8, 32, 128)
CALIBRATION_SEED, JUDGING_SEED, TEST_SEED = 1, 2, 3


def output_error(model: RetinaNet, network: tp.Network, pictures: Tensor, steps: int) -> float:
    """Return the relative error of the outputs after the last step."""
    return tp.evaluate(model, network, pictures, steps).output_error[-1]


def chosen(model: RetinaNet, fit: Tensor, judge: Tensor, recipes: Sequence[str], steps: int) -> str:
    """Return the recipe whose outputs are nearest to the ANN's on pictures that calibrated none."""
    errors: dict[str, float] = {}
    for name in recipes if len(recipes) > 1 else ():
        errors[name] = output_error(model, tp.convert(model, fit, name, time_steps=steps), judge, steps)
        print(f"{name:12} {steps:3} steps: output error {100 * errors[name]:.2f} %", flush=True)
    return min(errors, key=errors.__getitem__, default=recipes[0])


def measured(model: RetinaNet, network: tp.Network, test: tuple[Tensor, Tensor], steps: int, out: Path) -> tp.Report:
    """Return the report of a network on test canvases, with mAP over time, and write it and its page."""
    title = f"RetinaNet, {network.method.name if network.method else ''}"
    report = tp.evaluate(model, network, test, steps, metric=CocoScore(), title=title)
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
    print(f"{report.method.name}, {report.samples} test canvases: ANN mAP {scores.reference:.2f}, AP50 {loose.reference:.2f}")
    for row in rows(report):
        said = (f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items())
        print(", ".join(said), flush=True)


def pictured(model: RetinaNet, network: tp.Network, pictures: Tensor, path: Path) -> None:
    """Draw what the ANN finds, and the spiking network after more and more steps."""
    with torch.inference_mode():
        answer = model(pictures)
    found: dict[str, list[Found]] = {"ANN": detect(answer["classes"], answer["boxes"], CocoScore().anchors)}
    outputs = tp.simulate(network, pictures, max(PICTURED)).outputs
    assert isinstance(outputs, Mapping)
    for step in PICTURED:
        now = {key: value[step - 1] for key, value in outputs.items()}
        found[f"T = {step}"] = detect(levels(now, "classes"), levels(now, "boxes"), CocoScore().anchors)
    draw(pictures, found, path)


def converted(
    model: RetinaNet,
    training: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    recipes: Sequence[str],
    steps: int,
    out: Path,
) -> tp.Network:
    """Return the network of the best of some recipes, after measuring it on test canvases and writing what was found."""
    name = chosen(model, *training, recipes, steps)
    network = tp.convert(model, training[0], name, time_steps=steps)
    tp.save(network, out / name)
    report = measured(model, network, test, steps, out)
    (out / f"{steps}-steps-table.json").write_text(json.dumps(rows(report), indent=1))
    show(report)
    return network


def main() -> None:
    """Read the command line, choose recipes, convert, measure and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=Path("retinanet-out/model.safetensors"))
    parser.add_argument("--out", type=Path, default=Path("retinanet-out"))
    parser.add_argument("--steps", type=int, default=BINARY_STEPS, help="of the recipes with binary spikes")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--binary", default=BINARY, help="recipes to choose from for so many steps; none to leave them out")
    parser.add_argument("--graded", default=GRADED, help=f"the same for {GRADED_STEPS} steps")
    parser.add_argument("--calibration", type=int, default=24, help="training canvases that calibrate, and as many that judge")
    parser.add_argument("--test", type=int, default=300, help="test canvases")
    parser.add_argument("--pictures", type=Path, help="where to draw what is found (default: pictures.png in --out)")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    model, side = trained(given.weights, given.size), SIZES[given.size]["side"]
    fit, judge = (canvases(*mnist("train"), given.calibration, seed, side)[0] for seed in (CALIBRATION_SEED, JUDGING_SEED))
    test = canvases(*mnist("test"), given.test, TEST_SEED, side)
    if given.graded:
        converted(model, (fit, judge), test, given.graded.split(","), GRADED_STEPS, given.out)
    if given.binary:
        network = converted(model, (fit, judge), test, given.binary.split(","), given.steps, given.out)
        pictured(model, network, test[0][:3], given.pictures or given.out / "pictures.png")


if __name__ == "__main__":
    main()
