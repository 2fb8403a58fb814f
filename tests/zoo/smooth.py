"""Tiny models with what no ReLU-like neuron can be: smooth activations, norms by the sample's own statistics, products."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from zoo.features_activation import Calls, at_the_end, between
from zoo.features_layer import image
from zoo.features_shape import moved
from zoo.prepare import Factory, made


class Excitation(nn.Module):
    """Squeeze and excitation: channels times a gate that all of the image decides."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3)
        self.down, self.up = nn.Conv2d(4, 2, 1), nn.Conv2d(2, 4, 1)
        self.last = nn.Conv2d(4, 3, 2)

    def forward(self, x):
        x = F.hardswish(self.first(x))
        gate = F.hardsigmoid(self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))))
        return self.last(x * gate)


class WordAtTheEnd(nn.Module):
    """The features of the word with the largest number, as CLIP reads its sentences."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, ids):
        x = torch.tanh(self.words(ids)).cumsum(1)
        return self.head(x[torch.arange(x.shape[0]), ids.argmax(-1)])


def word_at_the_end():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return WordAtTheEnd().eval(), torch.randint(0, 20, (32, 5))


SMOOTH: dict[str, Factory] = {
    "gelu": between(nn.GELU()),
    "gelu-tanh": between(nn.GELU(approximate="tanh")),
    "silu": between(nn.SiLU()),
    "hardswish": between(nn.Hardswish()),
    "hardsigmoid": between(nn.Hardsigmoid()),
    "mish": between(nn.Mish()),
    "elu": between(nn.ELU(0.7)),
    "selu": between(nn.SELU()),
    "celu": between(nn.CELU(0.8)),
    "softplus": between(nn.Softplus(2.0)),
    "log-sigmoid": between(nn.LogSigmoid()),
    "softsign": between(nn.Softsign()),
    "tanhshrink": between(nn.Tanhshrink()),
    "threshold": between(nn.Threshold(0.1, -0.3)),
    "glu": moved(F.glu, 4),
    "sigmoid-inside": between(nn.Sigmoid()),
    "tanh-inside": between(nn.Tanh()),
    "powers": between(Calls(lambda x: (x**2 + 1).sqrt() + (x.square() + 2).rsqrt() + 1 / (x.abs() + 1) + x**3)),
    "exponentials": between(Calls(lambda x: torch.exp(-x) + torch.log(x.square() + 1) + 2.0**x + torch.erf(x))),
    "waves": between(Calls(lambda x: torch.sin(x) + torch.cos(2 * x))),
    "quotient": between(Calls(lambda x: x / (1 + x.relu()))),
    "maximum": between(Calls(lambda x: torch.maximum(x, 0.3 * x) + torch.minimum(x, 0.5 * x + 0.1))),
    "largest": moved(lambda x: x - x.amax(1, keepdim=True) + x.amin(1, keepdim=True) + x.max(1, keepdim=True)[0]),
    "deviation": moved(lambda x: (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + x.var(1, keepdim=True) + 1)),
    "unit-length": moved(lambda x: F.normalize(x, dim=1) + x.norm(p=1, dim=1, keepdim=True)),
    "softmax-of-channels": image(nn.Softmax(1), nn.Conv2d(4, 3, 3)),
    "layer-norm": made(lambda: nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 3)), (5, 6)),
    "layer-norm-plain": image(nn.LayerNorm((4, 6, 6), elementwise_affine=False), nn.Conv2d(4, 3, 3)),
    "rms-norm": made(lambda: nn.Sequential(nn.Linear(6, 8), nn.RMSNorm(8, 1e-6), nn.ReLU(), nn.Linear(8, 3)), (6,)),
    "group-norm": image(nn.GroupNorm(2, 4), nn.ReLU(), nn.Conv2d(4, 3, 3)),
    "instance-norm": image(nn.InstanceNorm2d(4, affine=True), nn.ReLU(), nn.Conv2d(4, 3, 3)),
    "local-response-norm": image(nn.LocalResponseNorm(3, alpha=0.5), nn.Conv2d(4, 3, 3)),
    "excitation": made(Excitation, (2, 6, 6)),
    "product-of-matrices": moved(lambda x: x @ x.transpose(1, 2) + torch.einsum("bik,bjk->bij", x, 2 * x), 16, (4, 2)),
    "product-of-tokens": moved(lambda x: torch.einsum("bi,bj->bij", x, x).sum(2) + x.softmax(-1)),
    "gelu-at-the-end": at_the_end(nn.GELU()),
    "word-at-the-end": word_at_the_end,
}
