"""Accuracy against the bits of weights and potentials: a CNN on MNIST (trained here) and ResNet-20 on CIFAR-10.

    python benchmarks/integers.py mnist|resnet20 [--images 2000] [--recipe sbg] [--time-steps 32]

Calibration: 1,000 training images without labels. `loss` is against the same recipe in float32. Needs TRANSPIKE_DATA.
"""

from __future__ import annotations

import argparse
import time

import torch

import transpike as tp
from datasets import cifar10_test, cifar10_train, data_folder, mnist
from max_pool import trained
from models import lenet, trained_resnet
from tables import keep, show
from transpike.neurons import Wrapping
from transpike.passes import FitIntegers

FORMS = (
    None,
    FitIntegers(8, 16),
    FitIntegers(8, 16, scope="channel"),
    FitIntegers(6, 16),
    FitIntegers(6, 16, scope="channel"),
    FitIntegers(4, 16),
    FitIntegers(4, 16, scope="channel"),
    FitIntegers(3, 16, scope="channel"),
    FitIntegers(2, 16, scope="channel"),
    FitIntegers(8, 10),
    FitIntegers(8, 8),
    FitIntegers(8, 10, neuron=Wrapping),
)


def subject(name: str, images: int):
    """The model, its calibration samples and its test set."""
    if name == "resnet20":
        return trained_resnet(20, data_folder()), cifar10_train(1000)[0], cifar10_test(images)
    data = mnist("train", 60_000)
    torch.manual_seed(0)
    return trained(lenet(), *data, 3), data[0][:1000], mnist("t10k", images)


def run(name: str, recipe: str, steps: int, images: int) -> list[dict]:
    """One row for each form."""
    model, samples, test = subject(name, images)
    rows: list[dict] = []
    for form in FORMS:
        started = time.perf_counter()
        chosen = tp.recipes[recipe] if form is None else tp.recipes[recipe].with_integers(form)
        report = tp.evaluate(model, tp.convert(model, samples, chosen, time_steps=steps), test, steps)
        accuracy = 100 * report.accuracy[-1]
        first = float(rows[0]["accuracy %"]) if rows else accuracy
        row = {"network": name, "form": "float32" if form is None else form.worded(), "accuracy %": f"{accuracy:.2f}"}
        row |= {"loss": f"{first - accuracy:.2f}", "same as ANN %": f"{100 * report.agreement[-1]:.2f}"}
        row |= {"spikes/neuron": f"{report.spikes_per_neuron:.2f}", "ANN %": f"{100 * report.reference_accuracy:.2f}"}
        rows.append(row | {"seconds": round(time.perf_counter() - started)})
        print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=("mnist", "resnet20"))
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--recipe", default="sbg")
    parser.add_argument("--time-steps", type=int, default=32)
    given = parser.parse_args()
    found = run(given.network, given.recipe, given.time_steps, given.images)
    show(f"{given.recipe}, T = {given.time_steps}, {given.images} test images", found)
    keep(f"integers-{given.network}-{given.images}", {"rows": found})
