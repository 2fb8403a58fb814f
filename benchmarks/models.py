"""Networks as their papers and authors write them; nothing in them is made for conversion."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn


class Shortcut(nn.Module):
    """Option A of He et al. 2016: strided slice and zero channels, no parameters."""

    def __init__(self, extra: int):
        super().__init__()
        self.extra = extra

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.extra, self.extra), "constant", 0)


class BasicBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = Shortcut(outputs // 4) if stride != 1 else nn.Sequential()

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class ResNet(nn.Module):
    """The CIFAR-10 ResNet of He et al. 2016, section 4.2: 6n + 2 layers."""

    def __init__(self, n: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self.stage(16, 16, n, 1)
        self.layer2 = self.stage(16, 32, n, 2)
        self.layer3 = self.stage(32, 64, n, 2)
        self.linear = nn.Linear(64, 10)

    @staticmethod
    def stage(inputs, outputs, n, stride):
        blocks = [BasicBlock(inputs, outputs, stride)] + [BasicBlock(outputs, outputs, 1) for _ in range(n - 1)]
        return nn.Sequential(*blocks)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        out = F.avg_pool2d(out, out.size()[3])
        out = out.view(out.size(0), -1)
        return self.linear(out)


def trained_resnet(depth: int, data: Path) -> nn.Module:
    """Load the public checkpoint of ResNet-20 or ResNet-56."""
    file = {20: "resnet20-12fca82f.th", 56: "resnet56-4bfd9763.th"}[depth]
    saved = torch.load(data / "weights" / file, map_location="cpu", weights_only=True)["state_dict"]
    model = ResNet((depth - 2) // 6)
    model.load_state_dict({name.removeprefix("module."): value for name, value in saved.items()})
    return model.eval()


def small_vgg() -> nn.Sequential:
    """Two blocks of two 3 x 3 convolutions with batch norm and max-pool, for images of 28 x 28."""

    def block(inputs: int, outputs: int) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for channels in (inputs, outputs):
            layers += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        return [*layers, nn.MaxPool2d(2)]

    return nn.Sequential(*block(1, 12), *block(12, 24), nn.Flatten(), nn.Linear(24 * 49, 64), nn.ReLU(), nn.Linear(64, 10))


def small_cnn() -> nn.Sequential:
    """Two convolutions of 5 x 5 with max-pool and two linear layers, no batch norm, for images of 28 x 28."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * 49, 128), nn.ReLU(), nn.Linear(128, 10)),
    )


def lenet() -> nn.Sequential:
    """LeNet-5 with kernels of 3: 7,620 neurons if pools and outputs count, as a thesis on conversion counts them."""
    convolutions = [nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 3), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*convolutions, *classifier(400))


def nine_layers() -> nn.Sequential:
    """The same with three convolutions in place of each: 9 layers with weights, 13,900 neurons."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, 6), (6, 16)):
        layers += [nn.Conv2d(inputs, outputs, 3), nn.ReLU(), nn.Conv2d(outputs, outputs, 3), nn.ReLU()]
        layers += [nn.Conv2d(outputs, outputs, 3), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, *classifier(64))


def classifier(inputs: int) -> list[nn.Module]:
    return [nn.Flatten(), nn.Linear(inputs, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]


def averaging_cnn() -> nn.Sequential:
    """Two convolutions with average pools and a linear layer, for images of 28 x 28."""
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(6, 12, 5), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Flatten(), nn.Linear(192, 10)),
    )
