"""Ten families of networks, each as small as it can be while keeping what makes it a family."""

from __future__ import annotations

from zoo.branched import DenseNet, Inception, ResNet, UNet
from zoo.prepare import Factory, made
from zoo.sequential import AllConvolutional, LeNet, MobileNetV2, mlp, signal_network, vgg

FAMILIES: dict[str, Factory] = {
    "mlp": made(mlp, (12,)),
    "lenet": made(LeNet, (1, 12, 12)),
    "vgg-bn": made(vgg, (3, 8, 8)),
    "all-convolutional": made(AllConvolutional, (3, 8, 8)),
    "densenet": made(DenseNet, (3, 8, 8)),
    "mobilenet-v2": made(MobileNetV2, (3, 8, 8)),
    "inception": made(Inception, (3, 8, 8)),
    "u-net": made(UNet, (1, 8, 8)),
    "signals-1d": made(signal_network, (2, 32)),
    "resnet": made(ResNet, (3, 8, 8)),
}
