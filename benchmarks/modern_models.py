"""Small networks of today's kinds, as a user would write them: two transformers, and three convolutional networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from datasets import IDS

WORDS = 200  # of a review


class ReviewTransformer(nn.Module):
    """Sentiment of a review: embeddings of words and places, one encoder, mean over the words, two dense layers.

    Architecture: section 4.4.2 of a thesis on conversion, with widths of its source (a Keras example): 32, two heads, 32.
    """

    def __init__(self, width: int = 32, dropout: float = 0.3):
        super().__init__()
        self.words = nn.Embedding(IDS, width)
        self.places = nn.Parameter(torch.randn(WORDS, width) * 0.1)
        self.encoder = nn.TransformerEncoderLayer(width, 2, 32, dropout, batch_first=True)
        self.head = nn.Sequential(nn.Linear(width, 20), nn.ReLU(), nn.Dropout(dropout), nn.Linear(20, 2))
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.words.weight, std=0.1)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.dropout(self.words(ids) + self.places)
        return self.head(self.encoder(x).mean(1))


class VisionTransformer(nn.Module):
    """Class of a 28 x 28 image from its 49 patches and a class token: section 4.4.3 of the same thesis."""

    def __init__(self, width: int = 48, heads: int = 4, depth: int = 2):
        super().__init__()
        self.patches = nn.Conv2d(1, width, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.places = nn.Parameter(torch.randn(1, 50, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, 0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.Linear(width, 48), nn.ReLU(), nn.Linear(48, 10))

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), patches], 1) + self.places
        return self.head(self.encoder(tokens)[:, 0])


class InvertedResidual(nn.Module):
    """Widen, convolve each channel apart, perhaps squeeze and excite, and narrow: MobileNetV2 and V3, EfficientNet."""

    def __init__(self, wide: tuple[int, int, int], stride: int, activation: type[nn.Module], gate: type[nn.Module] | None):
        super().__init__()
        inside, middle, outside = wide
        self.widen = nn.Sequential(nn.Conv2d(inside, middle, 1, bias=False), nn.BatchNorm2d(middle), activation())
        depthwise = nn.Conv2d(middle, middle, 3, stride, 1, groups=middle, bias=False)
        self.filter = nn.Sequential(depthwise, nn.BatchNorm2d(middle), activation())
        self.squeeze = squeeze(middle, activation, gate) if gate else None
        self.narrow = nn.Sequential(nn.Conv2d(middle, outside, 1, bias=False), nn.BatchNorm2d(outside))
        self.skips = stride == 1 and inside == outside

    def forward(self, x: Tensor) -> Tensor:
        y = self.filter(self.widen(x))
        if self.squeeze is not None:
            y = y * self.squeeze(y)
        y = self.narrow(y)
        return x + y if self.skips else y


def squeeze(channels: int, activation: type[nn.Module], gate: type[nn.Module]) -> nn.Module:
    """Weigh channels by what is in all of them."""
    few = channels // 4
    layers = [nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, few, 1), activation(), nn.Conv2d(few, channels, 1), gate()]
    return nn.Sequential(*layers)


def mobile(activation: type[nn.Module], gate: type[nn.Module] | None) -> nn.Module:
    """A stem, four inverted residual blocks, and a linear layer on the means."""
    stem = [nn.Conv2d(1, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), activation()]
    shapes = [((16, 32, 16), 1), ((16, 64, 24), 2), ((24, 96, 24), 1), ((24, 96, 40), 2)]
    blocks = [InvertedResidual(wide, stride, activation, gate) for wide, stride in shapes]
    last = [nn.Conv2d(40, 128, 1, bias=False), nn.BatchNorm2d(128), activation(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*stem, *blocks, *last, nn.Linear(128, 10))


MODELS = {
    "review transformer": ReviewTransformer,
    "vision transformer": VisionTransformer,
    "MobileNetV2 kind": lambda: mobile(nn.ReLU6, None),
    "MobileNetV3 kind": lambda: mobile(nn.Hardswish, nn.Hardsigmoid),
    "EfficientNet kind": lambda: mobile(nn.SiLU, nn.Sigmoid),
}
