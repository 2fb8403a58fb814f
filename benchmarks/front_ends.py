"""Front ends: one network in four forms, architectures through ONNX, and three published networks against time steps.

    python benchmarks/front_ends.py forms                      # the same spikes from PyTorch, .pt2, ONNX and Keras
    python benchmarks/front_ends.py onnx                       # error of files exported by PyTorch, before conversion
    python benchmarks/front_ends.py networks --only mnist resnet8 keywords [--binary ls-tg] [--graded graded-ls]

The last needs TRANSPIKE_DATA. `pip install -e .[dev,bench] -c constraints.txt` brings onnx, onnxscript and Keras. Calibration
never sees labels or test samples; the recipes are those that the documentation recommends, chosen on no test sample.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")
import torch
from torch import nn

sys.path.append(str(Path(__file__).parents[1] / "tests"))
import transpike as tp
from architectures import ARCHITECTURES
from four_forms import plain_keras, plain_net, residual_keras, spikes, trained_net, write_onnx, write_pt2
from front_networks import CALIBRATION, NETWORKS, Published
from helpers import flat
from tables import OUT, keep, show
from transpike.capture.models import as_module
from transpike.datasets import load
from transpike.frontends import load_model
from zoo import TRANSFORMERS, ZOO
from zoo.recurrent import RECURRENT

STEPS = 32
BINARY, GRADED = (4, 8, 16, 32), (1, 2, 4)
EXPORTED = {**ZOO, **{name: RECURRENT[name] for name in ("lstm", "gru")}, **TRANSFORMERS}
DYNAMO = ("lenet", "vgg-bn", "resnet", "mobilenet-v2")
MODERN = ("BERT", "ViT", "ConvNeXt")


def forms() -> list[dict]:
    """Compare the spike trains of exact networks from each form with those from the module itself."""
    rows = []
    train, test = (load("digits", split).whole().inputs[0] for split in ("train", "test"))
    nets = {"CNN, random weights": (plain_net, plain_keras), "CNN on digits, batch norm": (trained_net, residual_keras)}
    for title, (make, make_keras) in nets.items():
        model = make()
        wanted = spikes(model, train, test, STEPS)
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            write_pt2(model, (train[:2],), place / "net.pt2")
            write_onnx(model, (train[:1],), place / "one.onnx")
            write_onnx(model, (train[:2],), place / "two.onnx", dynamo=True)
            make_keras(model).save(place / "net.keras")
            for name in ("net.pt2", "one.onnx", "two.onnx", "net.keras"):
                last = name.endswith(".keras")
                given = [x.permute(0, 2, 3, 1) if last else x for x in (train, test)]
                found = spikes(load_model(str(place / name)).module, *given, STEPS)
                differ = sum(int((a != b).sum()) for a, b in zip(found, wanted, strict=True))
                sent = sum(int((train_ != 0).sum()) for train_ in wanted[:-1])
                rows.append(
                    {"network": title, "form": name, "layers": len(wanted) - 1, "spikes": sent, "values that differ": differ}
                )
                print(rows[-1], flush=True)
    return rows


def exporters() -> list[dict]:
    """Export architectures with PyTorch's exporters, read the files, and say by how much the answers differ."""
    rows = []
    for name, make in EXPORTED.items():
        model, inputs = make()
        rows += [error_row(name, model, inputs, dynamo=False)] + [error_row(name, model, inputs, dynamo=True)] * (
            name in DYNAMO
        )
        print(rows[-1], flush=True)
    for name in MODERN:
        rows.append(error_row(name, *ARCHITECTURES[name].make(), dynamo=True))
        print(rows[-1], flush=True)
    return rows


def error_row(name: str, model: nn.Module, inputs: object, *, dynamo: bool) -> dict:
    """Return the largest difference of the answers, relative to the largest answer where that is above 1."""
    given = tuple(x[:4] for x in (inputs if isinstance(inputs, tuple) else (inputs,)))
    row = {
        "architecture": name,
        "exporter": "torch.export" if dynamo else "TorchScript",
        "batch": "any" if dynamo else "fixed at 1",
    }
    settings = {"dynamic_shapes": tuple({0: "batch"} for _ in given)} if dynamo else {"opset_version": 17}
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = write_onnx(
                model, given if dynamo else tuple(x[:1] for x in given), Path(folder) / "net.onnx", dynamo=dynamo, **settings
            )
            found = load_model(str(path)).module
        with torch.inference_mode():
            ours, theirs = flat(found(*given)), flat(model(*given))
    except Exception as error:  # noqa: BLE001 - the table says why
        return {**row, "error": str(error).strip().splitlines()[0][:100]}
    pairs = zip(ours, theirs, strict=True)
    worst = max(float((a - b).abs().max()) / max(1.0, float(b.abs().max())) for a, b in pairs)
    return {**row, "error": f"{worst:.1e}"}


def networks(only: list[str], images: int, calibration: int, recipes: dict[str, tuple[str, tuple[int, ...]]]) -> list[dict]:
    """Convert each network for each number of steps and say how accurate it is."""
    rows = []
    for name in only:
        subject = NETWORKS[name](images, calibration)
        module = as_module(subject.model)
        accuracy = correct(module, subject)
        for kind, (recipe, steps) in recipes.items():
            for count in steps:
                started = time.perf_counter()
                graded = recipe == "auto" and kind == "graded"
                network = tp.convert(module, subject.calibration, recipe, time_steps=count, graded=graded)
                report = tp.evaluate(None, network, subject.test, count)
                final, right = report.final, 100 * report.final.accuracy
                row = {
                    "network": subject.title,
                    "test samples": report.samples,
                    "told %": subject.told,
                    "ANN %": f"{accuracy:.2f}",
                }
                row |= {
                    "recipe": recipe,
                    "spikes": kind,
                    "T": count,
                    "SNN %": f"{right:.2f}",
                    "loss": f"{accuracy - right:.2f}",
                }
                row |= {"spikes per neuron": f"{final.spikes_per_neuron:.2f}", "s": f"{time.perf_counter() - started:.0f}"}
                rows.append(row)
                print(row, flush=True)
                keep(
                    f"front_ends-{name}-{recipe}",
                    {"rows": [one for one in rows if one["network"] == subject.title]},
                    quiet=True,
                )
    return rows


def correct(module: nn.Module, subject: Published) -> float:
    """Return the accuracy of the model itself in percent."""
    x, y = subject.test
    with torch.inference_mode():
        return 100 * float((torch.cat([module(part).argmax(1) for part in x.split(250)]) == y).float().mean())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("forms", "onnx", "networks"))
    parser.add_argument("--only", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--calibration", type=int, default=CALIBRATION, help="training samples, without their labels")
    parser.add_argument("--binary", default="ls-tg")
    parser.add_argument("--graded", default="graded-ls")
    parser.add_argument("--binary-steps", type=int, nargs="*", default=list(BINARY))
    parser.add_argument("--graded-steps", type=int, nargs="*", default=list(GRADED))
    given = parser.parse_args()
    if given.what == "networks":
        wanted = {"binary": (given.binary, tuple(given.binary_steps)), "graded": (given.graded, tuple(given.graded_steps))}
        found = networks(given.only, given.images, given.calibration, wanted)
        show("Accuracy against time steps", found)
    else:
        found = forms() if given.what == "forms" else exporters()
        show("Values of spike trains and answers that differ" if given.what == "forms" else "Error before conversion", found)
        keep(f"front_ends-{given.what}", {"rows": found})
    print(f"\nWritten into {OUT.name}/.")
