"""Convert the trained U-Net, measure its IoU over time steps, and draw what it sees.

    python examples/segmentation/convert.py --weights segmentation-out/model.safetensors --out segmentation-out

Recipes are compared by the relative error of the output on training pictures; test pictures are seen once, by the recipe that
was chosen.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from matplotlib.figure import Figure
from safetensors.torch import load_file
from torch import Tensor

import transpike as tp
from shapes import NAMES, pictures
from unet import UNet

RECIPES = ("rate", "sbg", "ls", "ls-tg", "any-time")
STEPS = 32
PICTURED = (2, 4, 8, 16, 32)
CALIBRATION_SEED, JUDGING_SEED, TEST_SEED = 1, 2, 3


def trained(weights: Path) -> UNet:
    """Return the trained U-Net, ready to be converted."""
    model = UNet()
    model.load_state_dict(load_file(weights))
    return model.eval()


def chosen(model: UNet, fit: Tensor, judge: Tensor, steps: int) -> str:
    """Return the recipe whose output is nearest to the ANN's on pictures that calibrated none."""
    errors = {}
    for name in RECIPES:
        network = tp.convert(model, fit, name, time_steps=steps)
        errors[name] = tp.evaluate(model, network, judge, steps).output_error[-1]
        print(f"{name:12} {steps:3} steps: output error {100 * errors[name]:.2f} %", flush=True)
    return min(errors, key=errors.__getitem__)


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
            axes.imshow(one, cmap="viridis", vmin=0, vmax=len(NAMES) - 1, interpolation="nearest")
            axes.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=75, metadata={"Software": None})


def main() -> None:
    """Read the command line, choose a recipe, convert, measure and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=Path("segmentation-out/model.safetensors"))
    parser.add_argument("--out", type=Path, default=Path("segmentation-out"))
    parser.add_argument("--calibration", type=int, default=100, help="training pictures that calibrate, and as many that judge")
    parser.add_argument("--test", type=int, default=500, help="test pictures")
    parser.add_argument("--pictures", type=Path, help="where to draw what is seen (default: pictures.png in --out)")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    model = trained(given.weights)
    fit, judge = (pictures(given.calibration, seed)[0] for seed in (CALIBRATION_SEED, JUDGING_SEED))
    images, maps = pictures(given.test, TEST_SEED)
    name = chosen(model, fit, judge, STEPS)
    network = tp.convert(model, fit, name, time_steps=STEPS)
    tp.save(network, given.out / name)
    report = tp.evaluate(model, network, (images, maps), STEPS, metric="iou", title=f"U-Net, {name}")
    report.save(given.out / "report.json")
    (score,) = report.metrics
    assert report.accuracy is not None
    print(f"ANN: IoU {100 * score.reference:.2f} %, accuracy {100 * (report.reference_accuracy or 0):.2f} %")
    table = []
    for point in report.checkpoints:
        iou, right = 100 * (score.after(point.time_steps) or 0), 100 * report.accuracy[point.time_steps - 1]
        spikes, energy = point.spikes_per_neuron, point.energy[0].ratio
        table.append(
            {"recipe": name, "steps": point.time_steps, "IoU": iou, "accuracy": right, "spikes": spikes, "energy": energy}
        )
        print(
            f"{point.time_steps:3} steps: IoU {iou:.2f} %, accuracy {right:.2f} %, {spikes:.2f} spikes per neuron, energy {energy:.2f}"
        )
    draw(model, network, images[:3], maps[:3], given.pictures or given.out / "pictures.png")
    (given.out / "results.json").write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
