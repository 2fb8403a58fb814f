"""Differential coding on ResNet-20 and ResNet-56: accuracy and graded spikes at T = 1 ... 8.

    python benchmarks/differential.py [--depth 20] [--images 2000] [--levels 4 8] [--scales 1.0]
    python benchmarks/differential.py --choose          (the scale, by KL to the ANN on training images)

Calibration: 1,000 training images. Test: the first images of the test set. Needs TRANSPIKE_DATA.
"""

from __future__ import annotations

import argparse
import dataclasses

import torch
from torch import nn

import transpike as tp
from datasets import cifar10_test, cifar10_train, data_folder
from models import trained_resnet
from tables import keep, show
from transpike.neurons import DifferenceNeuron
from transpike.passes import InsertDifferenceNeurons

STEPS = (1, 2, 3, 4, 8)
HELD_OUT = 400


def recipe(levels: int, scale: float) -> tp.Recipe:
    """The recipe `dcgs` with other levels and scale."""
    plain = tp.recipes["dcgs"]
    change = InsertDifferenceNeurons(levels=levels, scale=scale)
    passes = tuple(change if isinstance(step, InsertDifferenceNeurons) else step for step in plain.passes)
    return dataclasses.replace(plain, passes=passes)


def measured(model: nn.Module, network: tp.Network, images: torch.Tensor, labels: torch.Tensor) -> list[dict]:
    """Return accuracy, KL to the ANN, and spikes per neuron at each of STEPS."""
    with torch.inference_mode():
        expected = model(images).log_softmax(1)
    names = [node.name for node in network.having(DifferenceNeuron)]
    record = tp.Record(spikes=names)
    right, divergence, fired = (dict.fromkeys(STEPS, 0.0) for _ in range(3))
    size = 0
    for x, y, ann in zip(images.split(50), labels.split(50), expected.split(50), strict=True):
        run = tp.simulate(network, x, max(STEPS), record=record)
        size = sum(run.spikes[name][0, 0].numel() for name in names)
        for t in STEPS:
            answer = run.outputs[t - 1].log_softmax(1)
            right[t] += float((answer.argmax(1) == y).sum())
            divergence[t] += float((ann.exp() * (ann - answer)).sum())
            fired[t] += sum(float(run.spikes[name][:t].sum()) for name in names)
    count = len(labels)
    return [
        {
            "T": t,
            "accuracy %": f"{100 * right[t] / count:.2f}",
            "KL": f"{divergence[t] / count:.4f}",
            "spikes/neuron": f"{fired[t] / count / size:.2f}",
        }
        for t in STEPS
    ]


def table(depth: int, images: int, levels: list[int], scales: list[float], choose: bool) -> None:
    model = trained_resnet(depth, data_folder())
    calibration, labels = cifar10_train(1000 + HELD_OUT)
    x, y = (calibration[1000:], labels[1000:]) if choose else cifar10_test(images)
    with torch.inference_mode():
        ann = float((model(x).argmax(1) == y).float().mean())
    rows = []
    for n in levels:
        for scale in scales:
            network = tp.convert(model, calibration[:1000], recipe(n, scale))
            bits = network.having(DifferenceNeuron)[0].op.bits_per_spike
            rows += [{"levels": n, "bits": bits, "scale": scale, **row} for row in measured(model, network, x, y)]
            show(f"ResNet-{depth}, {len(x)} images, ANN {100 * ann:.2f} %", rows)
    keep(f"differential-resnet{depth}{'-choice' if choose else ''}", {"ann": ann, "images": len(x), "rows": rows})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, choices=(20, 56), default=20)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--levels", type=int, nargs="+", default=[4])
    parser.add_argument("--scales", type=float, nargs="+", default=[InsertDifferenceNeurons().scale])
    parser.add_argument("--choose", action="store_true", help="Measure on held-out training images instead.")
    chosen = parser.parse_args()
    table(chosen.depth, chosen.images, chosen.levels, chosen.scales, chosen.choose)
