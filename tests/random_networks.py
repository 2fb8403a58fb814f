"""Random small networks, converted: what hypothesis draws from."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import nn

import transpike as tp


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.body = nn.Sequential(convolution(channels, channels), nn.ReLU(), convolution(channels, channels))

    def forward(self, x):
        return torch.relu(x + self.body(x))


class Join(nn.Module):
    def __init__(self, channels, extra):
        super().__init__()
        self.body = nn.Sequential(convolution(channels, extra), nn.ReLU())

    def forward(self, x):
        return torch.cat([x, self.body(x)], 1)


def convolution(inputs, outputs, kernel=3):
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


ACTIVATIONS = {"relu": nn.ReLU, "relu6": nn.ReLU6, "leaky": lambda: nn.LeakyReLU(0.2), "tanh-like": nn.Hardtanh}
BLOCKS = ("convolution", "narrow", "residual", "join", "max-pool", "average-pool", "overlapping-pool", "norm")


def add_block(layers, kind, channels, side):
    """Append one block; return how many channels and how many pixels a side come out of it."""
    if kind == "residual":
        layers.append(Residual(channels))
    elif kind == "join":
        layers.append(Join(channels, 2))
        return channels + 2, side
    elif kind == "norm":
        layers.append(nn.BatchNorm2d(channels))
    elif kind == "overlapping-pool":
        layers.append(nn.MaxPool2d(3, 2, 1))
        return channels, (side + 1) // 2
    elif kind in {"max-pool", "average-pool"} and side > 1:
        layers.append(nn.MaxPool2d(2) if kind == "max-pool" else nn.AvgPool2d(2))
        return channels, side // 2
    else:
        layers.append(convolution(channels, 3, 1 if kind == "narrow" else 3))
        return 3, side
    return channels, side


@st.composite
def models(draw):
    """Draw a model with random weights and statistics, and the shape of its samples."""
    shape = draw(st.integers(1, 2)), 5, 5
    blocks = draw(st.lists(st.tuples(st.sampled_from(BLOCKS), st.sampled_from(list(ACTIVATIONS))), max_size=3))
    hidden = draw(st.booleans())
    torch.manual_seed(draw(st.integers(0, 10_000)))
    layers, channels, side = [convolution(shape[0], 2), nn.ReLU()], 2, 5
    for kind, activation in blocks:
        channels, side = add_block(layers, kind, channels, side)
        layers.append(ACTIVATIONS[activation]())
    width = channels * side * side
    layers += [nn.Flatten(), *([nn.Linear(width, 5), nn.ReLU(), nn.Linear(5, 3)] if hidden else [nn.Linear(width, 3)])]
    model = nn.Sequential(*layers).eval()
    for module in model:
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 1.5)
    return model, shape


@st.composite
def networks(draw):
    """Draw a spiking network in float64 and eight samples that did not calibrate it."""
    model, shape = draw(models())
    recipe = tp.recipes[draw(st.sampled_from(["rate", "rate-basic"]))].with_percentile(draw(st.sampled_from([90, 99, 100])))
    calibration = torch.rand(40, *shape, dtype=torch.float64)
    network = tp.convert(model.double(), calibration, recipe)
    return network, 1.2 * torch.rand(8, *shape, dtype=torch.float64)
