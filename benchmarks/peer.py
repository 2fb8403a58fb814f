"""SpikingJelly's conversion of ResNet-20 beside ours, in time and accuracy, in one run.

    python benchmarks/peer.py [--images 200] [--time-steps 32]

Needs TRANSPIKE_DATA and the package spikingjelly (2.0.0). Its rate recipe takes modules only: the model is rewritten with
nn.ReLU and with 1 x 1 convolutions for the shortcuts that pad channels; the scores stay the same, which is checked.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings

import torch
from torch import nn

import transpike as tp
from datasets import cifar10_test, cifar10_train, data_folder
from models import BasicBlock, ResNet, trained_resnet
from tables import keep, show

BATCH = 100
REPETITIONS = 3


class ModuleBlock(nn.Module):
    """A basic block of modules alone."""

    def __init__(self, block: BasicBlock, inputs: int, outputs: int):
        super().__init__()
        self.conv1, self.bn1, self.conv2, self.bn2 = block.conv1, block.bn1, block.conv2, block.bn2
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, 2, bias=False)
        if inputs != outputs:
            nn.init.zeros_(self.shortcut.weight)
            first = (outputs - inputs) // 2
            for channel in range(inputs):
                self.shortcut.weight.data[first + channel, channel] = 1

    def forward(self, x):
        out = self.relu1(self.bn1(self.conv1(x)))
        return self.relu2(self.bn2(self.conv2(out)) + self.shortcut(x))


def as_modules(model: ResNet) -> nn.Module:
    """The same network of modules alone."""
    layers: list[nn.Module] = [model.conv1, model.bn1, nn.ReLU()]
    channels = 16
    for stage in (model.layer1, model.layer2, model.layer3):
        for block in stage:
            layers.append(ModuleBlock(block, channels, block.conv1.out_channels))
            channels = block.conv1.out_channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), model.linear).eval()


@torch.no_grad()
def stepped(network: nn.Module, images: torch.Tensor, steps: int) -> torch.Tensor:
    """The answers of SpikingJelly's network, as in its examples."""
    from spikingjelly.activation_based import functional

    functional.reset_net(network)
    out = network(images)
    for _ in range(steps - 1):
        out = out + network(images)
    return out


def main(count: int, steps: int) -> None:
    from spikingjelly.activation_based import ann2snn

    images, labels = cifar10_test(count)
    calibration = cifar10_train(1000)[0]
    model = trained_resnet(20, data_folder())
    modules = as_modules(trained_resnet(20, data_folder()))
    with torch.no_grad():
        assert torch.allclose(model(images[:8]), modules(images[:8]), atol=1e-4)
    loader = [(part, part) for part in calibration.split(BATCH)]
    networks = {}
    for name, options in {
        "99.9 %, per layer": {"mode": "99.9%"},
        "99.9 %, per channel, half threshold": {"mode": "99.9%", "channel_wise": True, "half_threshold": True},
    }.items():
        recipe = ann2snn.RateCodingRecipe(loader, **options)
        networks[f"SpikingJelly 2.0.0, {name}"] = (
            ann2snn.Converter(recipe=recipe).convert(as_modules(trained_resnet(20, data_folder()))).eval()
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = {
            name: tp.convert(model, calibration, "rate", exact=exact) for name, exact in (("exact", True), ("float", False))
        }
    ways = {name: lambda x, net=net: stepped(net, x, steps) for name, net in networks.items()}
    ways |= {f"Transpike, {name}": lambda x, net=net: tp.simulate(net, x, steps).outputs[-1] for name, net in ours.items()}
    ways["ANN"] = model
    times: dict[str, list[float]] = {name: [] for name in ways}
    hits = dict.fromkeys(ways, 0)
    with torch.no_grad():
        for turn in range(REPETITIONS):
            for name, call in ways.items():
                started = time.perf_counter()
                answers = torch.cat([call(part) for part in images.split(BATCH)])
                times[name].append(time.perf_counter() - started)
                hits[name] = int((answers.argmax(1) == labels).sum())
            print(f"turn {turn + 1} of {REPETITIONS}", flush=True)
    rows = []
    for name in ways:
        seconds = statistics.median(times[name]) * 100 / count
        rows.append({"way": name, "s per 100 images": f"{seconds:.3f}", "accuracy %": f"{100 * hits[name] / count:.1f}"})
    show(f"ResNet-20, T = {steps}, {count} test images, {torch.get_num_threads()} threads", rows)
    keep("peer", {"rows": rows})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--time-steps", type=int, default=32)
    chosen = parser.parse_args()
    main(chosen.images, chosen.time_steps)
