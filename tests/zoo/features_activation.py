"""Tiny models, each with one kind of activation or read-out."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from transpike.training import QCFS, ClampedReLU, SlipReLU
from zoo.prepare import Factory, anew, made


class Between(nn.Module):
    """An activation between two convolutions."""

    def __init__(self, activation):
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1)
        self.activation = activation
        self.second = nn.Conv2d(4, 3, 3)

    def forward(self, x):
        return self.second(self.activation(self.first(x))).flatten(1)


class AtTheEnd(nn.Module):
    """A classifier that ends in something pointwise or normalising."""

    def __init__(self, ending):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
        self.ending = ending

    def forward(self, x):
        return self.ending(self.net(x))


class Calls(nn.Module):
    """A function where a module is wanted."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def prelu():
    model = Between(nn.PReLU(4))
    nn.init.uniform_(model.activation.weight, -0.2, 1.2)
    return model


def between(activation: nn.Module, seed: int = 0) -> Factory:
    return made(lambda: Between(anew(activation)), (2, 6, 6), seed=seed)


def at_the_end(ending: nn.Module) -> Factory:
    return made(lambda: AtTheEnd(anew(ending)), (6,))


ACTIVATION_FEATURES: dict[str, Factory] = {
    "prelu-channels": made(prelu, (2, 6, 6)),
    "prelu-one": between(nn.PReLU()),
    "prelu-linear": made(lambda: nn.Sequential(nn.Linear(5, 7), nn.PReLU(7), nn.Linear(7, 3)), (5,)),
    "leaky-relu-in-place": between(nn.LeakyReLU(0.2, inplace=True)),
    "hardtanh": between(nn.Hardtanh(-1.0, 1.0)),
    "hardtanh-uneven": between(nn.Hardtanh(-0.1, 0.3)),
    "relu6-in-place": between(nn.ReLU6(inplace=True)),
    "clamp-above-zero": between(Calls(lambda x: x.clamp(0.2, 1.5))),
    "clamp-below-zero": between(Calls(lambda x: torch.clamp(x, -0.5, -0.1))),
    "clamp-to-zero": between(Calls(lambda x: torch.clamp(x, -0.3, 0.0))),
    "clamp-min": between(Calls(lambda x: x.clamp(min=0.1))),
    "clamp-min-negative": between(Calls(lambda x: x.clamp(min=-0.1))),
    "clamp-max": between(Calls(lambda x: x.clamp(max=0.2))),
    "clamp-max-negative": between(Calls(lambda x: x.clamp(max=-0.1))),
    "clamp-nothing": between(Calls(lambda x: x.clamp(-math.inf, math.inf))),
    "threshold-relu-method": between(Calls(lambda x: x.relu())),
    "relu-in-place-function": between(Calls(lambda x: torch.relu_(x.clone()))),
    # Levels so fine that the laws for ReLU-like activations hold within their tolerances.
    "qcfs": between(QCFS(levels=4096, threshold=1.5)),
    "qcfs-in-place": between(QCFS(levels=4096, threshold=1.5, inplace=True)),
    "clamped-relu": between(ClampedReLU(floor=1e-4, threshold=1.5)),
    "slip-relu": between(SlipReLU(levels=4096, slope=0.25, threshold=1.5)),
    "relu-twice": between(nn.Sequential(nn.ReLU(), nn.ReLU())),
    "relu-at-the-end": at_the_end(nn.ReLU()),
    "softmax-at-the-end": at_the_end(nn.Softmax(dim=-1)),
    "log-softmax-at-the-end": at_the_end(nn.LogSoftmax(1)),
    "sigmoid-at-the-end": at_the_end(nn.Sigmoid()),
    "scaled-sigmoid-at-the-end": at_the_end(Calls(lambda x: 2 * torch.sigmoid(x) - 1)),
    "product-at-the-end": at_the_end(Calls(lambda x: x[:, :2] * F.softmax(x[:, 2:], 1))),
}
