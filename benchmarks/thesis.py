"""The thesis on rate-coded conversion, again: its figure 4.4 and table 4.2 on ResNet-56, its table 4.1 on ResNet-20.

    python benchmarks/thesis.py speed-up [--depth 56] [--images 500] [--time-steps 256] [--conversions basic extended]
    python benchmarks/thesis.py relu1 [--depth 20] [--images 1000] [--time-steps 512]

`speed-up`: the steps from which the accuracy stays at a level, for the basic conversion (one threshold per layer at the 99.9th
percentile, potential from 0), each of its three optimisations alone, and all three (`thesis-extended`).
`relu1`: the accuracy of the ANN clipped at the thresholds beside the SNN's. Calibration: 1,000 training images; test: the
first images of the test set. Needs TRANSPIKE_DATA.
"""

from __future__ import annotations

import argparse
import dataclasses

import torch

import transpike as tp
from datasets import cifar10_test, cifar10_train, data_folder
from models import trained_resnet
from tables import keep, show
from transpike.network import forward
from transpike.neurons import Neuron
from transpike.ops import Affine, Clip
from transpike.passes import ClampVoltage, InsertNeurons, Percentile

LEVELS = (0.80, 0.85, 0.90, 0.92)
LAST = 16  # steps over which the final accuracy is averaged


def changed(recipe: tp.Recipe, words: str, **fields) -> tp.Recipe:
    """The recipe with other fields in its InsertNeurons."""
    passes = [dataclasses.replace(p, **fields) if isinstance(p, InsertNeurons) else p for p in recipe.passes]
    return recipe.variant(words, tuple(passes))


def variants() -> dict[str, tp.Recipe]:
    basic = tp.recipes["rate-basic"]
    return {
        "extended": tp.recipes["thesis-extended"],
        "basic": basic,
        "half threshold": changed(basic, "half threshold", initial=0.5),
        "channel-wise 99.99": changed(basic, "channel-wise", threshold=Percentile(99.99)),
        "clamping d=1": basic.variant("clamping d=1", (*basic.passes, ClampVoltage(1))),
    }


def reached(accuracy: list[float], level: float) -> str:
    """The first step from which the accuracy stays at `level`, or that it never does."""
    below = [t for t, value in enumerate(accuracy, 1) if value < level - 1e-12]
    first = below[-1] + 1 if below else 1
    return str(first) if first <= len(accuracy) else f">{len(accuracy)}"


def curve(network: tp.Network, images: torch.Tensor, labels: torch.Tensor, time_steps: int) -> list[float]:
    """The accuracy after each step."""
    correct = torch.zeros(time_steps, dtype=torch.long)
    for x, y in zip(images.split(32), labels.split(32), strict=True):
        correct += (tp.simulate(network, x, time_steps).outputs.argmax(2) == y).sum(1)
    return (correct.double() / len(images)).tolist()


def ann_accuracy(network: tp.Network, images: torch.Tensor, labels: torch.Tensor) -> float:
    answers = torch.cat([forward(network, [x])["output"].argmax(1) for x in images.split(100)])
    return float((answers == labels).double().mean())


def speed_up(depth: int, images: int, time_steps: int, names: list[str]) -> None:
    model, calibration = trained_resnet(depth, data_folder()), cifar10_train(1000)[0]
    x, y = cifar10_test(images)
    rows, curves = [], {}
    for name in names:
        network = tp.convert(model, calibration, variants()[name])
        ann = ann_accuracy(network.analogue(), x, y)
        curves[name] = curve(network, x, y, time_steps)
        steps = {f"{100 * level:g} %": reached(curves[name], level) for level in LEVELS}
        steps["99 % of ANN"] = reached(curves[name], 0.99 * ann)
        last = sum(curves[name][-LAST:]) / LAST
        rows.append({"conversion": name, **steps, f"mean of last {LAST} steps %": f"{100 * last:.2f}"})
        show(f"ResNet-{depth}, ANN {100 * ann:.2f} %, {images} images, T={time_steps}: steps until", rows)
        keep(f"thesis-speed-up-{depth}-{images}-{time_steps}", {"ann": ann, "rows": rows, "accuracy": curves})


def clipped(network: tp.Network) -> tp.Network:
    """The ANN whose activations are clipped at the thresholds: x -> threshold * clip(x / threshold, 0, 1)."""
    nodes = {}
    for name, node in network.nodes.items():
        if not isinstance(node.op, Neuron):
            nodes[name] = node
            continue
        ceiling = node.op.ceiling()
        down = dataclasses.replace(node, name=f"{name}.down", op=Affine(1 / ceiling))
        bounded = dataclasses.replace(node, name=f"{name}.relu1", op=Clip(0.0, 1.0), inputs=(down.name,))
        up = dataclasses.replace(node, op=Affine(ceiling), inputs=(bounded.name,))
        nodes |= {down.name: down, bounded.name: bounded, name: up}
    return dataclasses.replace(network, nodes=nodes).analogue()


def relu1(depth: int, images: int, time_steps: int) -> None:
    model, calibration = trained_resnet(depth, data_folder()), cifar10_train(1000)[0]
    x, y = cifar10_test(images)
    rows = []
    for percent in (99, 99.9, 99.99, 100):
        recipe = tp.recipes["thesis-extended"].with_percentile(percent)
        network = tp.convert(model, calibration, recipe)
        accuracies = curve(network, x, y, time_steps)
        last, bound = sum(accuracies[-LAST:]) / LAST, ann_accuracy(clipped(network), x, y)
        row = {"percentile": percent, "SNN %": f"{100 * last:.2f}", "ReLU1 %": f"{100 * bound:.2f}"}
        rows.append({**row, "difference": f"{100 * (bound - last):+.2f}"})
        show(f"ResNet-{depth}, {images} images: mean of the last {LAST} of {time_steps} steps against ReLU1", rows)
        keep(f"thesis-relu1-{depth}-{images}", {"rows": rows, "ann": ann_accuracy(network.analogue(), x, y)})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed-up", "relu1"))
    parser.add_argument("--depth", type=int, choices=(20, 56))
    parser.add_argument("--images", type=int)
    parser.add_argument("--time-steps", type=int)
    parser.add_argument("--conversions", nargs="+", choices=list(variants()), default=list(variants()))
    chosen = parser.parse_args()
    if chosen.what == "speed-up":
        speed_up(chosen.depth or 56, chosen.images or 500, chosen.time_steps or 256, chosen.conversions)
    else:
        relu1(chosen.depth or 20, chosen.images or 1000, chosen.time_steps or 512)
