"""Accuracy at few time steps of a plain MNIST CNN and a VGG with batch norm and max-pool, with binary spikes.

    python benchmarks/small_networks.py [--images 10000] [--train 20000] [--epochs 2] [--recipes rate ls ls-tg]

Trains both for a minute or two. Calibration: 1,000 training images without labels. Needs TRANSPIKE_DATA.
"""

from __future__ import annotations

import argparse

import torch
from torch import nn

import transpike as tp
from datasets import mnist
from max_pool import trained
from models import small_cnn, small_vgg
from tables import keep, show

STEPS = (4, 8, 16)


def rows_of(name: str, model: nn.Module, calibration: torch.Tensor, test: tuple, recipes: list[str]) -> list[dict]:
    """One row per recipe, each converted for each of the steps."""
    with torch.inference_mode():
        ann = torch.cat([model(part).argmax(1) for part in test[0].split(500)])
    accuracy = 100 * float((ann == test[1]).float().mean())
    rows = []
    for recipe in recipes:
        row = {"network": name, "ANN": f"{accuracy:.2f}", "recipe": recipe}
        for steps in STEPS:
            network = tp.convert(model, calibration, recipe, time_steps=steps)
            final = tp.evaluate(model, network, test, steps).final
            row[f"T={steps}"] = f"{100 * final.accuracy:.2f}"
            row[f"spikes/neuron {steps}"] = f"{final.spikes_per_neuron:.2f}"
        rows.append(row)
        print(row, flush=True)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--train", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--recipes", nargs="+", default=["rate", "ls", "ls-tg"])
    chosen = parser.parse_args()
    images, labels = mnist("train", chosen.train)
    test = mnist("t10k", chosen.images)
    rows = []
    torch.manual_seed(0)
    for name, model in (("CNN", small_cnn()), ("VGG-BN", small_vgg())):
        rows += rows_of(name, trained(model, images, labels, chosen.epochs), images[:1000], test, chosen.recipes)
    show(f"MNIST, {len(test[0])} test images, accuracy in %", rows)
    keep("small_networks", {"rows": rows})
