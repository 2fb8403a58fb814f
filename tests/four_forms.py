"""One trained network in the forms that people have it: a module of PyTorch, .pt2, .onnx and .keras."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

import transpike as tp
from transpike.datasets import load
from transpike.demo import DigitNet, train
from transpike.simulation.recording import counting_nodes
from zoo.prepare import settled

os.environ.setdefault("KERAS_BACKEND", "torch")


def plain_net() -> nn.Sequential:
    """A CNN without batch norm, its weights drawn with a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            *(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)),
            *(nn.Flatten(), nn.Linear(48, 20), nn.ReLU(), nn.Linear(20, 10)),
        ).eval()


def plain_keras(model: nn.Module):
    """The same network as a model of Keras, with the channels last."""
    from keras import Sequential, layers

    made = Sequential(
        [
            layers.Input((8, 8, 1), name="image"),
            *(layers.Conv2D(8, 3, padding="same", activation="relu"), layers.MaxPooling2D(2)),
            *(layers.Conv2D(12, 3, padding="same", activation="relu"), layers.AveragePooling2D(2)),
            *(layers.Flatten(), layers.Dense(20, activation="relu"), layers.Dense(10)),
        ]
    )
    first, second, third, last = (part for part in model if isinstance(part, nn.Conv2d | nn.Linear))
    weights = [kernel(first.weight), first.bias, kernel(second.weight), second.bias]
    weights += [rows_last(third.weight, (12, 2, 2)), third.bias, last.weight.T, last.bias]
    made.set_weights([weight.detach().numpy() for weight in weights])
    return made


def kernel(weight: Tensor) -> Tensor:
    """[out, in, height, width] as Keras has it."""
    return weight.permute(2, 3, 1, 0)


def rows_last(weight: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """The weights of a linear layer that reads channels-first values, for channels-last ones, as Keras has them."""
    return weight.reshape(-1, *shape).permute(0, 2, 3, 1).flatten(1).T


def residual_net() -> nn.Module:
    """The demo's network untrained, with weights and statistics of batch norm that are drawn with a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return settled(DigitNet(), (torch.rand(32, 1, 8, 8),))


def trained_net() -> nn.Module:
    """The demo's network, trained on digits: batch norm, a residual block, max-pools."""
    return train(load("digits", "train").whole())


def residual_keras(model: nn.Module):
    """The demo's network as a model of Keras."""
    import keras
    from keras import layers

    def block(x, conv: nn.Conv2d, norm: nn.BatchNorm2d):
        made = layers.Conv2D(conv.out_channels, 3, padding="same", use_bias=False)
        normed = layers.BatchNormalization(epsilon=norm.eps)
        y = normed(made(x))
        made.set_weights([kernel(conv.weight).detach().numpy()])
        normed.set_weights([v.detach().numpy() for v in (norm.weight, norm.bias, norm.running_mean, norm.running_var)])
        return y

    image = keras.Input((8, 8, 1), name="image")
    x = layers.ReLU()(block(image, model.stem[0], model.stem[1]))
    y = layers.ReLU()(block(x, model.block.conv1, model.block.bn1))
    x = layers.ReLU()(layers.Add()([block(y, model.block.conv2, model.block.bn2), x]))
    x = layers.MaxPooling2D(2)(x)
    x = layers.MaxPooling2D(2)(layers.ReLU()(block(x, model.conv[0], model.conv[1])))
    end = layers.Dense(10)
    made = keras.Model(image, end(layers.Flatten()(x)))
    end.set_weights([v.detach().numpy() for v in (rows_last(model.classifier.weight, (32, 2, 2)), model.classifier.bias)])
    return made


def write_onnx(model: nn.Module, inputs: tuple[Tensor, ...], path: Path, *, dynamo: bool = False, **settings) -> Path:
    """Export a model with one of PyTorch's two exporters, without what they print."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(model, inputs, str(path), dynamo=dynamo, **settings)
    return path


def write_pt2(model: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> Path:
    """Export a model with an open batch."""
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(model, inputs, dynamic_shapes=tuple({0: batch} for _ in inputs)), path)
    return path


def spikes(module: nn.Module, calibration: Tensor, samples: Tensor, steps: int, recipe: str = "rate") -> list[Tensor]:
    """The spike trains [time, batch, ...] of each layer of the exact network of a module, in order, then the answers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = tp.convert(module, calibration, recipe, time_steps=steps, exact=True)
    names = counting_nodes(network)
    found = tp.simulate(network, samples, steps, record=tp.Record(spikes=names))
    return [*(found.spikes[name] for name in names), found.outputs]
