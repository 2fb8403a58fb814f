"""Convert the trained U-Net, measure its IoU over time steps, and draw what it sees.

    python examples/segmentation/convert.py --weights segmentation-out/model.safetensors --out segmentation-out

Recipes are compared by the relative error of the output on training pictures; test pictures are seen once, by the recipe that
was chosen.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from safetensors.torch import load_file
from torch import Tensor

import transpike as tp
from shapes import NAMES, pictures
from transpike.report import write_page
from unet import UNet

RECIPES = "sbg,ls,ls-tg"
STEPS = 32
PICTURED = (2, 4, 8, 16, 32)
CALIBRATION_SEED, JUDGING_SEED, TEST_SEED = 1, 2, 3


def trained(weights: Path) -> UNet:
    """Return the trained U-Net, ready to be converted."""
    model = UNet()
    model.load_state_dict(load_file(weights))
    return model.eval()


def chosen(model: UNet, fit: Tensor, judge: Tensor, recipes: Sequence[str], steps: int) -> str:
    """Return the recipe whose output is nearest to the ANN's on pictures that calibrated none."""
    errors: dict[str, float] = {}
    for name in recipes if len(recipes) > 1 else ():
        network = tp.convert(model, fit, name, time_steps=steps)
        errors[name] = tp.evaluate(model, network, judge, steps).output_error[-1]
        print(f"{name:12} {steps:3} steps: output error {100 * errors[name]:.2f} %", flush=True)
    return min(errors, key=errors.__getitem__, default=recipes[0])


def draw(model: UNet, network: tp.Network, images: Tensor, maps: Tensor, path: Path) -> None:
    """Write a picture with what is there, what the ANN sees, and what the spiking network sees after more and more steps."""
    with torch.inference_mode():
        answer = model(images).argmax(1)
    outputs = tp.simulate(network, images, max(PICTURED)).outputs
    assert isinstance(outputs, Tensor)
    steps = {f"T = {step}": outputs[step - 1].argmax(1) for step in PICTURED}
    columns = {"picture": images.permute(0, 2, 3, 1).clamp(0, 1), "labels": maps, "ANN": answer, **steps}
    figure = Figure(figsize=(1.35 * len(columns), 1.45 * len(images)), layout="constrained")
    panels = figure.subplots(len(images), len(columns), squeeze=False)
    for column, (title, shown) in enumerate(columns.items()):
        panels[0, column].set_title(title, fontsize=9)
        for axes, one in zip(panels[:, column], shown, strict=True):
            axes.imshow(one.numpy(), cmap="viridis", vmin=0, vmax=len(NAMES) - 1, interpolation="nearest")
            axes.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=75, metadata={"Software": None})


def rows(report: tp.Report) -> list[dict[str, Any]]:
    """Return IoU, accuracy, spikes and energy at each checkpoint, fractions in percent."""
    (score,) = report.metrics
    assert report.accuracy is not None
    found = []
    for point in report.checkpoints:
        shares = {"IoU": score.after(point.time_steps), "accuracy": report.accuracy[point.time_steps - 1]}
        percent = {name: None if share is None else 100 * share for name, share in shares.items()}
        costs = {"spikes per neuron": point.spikes_per_neuron, "energy over ANN": point.energy[0].ratio}
        found.append({"recipe": report.method.name, "steps": point.time_steps, **percent, **costs})
    return found


def show(report: tp.Report) -> None:
    """Print the rows of a report."""
    (score,) = report.metrics
    right = 100 * (report.reference_accuracy or 0)
    print(f"{report.method.name}, {report.samples} test pictures: ANN IoU {100 * score.reference:.2f}, accuracy {right:.2f}")
    for row in rows(report):
        said = (f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items())
        print(", ".join(said), flush=True)


def main() -> None:
    """Read the command line, choose a recipe, convert, measure and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=Path("segmentation-out/model.safetensors"))
    parser.add_argument("--out", type=Path, default=Path("segmentation-out"))
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--recipes", default=RECIPES, help="to choose from for so many steps")
    parser.add_argument("--calibration", type=int, default=48, help="training pictures that calibrate, and as many that judge")
    parser.add_argument("--test", type=int, default=300, help="test pictures")
    parser.add_argument("--pictures", type=Path, help="where to draw what is seen (default: pictures.png in --out)")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    model = trained(given.weights)
    fit, judge = (pictures(given.calibration, seed)[0] for seed in (CALIBRATION_SEED, JUDGING_SEED))
    images, maps = pictures(given.test, TEST_SEED)
    name = chosen(model, fit, judge, given.recipes.split(","), given.steps)
    network = tp.convert(model, fit, name, time_steps=given.steps)
    tp.save(network, given.out / name)
    report = tp.evaluate(model, network, (images, maps), given.steps, metric="iou", title=f"U-Net, {name}")
    report.save(given.out / "report.json")
    write_page(report, given.out / "report.html")
    (given.out / "results.json").write_text(json.dumps(rows(report), indent=1))
    show(report)
    draw(model, network, images[:3], maps[:3], given.pictures or given.out / "pictures.png")


if __name__ == "__main__":
    main()
