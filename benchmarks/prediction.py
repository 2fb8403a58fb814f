"""Predicted against simulated accuracy of ResNet-20 and ResNet-56 on CIFAR-10, per time steps and threshold rule.

    python benchmarks/prediction.py [--depth 20 56] [--rules rate 99.9 mmse] [--images 500] [--time-steps 8 16 32 64]

Columns beside the simulation, all as differences to it in points on the same images: `ReLU1` (clipped ANN), `levels` (ANN
quantised to T / L^0.4 levels, L the spiking layers), `leaps` (the walk of `tp.predict`), `corrected` (the same after its
first 64 images were simulated, unlabelled). The number of leaps per octave was chosen with `--small`, on small networks that it
trains, never on the two judged here. Calibration: 1,000 training images. Needs TRANSPIKE_DATA.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import transpike as tp
from datasets import cifar10_test, cifar10_train, data_folder
from models import BasicBlock, trained_resnet
from rate_methods import fits_time
from tables import keep, show
from transpike.analysis.reference import Reference
from transpike.network import Network, forward
from transpike.neurons import Neuron
from transpike.parts import Method, Op, Stateful
from transpike.passes import AccumulateMaxPool, InsertNeurons, Percentile
from transpike.prediction import leap_answers, leap_ends
from transpike.recipe import STRUCTURE, Recipe

SIMULATED = 64
EXPONENT = 0.4


def recipe(rule: str) -> Recipe:
    """Return the recipe of a rule: a row of the table, or a percentile of all activations."""
    if rule in tp.recipes:
        return tp.recipes[rule]
    return Recipe(
        Method(rule, rule, ""), (*STRUCTURE, InsertNeurons(Percentile(float(rule)), initial=0.5), AccumulateMaxPool())
    )


@dataclass(frozen=True, eq=False)
class Levels(Op):
    """An activation rounded to N levels: threshold/N clip(floor(N z / threshold + 1/2), 0, N)."""

    threshold: Tensor
    levels: int

    def __call__(self, x: Tensor) -> Tensor:
        step = self.threshold / self.levels
        return torch.floor(x / step + 0.5).clamp(0, self.levels) * step


def quantised(network: Network, levels: int) -> Network:
    def change(op: Op) -> Op:
        if isinstance(op, Neuron):
            return Levels(op.threshold, levels)
        return op.analogue() if isinstance(op, Stateful) else op

    return network.map_ops(lambda node: change(node.op))


@torch.inference_mode()
def accuracy(network: Network, data: tuple[Tensor, Tensor]) -> float:
    parts = zip(data[0].split(50), data[1].split(50), strict=True)
    right = sum((next(iter(forward(network, [x]).values())).argmax(1) == y).sum() for x, y in parts)
    return 100 * float(right) / len(data[1])


def by_levels(network: Network, data: tuple[Tensor, Tensor], time_steps: int) -> float:
    """The rule of thumb: T / L^0.4 levels, interpolated on a logarithmic scale."""
    wanted = max(1.0, time_steps / len(network.having(Neuron)) ** EXPONENT)
    low = math.floor(wanted)
    share = math.log(wanted / low) / math.log((low + 1) / low)
    return (1 - share) * accuracy(quantised(network, low), data) + share * accuracy(quantised(network, low + 1), data)


def judged(name: str, model: nn.Module, calibration: Tensor, data: tuple[Tensor, Tensor], rule: str, steps: list[int]) -> list:
    """Return one row per number of time steps; a rule that fits thresholds to T is converted anew for each."""
    groups = [[step] for step in steps] if rule in tp.recipes and fits_time(rule) else [steps]
    rows = []
    for group in groups:
        last = max(group)
        network = tp.convert(model, calibration, recipe(rule), time_steps=last)
        started = time.perf_counter()
        predicted = tp.predict(network, data, last, model, simulated=SIMULATED)
        took = time.perf_counter() - started
        answers = tp.simulate(network, data[0], last).outputs.argmax(2)
        true = Reference(network, model).output([data[0]]).argmax(1)
        walks = {one.time_steps: one for one in predicted.over_time}
        corrected = {one.time_steps: one for one in predicted.corrected}
        for step in group:
            right = 100 * float((answers[step - 1] == data[1]).double().mean())
            agreed = 100 * float((answers[step - 1] == true).double().mean())
            rows.append(
                {
                    "network": name,
                    "rule": rule,
                    "T": step,
                    "ANN": f"{100 * predicted.reference_accuracy:.1f}",
                    "SNN": f"{right:.1f}",
                    "ReLU1": f"{100 * predicted.clipped.accuracy - right:+.1f}",
                    "levels": f"{by_levels(network, data, step) - right:+.1f}",
                    "leaps": f"{100 * walks[step].accuracy - right:+.1f}",
                    "passes": walks[step].passes,
                    "corrected": f"{100 * corrected[step].accuracy - right:+.1f}",
                    "agreement": f"{100 * corrected[step].agreement - agreed:+.1f}",
                    "predict s": f"{took:.0f}",
                }
            )
            print(rows[-1], flush=True)
    return rows


class Thin(nn.Module):
    """A narrow ResNet of 6n + 2 layers for images of 16 x 16."""

    def __init__(self, n: int, width: int):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        places = [(stage, first) for stage in range(3) for first in (True, *[False] * (n - 1))]
        self.stages = nn.Sequential(
            *[
                BasicBlock(width * 2 ** (stage - (first and stage > 0)), width * 2**stage, 2 if first and stage else 1)
                for stage, first in places
            ]
        )
        self.linear = nn.Linear(4 * width, 10)

    def forward(self, x):
        return self.linear(self.stages(self.stem(x)).mean((2, 3)))


def plain(depth: int, width: int) -> nn.Module:
    """A chain of convolutions without skips."""
    layers, inputs = [], 3
    for k in range(depth):
        stage = 3 * k // depth
        outputs, stride = width * 2**stage, 2 if k and 3 * (k - 1) // depth < stage else 1
        layers += [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


SMALL = {"plain-6": lambda: plain(6, 12), "resnet-8": lambda: Thin(1, 12), "resnet-20": lambda: Thin(3, 8)}


def fitted(make, data: tuple[Tensor, Tensor], epochs: int = 12) -> nn.Module:
    torch.manual_seed(0)
    model = make()
    optimiser = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    steps = epochs * (len(data[0]) // 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.2, total_steps=steps + 1)
    for _ in range(epochs):
        for rows in torch.randperm(len(data[0]))[: len(data[0]) // 128 * 128].split(128):
            flip = torch.rand(128, 1, 1, 1) < 0.5
            x = torch.where(flip, data[0][rows].flip(3), data[0][rows])
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(x), data[1][rows]).backward()
            optimiser.step()
            schedule.step()
    return model.eval()


def small(time_steps: int = 64) -> None:
    """Choose the leaps per octave on small networks: the error of the walk on training images that took no other part."""
    images, labels = cifar10_train(5000)
    images = nn.functional.avg_pool2d(images, 2)
    rest = images[4000:], labels[4000:].long()
    rows = []
    for name, make in SMALL.items():
        model = fitted(make, (images[:4000], labels[:4000].long()))
        for rule in ("rate", "99.9"):
            network = tp.convert(model, images[:1000], recipe(rule))
            answers = tp.simulate(network, rest[0], time_steps).outputs.argmax(2)
            for per_octave in (1, 2, 3):
                ends = leap_ends(time_steps, per_octave)
                walk = leap_answers(network, [rest[0]], ends)
                errors = {
                    end: 100
                    * float(((walk[end].argmax(1) == rest[1]).double() - (answers[end - 1] == rest[1]).double()).mean())
                    for end in ends
                }
                columns = {f"T={end}": f"{errors[end]:+.1f}" for end in (8, 16, 32, 64)}
                rows.append({"network": name, "rule": rule, "leaps per octave": per_octave, "passes": len(ends), **columns})
    show("Error of the walk in points, 1,000 images", rows)
    keep("prediction-small", {"rows": rows})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, nargs="+", choices=(20, 56), default=[20, 56])
    parser.add_argument("--rules", nargs="+", default=["rate", "99.9", "mmse"])
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--time-steps", type=int, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument("--small", action="store_true", help="choose the leaps per octave on small networks instead")
    chosen = parser.parse_args()
    if chosen.small:
        small()
    else:
        calibration, data = cifar10_train(1000)[0], cifar10_test(chosen.images)
        for depth in chosen.depth:
            found = []
            for rule in chosen.rules:
                found += judged(
                    f"ResNet-{depth}", trained_resnet(depth, data_folder()), calibration, data, rule, chosen.time_steps
                )
                keep(f"prediction-resnet{depth}", {"images": chosen.images, "rows": found})
            show(f"Predicted minus simulated accuracy in points, {chosen.images} test images", found)
