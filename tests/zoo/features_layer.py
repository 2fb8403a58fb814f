"""Tiny models, each with one kind of convolution, pooling or normalisation."""

from __future__ import annotations

import torch.nn.functional as F
from torch import nn

from zoo.features_activation import Calls
from zoo.prepare import Factory, anew, made


def image(*layers: nn.Module, side: int = 6) -> Factory:
    """A convolution of 2 to 4 channels with ReLU, then `layers`, which read 4 channels."""
    return made(lambda: nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), *map(anew, layers)), (2, side, side))


def transposed_groups():
    return nn.Sequential(
        nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.ConvTranspose2d(6, 2, 2, dilation=2),
    )


def volumes():
    return nn.Sequential(
        nn.Conv3d(1, 3, 3, padding=1),
        nn.BatchNorm3d(3),
        nn.ReLU(),
        nn.MaxPool3d(2),
        nn.Conv3d(3, 4, 2),
        nn.ReLU(),
        nn.AvgPool3d((1, 1, 1)),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )


def pooled_signal():
    return nn.Sequential(
        nn.Conv1d(1, 4, 3, padding="same"), nn.ReLU(), nn.AvgPool1d(2), nn.ConvTranspose1d(4, 3, 2, 2), nn.MaxPool1d(3)
    )


def norm_after_linear():
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 5, bias=False), nn.BatchNorm1d(5, affine=False)
    )


def norm_of_tokens():
    """Batch norm over axis 1 of [batch, tokens, features] after a linear layer on the last axis."""
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(6, 2))


def double(norms):
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), *norms, nn.Conv2d(4, 3, 2), nn.ReLU())


LAYER_FEATURES: dict[str, Factory] = {
    "sum-pool": image(nn.AvgPool2d(2, divisor_override=1), nn.Conv2d(4, 2, 3)),
    "average-pool-borders": image(nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), nn.Conv2d(4, 2, 2)),
    "average-pool-padded": image(nn.AvgPool2d(3, 2, 1), nn.Conv2d(4, 2, 2), nn.ReLU()),
    "max-pool-borders": image(nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.Conv2d(4, 2, 2)),
    "max-pool-dilated": image(nn.MaxPool2d(2, 1, dilation=2), nn.Conv2d(4, 2, 2), nn.ReLU()),
    "max-pool-twice": image(nn.MaxPool2d(2, 1), nn.MaxPool2d(2), nn.Conv2d(4, 2, 2)),
    "max-pool-of-input": made(lambda: nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(2, 3, 2), nn.ReLU()), (2, 6, 6)),
    "max-pool-at-the-end": image(nn.Conv2d(4, 3, 3), nn.MaxPool2d(2)),
    "max-pool-of-leaky": image(nn.Conv2d(4, 3, 3), nn.LeakyReLU(0.3), nn.MaxPool2d(2), nn.Conv2d(3, 2, 2)),
    "max-pool-of-relu6": image(nn.Conv2d(4, 3, 3), nn.ReLU6(), nn.MaxPool2d(2), nn.Conv2d(3, 2, 2)),
    "adaptive-max-pool": image(nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(16, 3)),
    "adaptive-max-pool-1d": made(lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.AdaptiveMaxPool1d(3)), (2, 9)),
    "adaptive-average-pool-uneven": image(nn.AdaptiveAvgPool2d((4, 3)), nn.Conv2d(4, 2, 2)),
    "upsample-nearest": image(nn.Upsample(scale_factor=2), nn.Conv2d(4, 2, 3)),
    "upsample-nearest-size": image(nn.Upsample(size=(5, 7)), nn.Conv2d(4, 2, 3)),
    "upsample-bilinear": image(nn.Upsample(scale_factor=1.5, mode="bilinear"), nn.Conv2d(4, 2, 3)),
    "upsample-corners": image(nn.Upsample(size=9, mode="bilinear", align_corners=True), nn.Conv2d(4, 2, 3)),
    "upsample-linear": made(lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.Upsample(11, mode="linear")), (2, 8)),
    "norm-before-convolution": image(nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3)),
    "norm-before-padding": image(nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3, padding=1)),
    "norm-before-groups": image(nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, groups=2), nn.ReLU()),
    "norm-after-groups": image(nn.Conv2d(4, 6, 3, groups=2, bias=False), nn.BatchNorm2d(6), nn.ReLU()),
    "norm-after-relu": image(nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3)),
    "norm-of-input": made(lambda: nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3), nn.ReLU()), (2, 5, 5)),
    "norm-at-the-end": image(nn.BatchNorm2d(4)),
    "norm-twice": made(lambda: double([nn.BatchNorm2d(4), nn.BatchNorm2d(4)]), (2, 6, 6)),
    "norm-and-scale": made(lambda: double([nn.BatchNorm2d(4), Calls(lambda x: x * 0.5)]), (2, 6, 6)),
    "norm-after-linear": made(norm_after_linear, (6,)),
    "norm-before-linear": made(lambda: nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 4), nn.ReLU()), (5,)),
    "norm-of-tokens": made(norm_of_tokens, (5, 4)),
    "transposed-groups": made(transposed_groups, (4, 4, 4)),
    "convolution-3d": made(volumes, (1, 6, 6, 6)),
    "convolution-1d": made(pooled_signal, (1, 12)),
    "convolution-dilated": image(nn.Conv2d(4, 4, 3, dilation=2, groups=4), nn.ReLU()),
    "convolution-uneven": image(nn.Conv2d(4, 3, (2, 3), (2, 1), (0, 1), (1, 2)), nn.ReLU()),
    "padding-same-even": image(nn.Conv2d(4, 3, 4, padding="same"), nn.ReLU(), nn.Conv2d(3, 2, (2, 3), padding="same")),
    "padding-same-dilated": image(nn.Conv2d(4, 3, (2, 3), padding="same", dilation=(3, 1)), nn.ReLU()),
    "padding-valid": image(nn.Conv2d(4, 3, 2, padding="valid"), nn.ReLU()),
    "padding-reflected": image(nn.Conv2d(4, 3, 3, padding=1, padding_mode="reflect"), nn.ReLU()),
    "padding-circular": image(nn.CircularPad2d(1), nn.Conv2d(4, 3, 3), nn.ReLU()),
    "padding-value": image(nn.ConstantPad2d((1, 0, 0, 2), 0.7), nn.Conv2d(4, 3, 3), nn.ReLU()),
    "padding-negative": image(Calls(lambda x: F.pad(x, (-1, 0, 1, -2))), nn.Conv2d(4, 3, 3), nn.ReLU()),
    "dropout": image(nn.Dropout(0.5), nn.Conv2d(4, 3, 3), nn.Dropout2d(0.3), nn.ReLU(), nn.AlphaDropout(0.1)),
}
