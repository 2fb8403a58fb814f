"""Accuracy against the bits of weights and potentials: CNNs on MNIST (trained here) and ResNet-20 on CIFAR-10.

    python benchmarks/integers.py cnn|mnist|resnet20 [--images 2000] [--recipe sbg] [--time-steps 32] [--forms 0 1 5] [--plain]

`--plain` leaves out the corrections after rounding. It goes on where an interrupted run stopped.
Calibration: 1,000 training images without labels. `loss` is against the ANN. Needs TRANSPIKE_DATA.
"""

from __future__ import annotations

import argparse
import time

import torch

import transpike as tp
from datasets import cifar10_test, cifar10_train, data_folder, mnist
from keeping import kept
from max_pool import trained
from models import averaging_cnn, lenet, trained_resnet
from tables import OUT, keep, kept_rows, show
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
    torch.manual_seed(0)
    OUT.mkdir(exist_ok=True)
    if name == "cnn":
        data = mnist("train", 10_000)
        model = kept(OUT / "averaging-cnn.safetensors", averaging_cnn(), lambda: trained(averaging_cnn(), *data, 2))
        return model, data[0][:1000], mnist("t10k", images)
    data = mnist("train", 60_000)
    model = kept(OUT / "lenet-mnist.safetensors", lenet(), lambda: trained(lenet(), *data, 3))
    return model, data[0][:1000], mnist("t10k", images)


def run(given: argparse.Namespace, name: str) -> list[dict]:
    """One row for each form."""
    settings = {"images": given.images, "recipe": given.recipe, "steps": given.time_steps}
    rows = kept_rows(name, **settings)
    model, samples, test = subject(given.network, given.images)
    for form in (FORMS[number] for number in given.forms):
        title = "float32" if form is None else form.worded() + (", plain" if given.plain else ", corrected")
        if any(row["form"] == title for row in rows):
            continue
        started = time.perf_counter()
        chosen = tp.recipes[given.recipe]
        chosen = chosen if form is None else chosen.with_integers(form, corrected=not given.plain)
        report = tp.evaluate(model, tp.convert(model, samples, chosen, time_steps=given.time_steps), test, given.time_steps)
        accuracy = 100 * report.accuracy[-1]
        row = {"network": given.network, "form": title, "accuracy %": f"{accuracy:.2f}"}
        row |= {"loss": f"{100 * report.loss:.2f}", "same as ANN %": f"{100 * report.agreement[-1]:.2f}"}
        row |= {"spikes/neuron": f"{report.spikes_per_neuron:.2f}", "ANN %": f"{100 * report.reference_accuracy:.2f}"}
        rows.append(row | {"seconds": round(time.perf_counter() - started)})
        print(rows[-1], flush=True)
        keep(name, {**settings, "rows": rows}, quiet=True)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=("cnn", "mnist", "resnet20"))
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--recipe", default="sbg")
    parser.add_argument("--time-steps", type=int, default=32)
    parser.add_argument("--forms", type=int, nargs="+", choices=range(len(FORMS)), default=range(len(FORMS)))
    parser.add_argument("--plain", action="store_true", help="Leave out the corrections after rounding.")
    chosen = parser.parse_args()
    file = f"integers-{chosen.network}-{chosen.images}"
    found = run(chosen, file)
    show(f"{chosen.recipe}, T = {chosen.time_steps}, {chosen.images} test images", found)
