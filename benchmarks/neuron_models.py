"""ResNet-20 on CIFAR-10 with each kind of neurons: accuracy at few time steps, spikes, bits per spike.

    python benchmarks/neuron_models.py [--images 300] [--recipes rate ternary ...]

Calibration: 1,000 training images. Test: the first images of the test set. The columns T = 4 ... 32 are real steps: what a
recipe needs before its answer (`extra`) is part of them. The columns `+4` ... `+32` count from there on. Needs TRANSPIKE_DATA.
"""

from __future__ import annotations

import argparse
import time

import torch

import transpike as tp
from datasets import cifar10_test, cifar10_train, data_folder
from models import trained_resnet
from tables import keep, show

STEPS = (4, 8, 16, 32)


def measured(model: torch.nn.Module, recipe: str, images: int) -> dict:
    network = tp.convert(model, cifar10_train(1000)[0], recipe)
    x, labels = cifar10_test(images)
    method = network.method
    started = time.perf_counter()
    recording = tp.simulate(network, x, method.extra_steps + STEPS[-1])
    seconds = time.perf_counter() - started
    accuracy = 100 * (recording.outputs.argmax(2) == labels).double().mean(1)
    spikes = sum(int(count.sum()) for count in recording.spike_counts.values())
    counts = tp.simulate(network, x[:1], 1, record=tp.Record(counts=list(recording.spike_counts))).counts.values()
    neurons = sum(count[0].numel() for count in counts)
    row = {"recipe": recipe, "bits": method.bits_per_spike, "extra": method.extra_steps}
    row |= {f"T={t}": f"{float(accuracy[t - 1]):.1f}" for t in STEPS}
    if method.extra_steps:
        row |= {f"+{t}": f"{float(accuracy[method.extra_steps + t - 1]):.1f}" for t in STEPS}
    return row | {"spikes/neuron/step": f"{spikes / len(x) / neurons / len(accuracy):.3f}", "s": f"{seconds:.0f}"}


def main(images: int, recipes: list[str]) -> None:
    model = trained_resnet(20, data_folder())
    x, labels = cifar10_test(images)
    with torch.inference_mode():
        reference = 100 * float((model(x).argmax(1) == labels).double().mean())
    rows = [measured(model, recipe, images) for recipe in recipes]
    show(f"ResNet-20, {images} test images, ANN {reference:.1f} %: accuracy in %", rows)
    keep("neuron-models", {"images": images, "reference": reference, "rows": rows})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--recipes", nargs="+", choices=list(tp.recipes), default=list(tp.recipes))
    chosen = parser.parse_args()
    main(chosen.images, chosen.recipes)
