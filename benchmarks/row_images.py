"""A public LSTM that reads an MNIST image row by row, as a plain torch model.

    python benchmarks/row_images.py train [--images 10000]    # read the TensorFlow Lite file, check, keep as safetensors
    python benchmarks/row_images.py convert [--images 10000 --recipes few-spike:9]  # as spikes: accuracy, decisions, spikes

28 rows of 28 pixels in [0, 1] -> LSTM of 20 -> all 28 outputs side by side -> 10 classes. Needs TRANSPIKE_DATA.

An interpreter that does not reset the state between images gets 92.05 % on the test images, which is the figure in circulation
for this file: the last column repeats that. Each image from a state of zero, as trained, is right far more often.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch import Tensor, nn

from datasets import data_folder, mnist
from keeping import RECIPES, Data, accuracy, conversions, exported, kept, layers_of, weights_in
from tables import OUT, keep, show
from tflite import Graph, read_tflite

LSTM_OPERATOR, LINEAR_OPERATOR = 44, 9
INPUT_WEIGHTS, RECURRENT_WEIGHTS, BIASES = slice(1, 5), slice(5, 9), slice(12, 16)  # gates i, f, c, o: torch's order


class RowReader(nn.Module):
    """An LSTM over the rows of an image and one linear layer that sees what it said after each row."""

    def __init__(self, hidden: int = 20):
        super().__init__()
        self.lstm = nn.LSTM(28, hidden, batch_first=True)
        self.linear = nn.Linear(28 * hidden, 10)

    def forward(self, rows: Tensor) -> Tensor:
        return self.linear(self.lstm(rows)[0].flatten(1))


def converted(graph: Graph) -> RowReader:
    """Take the weights of the LSTM and the linear layer; the file has one bias for each gate, torch two."""
    lstm = next(operator for operator in graph.operators if operator.code == LSTM_OPERATOR)
    linear = next(operator for operator in graph.operators if operator.code == LINEAR_OPERATOR)

    def gates(of: slice) -> Tensor:
        return torch.from_numpy(np.concatenate([graph.constants[index] for index in lstm.inputs[of]]))

    model = RowReader()
    weights = {"lstm.weight_ih_l0": gates(INPUT_WEIGHTS), "lstm.weight_hh_l0": gates(RECURRENT_WEIGHTS)}
    weights |= {"lstm.bias_ih_l0": gates(BIASES), "lstm.bias_hh_l0": torch.zeros(80)}
    for name, index in zip(("linear.weight", "linear.bias"), linear.inputs[1:], strict=True):
        weights[name] = torch.from_numpy(graph.constants[index].copy())
    model.load_state_dict(weights)
    return model


def rows_of_images(split: str, count: int) -> Data:
    """Read images as rows [count, 28, 28] in [0, 1], and their labels."""
    images, labels = mnist(split, count)
    return images.squeeze(1), labels


def row_images(images: int = 10_000, *, anew: bool = False) -> tuple[RowReader, Data, Data]:
    """The trained model, the training images and the first test images."""
    file = data_folder() / "weights" / "mnist_lstm_float.tflite"
    model = kept(OUT / "row_images" / "lstm.safetensors", RowReader(), lambda: converted(read_tflite(file)), anew=anew)
    return model, rows_of_images("train", 60_000), rows_of_images("t10k", images)


def accuracy_unreset(model: RowReader, data: Data) -> float:
    """Say how accurate the model is when each image starts from the state that the one before left behind."""
    images, labels = data
    with torch.inference_mode():
        outputs = model.lstm(images.reshape(1, -1, 28))[0].reshape(len(images), -1)
        return 100 * float((model.linear(outputs).argmax(1) == labels).float().mean())


def train(images: int) -> None:
    """Convert the file anew, and say how accurate the model is."""
    model, training, test = row_images(images, anew=True)
    row = {"model": "LSTM on rows", "weights": weights_in(model), "train %": f"{accuracy(model, training):.2f}"}
    row |= {"test %": f"{accuracy(model, test):.2f}", "test %, state never reset": f"{accuracy_unreset(model, test):.2f}"}
    show(f"MNIST row by row, {len(test[0])} test images", [row])
    keep("row_images", {"rows": [row], "layers": layers_of(model), "operators": exported(model, test[0])})


def convert(images: int, recipes: list[str]) -> None:
    """Convert the model, and say what that costs on the test images."""
    model, training, test = row_images(images)
    keep("row_images-converted", {"rows": conversions("MNIST row by row", model, training, test, recipes)})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "convert"))
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    given = parser.parse_args()
    if given.what == "train":
        train(given.images)
    else:
        convert(given.images, given.recipes)
