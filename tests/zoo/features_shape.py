"""Tiny models, each moving values in one way."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from zoo.prepare import Factory, made


class Pieces(nn.Module):
    """A linear layer with ReLU, a function that moves values, and a linear layer."""

    def __init__(self, move, outputs, shape=(8,)):
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.move = move
        self.shape = shape
        self.last = nn.Linear(outputs, 3)

    def forward(self, x):
        hidden = F.relu(self.first(x)).reshape(x.shape[0], *self.shape)
        return self.last(torch.flatten(self.move(hidden), 1))


class ClassToken(nn.Module):
    """A learnt token in front of the tokens of each sample."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 4))
        self.position = nn.Parameter(torch.randn(1, 4, 4))
        self.mix = nn.Linear(4, 6)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1) + self.position
        return self.head(F.relu(self.mix(x)).mean(1))


class LateToken(nn.Module):
    """A constant joined with what neurons send, and stacked on it."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(5, 4)
        self.register_buffer("constant", torch.tensor([[0.5, -0.25]]))
        self.last = nn.Linear(6, 3)

    def forward(self, x):
        x = torch.cat([F.relu(self.first(x)), self.constant.repeat(x.size(0), 1)], 1)
        return F.relu(self.last(x))


class Tokens(nn.Module):
    """[batch, tokens, features] with linear layers on the last axis, mixed along both axes."""

    def __init__(self):
        super().__init__()
        self.features = nn.Linear(4, 6)
        self.tokens = nn.Linear(5, 3)

    def forward(self, x):
        x = F.relu(self.features(x)).transpose(1, 2)
        return F.relu(self.tokens(x)).permute(0, 2, 1).mean(dim=1)


class Total(nn.Module):
    """One number per sample: a value of shape [batch]."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(5, 4)

    def forward(self, x):
        return F.relu(F.relu(self.first(x)).sum(1) - 0.1)


def moved(move, outputs=8, shape=(8,)) -> Factory:
    return made(lambda: Pieces(move, outputs, shape), (6,))


def halves(x):
    a, b = x.chunk(2, dim=1)
    return a - b


def uneven_parts(x):
    a, b, c = torch.split(x, [1, 2, 5], 1)
    return torch.cat([c, a, b], -1)


def equal_parts(x):
    return torch.cat(x.split(3, 1)[::-1], 1)


def written_in_place(x):
    x = x.clone()
    x[:, 2:5] -= 0.5 * x[:, :3]
    x[:, -1:] = 0.25
    return x


def filled_from_nothing(x):
    result = torch.zeros_like(x)
    result[:, :4] = x[:, 4:]
    return result + torch.full_like(x, 0.5)


SHAPE_FEATURES: dict[str, Factory] = {
    "chunk": moved(halves, 4),
    "chunk-uneven": moved(lambda x: torch.cat(x.chunk(3, 1)[1:], 1), 5),
    "split-sizes": moved(uneven_parts),
    "split-uneven": moved(equal_parts),
    "stack": moved(lambda x: torch.stack([x, 2 * x, -x], dim=2), 24),
    "select": moved(lambda x: x[:, 1] + x[:, -1], 2, (4, 2)),
    "unbind": moved(lambda x: x.unflatten(1, (2, 4)).select(1, -1), 4),
    "slice": moved(lambda x: x[:, 1:-1:2], 3),
    "narrow": moved(lambda x: x.narrow(1, 2, 5), 5),
    "transpose": moved(lambda x: x.transpose(-1, -2), 8, (4, 2)),
    "squeeze": moved(lambda x: x.unsqueeze(1).unsqueeze(-1).squeeze(1), 8),
    "expand": moved(lambda x: x[:, :, None].expand(-1, -1, 3), 24),
    "broadcast-add": moved(lambda x: x[:, :, :1] + x[:, :1, :], 8, (4, 2)),
    "reversed-subtraction": moved(lambda x: 1.5 - x),
    "mean-keepdim": moved(lambda x: x - x.mean(-1, keepdim=True)),
    "matmul": moved(lambda x: x @ torch.linspace(-1, 1, 24, dtype=x.dtype).reshape(8, 3), 3),
    "class-token": made(ClassToken, (3, 4)),
    "late-token": made(LateToken, (5,)),
    "tokens": made(Tokens, (5, 4)),
    "slice-assignment": moved(written_in_place),
    "zeros-like": moved(filled_from_nothing),
    "roll": moved(lambda x: torch.roll(x, (1, -1), (1, 2)), 8, (4, 2)),
    "flip": moved(lambda x: x + 2 * x.flip(-1)),
    "repeat": moved(lambda x: x.repeat(1, 2) + x.repeat_interleave(2, 1), 16),
    "pick": moved(lambda x: x[:, [3, 0, 0, 5]] + x.index_select(1, torch.tensor([1, 2, 3, 4])), 4),
    "pick-two-axes": moved(lambda x: x[:, [0, 1, 3], [1, 0, 0]], 3, (4, 2)),
    "sums-so-far": moved(lambda x: x.cumsum(1)),
    "triangle": moved(lambda x: x.tril(), 8, (4, 2)),
    "where": moved(lambda x: torch.where(torch.arange(8) > 3, x, 0.5) + x.masked_fill(torch.arange(8) == 2, -1.0)),
    "pixel-shuffle": moved(lambda x: F.pixel_unshuffle(F.pixel_shuffle(x, 2)[:, :, :2], 2), 4, (4, 2, 1)),
    "windows-unfolded": moved(lambda x: x.unfold(1, 3, 2), 9),
    "patches": moved(lambda x: F.unfold(x, (1, 2)), 8, (2, 2, 2)),
    "windows-in-the-batch": moved(lambda x: (x.view(-1, 2) * 0.5).view(x.shape[0], 8)),
    "einsum": moved(lambda x: torch.einsum("bij,ki->bkj", x, torch.linspace(-1, 1, 12, dtype=x.dtype).view(3, 4)), 6, (4, 2)),
    "one-number": made(Total, (5,)),
}
