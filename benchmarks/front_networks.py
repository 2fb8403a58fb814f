"""Three trained networks that others published, in the form in which their frameworks have them.

All need TRANSPIKE_DATA; those of Keras also `pip install -e .[keras] -c constraints.txt`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from datasets import cifar10_train_all, data_folder, mnist
from tflite import read_tflite

os.environ.setdefault("KERAS_BACKEND", "torch")
Data = tuple[torch.Tensor, torch.Tensor]
CALIBRATION, SPEECH_CALIBRATION = 1_000, 300


@dataclass(frozen=True)
class Published:
    """A network, calibration samples without labels, and test samples; `told` says of what accuracy its source tells."""

    title: str
    model: Any
    calibration: torch.Tensor
    test: Data
    told: str


def mnist_cnn(images: int, calibration: int = CALIBRATION) -> Published:
    """A CNN without biases, in a state dict of PyTorch."""
    model = nn.Sequential(
        *(nn.Conv2d(1, 20, 5, bias=False), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(20, 32, 5, bias=False), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(32, 128, 3, bias=False), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten()),
        *(nn.Linear(128, 500, bias=False), nn.ReLU(), nn.Linear(500, 10, bias=False)),
    ).eval()
    state = torch.load(data_folder() / "weights" / "sinabs_mnist_cnn.pt", weights_only=True, map_location="cpu")
    model.load_state_dict(dict(zip(model.state_dict(), state.values(), strict=True)))
    return Published("MNIST CNN (PyTorch)", model, mnist("train", calibration)[0], mnist("t10k", images), "97.88")


def resnet_8(images: int, calibration: int = CALIBRATION) -> Published:
    """The ResNet-8 of MLPerf Tiny, built in Keras and filled with its arrays; it reads pixels from 0 to 255, channels last."""
    from keras import Input, Model, layers

    def block(x: Any, filters: int, stride: int) -> Any:
        y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(filters, 3, strides=stride, padding="same")(x)))
        y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(y))
        x = layers.Conv2D(filters, 1, strides=stride, padding="same")(x) if stride > 1 else x
        return layers.ReLU()(layers.Add()([x, y]))

    image = Input((32, 32, 3), name="image")
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same")(image)))
    x = block(block(block(x, 16, 1), 32, 2), 64, 2)
    x = layers.Flatten()(layers.AveragePooling2D(8)(x))
    model = Model(image, layers.Dense(10, activation="softmax")(x))
    with np.load(data_folder() / "weights" / "mlperftiny_resnet8_cifar10.npz") as arrays:
        fill(model, arrays)
    train, _ = cifar10_train_all()
    with np.load(data_folder() / "cifar10" / "cifar10_test.npz") as file:
        test = torch.from_numpy(file["images"][:images]).float(), torch.from_numpy(file["labels"][:images])
    return Published("MLPerf Tiny ResNet-8 (Keras)", model, train[:calibration].float(), test, "87.21")


def fill(model: Any, arrays: Any) -> None:
    """Give each layer its arrays; those of a kind are numbered in the order in which they were made."""
    parts = {"Conv2D": ("conv2d", ("kernel", "bias")), "Dense": ("dense", ("kernel", "bias"))}
    parts["BatchNormalization"] = ("batch_normalization", ("gamma", "beta", "moving_mean", "moving_variance"))
    for kind, (stem, names) in parts.items():
        layers = sorted((one for one in model.layers if type(one).__name__ == kind), key=number)
        for place, layer in enumerate(layers):
            stored = f"{stem}_{place}" if place else stem
            layer.set_weights([arrays[f"{stored}.{name}"] for name in names])


def number(layer: Any) -> int:
    """Return the number at the end of a layer's name: layers are listed in another order than they were made in."""
    end = layer.name.rsplit("_", 1)[-1]
    return int(end) if end.isdecimal() else 0


def keyword_spotting(images: int, calibration: int = SPEECH_CALIBRATION) -> Published:
    """The DS-CNN of MLPerf Tiny, built in Keras and filled from a TensorFlow Lite file, batch norm folded as it is there.

    There are 1,000 samples, all of the test set: the first (at most 300) calibrate, without their labels, and those
    behind the first 300 are the test.
    """
    from keras import Input, Sequential, layers

    graph = read_tflite(data_folder() / "weights" / "mlperftiny_kws_dscnn_float32.tflite")
    model = Sequential([Input((49, 10, 1), name="coefficients"), layers.Conv2D(64, (10, 4), strides=2, padding="same")])
    model.add(layers.ReLU())
    for _ in range(4):
        for layer in (layers.DepthwiseConv2D(3, padding="same"), layers.Conv2D(64, 1, padding="same")):
            model.add(layer)
            model.add(layers.ReLU())
    for layer in (layers.AveragePooling2D((25, 5)), layers.Flatten(), layers.Dense(12, activation="softmax")):
        model.add(layer)
    weighted = [operator for operator in graph.operators if len(operator.inputs) > 2]
    for layer, operator in zip([one for one in model.layers if one.weights], weighted, strict=True):
        weight, bias = (graph.constants[place] for place in operator.inputs[1:3])
        kernel = {"Conv2D": (1, 2, 3, 0), "DepthwiseConv2D": (1, 2, 3, 0), "Dense": (1, 0)}[type(layer).__name__]
        layer.set_weights([weight.transpose(kernel), bias])
    with np.load(data_folder() / "speech" / "kws01_mfcc_1000.npz") as file:
        values = ((file["x_int8"].astype(np.float32) - file["zero_point"]) * file["scale"]).astype(np.float32)
        x, y = torch.from_numpy(values.reshape(-1, 49, 10, 1)), torch.from_numpy(file["y"])
    rest = slice(SPEECH_CALIBRATION, SPEECH_CALIBRATION + images)
    return Published(
        "keyword spotting DS-CNN (TFLite, Keras)", model, x[: min(calibration, SPEECH_CALIBRATION)], (x[rest], y[rest]), "90.0"
    )


NETWORKS: dict[str, Callable[[int, int], Published]] = {"mnist": mnist_cnn, "resnet8": resnet_8, "keywords": keyword_spotting}
