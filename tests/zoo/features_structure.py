"""Tiny models that differ in how their parts are joined: sharing, constants, several inputs and outputs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from zoo.prepare import Factory, made


class Shared(nn.Module):
    """One convolution, batch norm and activation used twice."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.act = nn.ReLU()

    def forward(self, x):
        x = self.act(self.norm(self.conv(x)))
        return self.act(self.norm(self.conv(x)) + x)


class SharedSource(nn.Module):
    """A convolution that both a batch norm and a sum read, so that nothing can be folded into it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)
        self.norm = nn.BatchNorm2d(3)
        self.last = nn.Conv2d(3, 2, 2)

    def forward(self, x):
        x = self.conv(x)
        return self.last(F.relu(self.norm(x) + x))


class InPlace(nn.Module):
    """Values changed where they lie."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.last = nn.Linear(6, 3)

    def forward(self, x):
        x = self.first(x)
        x.mul_(2.0).add_(0.1)
        x.relu_()
        return self.last(x).clamp_(min=0)


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.image = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten())
        self.facts = nn.Linear(3, 12)
        self.last = nn.Linear(12, 4)

    def forward(self, image, facts):
        return self.last(F.relu(self.image(image) - self.facts(facts)))


class Outputs(nn.Module):
    """Two answers, one of them an inner activation."""

    def __init__(self, pack):
        super().__init__()
        self.first = nn.Linear(5, 6)
        self.second = nn.Linear(6, 3)
        self.pack = pack

    def forward(self, x):
        hidden = F.relu(self.first(x))
        return self.pack(hidden, self.second(hidden))


class Constants(nn.Module):
    """The usual ways of adding, subtracting, multiplying and dividing by constants."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4, 0.5]).view(1, 2, 1, 1))
        self.register_buffer("std", torch.tensor([0.2, 0.3]).view(2, 1, 1))
        self.gain = nn.Parameter(torch.tensor([0.5, -1.5, 2.0]))
        self.position = nn.Parameter(torch.randn(4, 4))
        self.conv = nn.Conv2d(2, 3, 3)

    def forward(self, x):
        x = self.conv((x - self.mean) / self.std)
        x = F.relu(3 - x * self.gain[:, None, None] + self.position)
        return -x / 4 + torch.sub(1, x, alpha=2)


class Broadcast(nn.Module):
    """One channel spread over three by a constant: the map is no scale per channel."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 3)
        self.register_buffer("gains", torch.tensor([1.0, -2.0, 0.5]).view(1, 3, 1, 1))
        self.last = nn.Conv2d(3, 2, 2)

    def forward(self, x):
        return F.relu(self.last(self.conv(x) * self.gains))


def broadcast_linear():
    class Spread(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Linear(4, 1)
            self.shifts = nn.Parameter(torch.randn(6))

        def forward(self, x):
            return F.relu(self.one(x) + self.shifts)

    return Spread()


STRUCTURE_FEATURES: dict[str, Factory] = {
    "shared-modules": made(Shared, (3, 5, 5)),
    "shared-source": made(SharedSource, (2, 5, 5)),
    "in-place": made(InPlace, (4,)),
    "two-inputs": made(TwoInputs, (1, 4, 4), (3,)),
    "outputs-tuple": made(lambda: Outputs(lambda a, b: (b, a)), (5,)),
    "outputs-dict": made(lambda: Outputs(lambda a, b: {"scores": b, "features": a}), (5,)),
    "outputs-nested": made(lambda: Outputs(lambda a, b: {"scores": b, "more": [a, a + 1]}), (5,)),
    "output-is-dict-of-one": made(lambda: Outputs(lambda a, b: {"scores": b}), (5,)),
    "constants": made(Constants, (2, 6, 6)),
    "broadcast-channels": made(Broadcast, (2, 6, 6)),
    "broadcast-linear": made(broadcast_linear, (4,)),
    "nothing": made(nn.Identity, (4,)),
    "linear-only": made(lambda: nn.Linear(4, 3), (4,)),
    "unused-branch": made(lambda: Outputs(lambda a, b: a), (5,)),
}
