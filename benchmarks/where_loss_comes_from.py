"""Where the loss of ResNet-20 comes from: the share of each cause by stage of the network, at T = 8, 16, 32.

    python benchmarks/where_loss_comes_from.py [--depth 20] [--images 400] [--recipe rate] [--time-steps 8 16 32]

Calibration: 1,000 training images. Test: the first images of the test set. Needs TRANSPIKE_DATA.
"""

from __future__ import annotations

import argparse
import time

import transpike as tp
from datasets import cifar10_test, cifar10_train, data_folder
from models import trained_resnet
from tables import keep, show
from transpike.analysis.diagnosis import OWN

GROUPS = {"stem": "relu", "stage 1": "layer1.", "stage 2": "layer2.", "stage 3": "layer3."}


def shares(found: tp.Diagnosis, start: str) -> str:
    """Clipping / quantisation / unevenness of the layers whose names begin so, in % of what all layers add themselves."""
    layers = tuple(layer.name for layer in found.layers if layer.name.startswith(start))
    return " / ".join(f"{100 * found.share(cause, layers):.1f}" for cause in OWN)


def points(found: tp.Diagnosis) -> dict[str, str]:
    """Accuracy of the ANN, clipped, quantised, and as spikes, in %."""
    return {stage.name: f"{100 * stage.accuracy:.2f}" for stage in found.stages}


def row(found: tp.Diagnosis) -> dict[str, str]:
    first, *_, last = found.layers
    dearest = ", ".join(f"{layer.name} {100 * layer.cost:.0f}" for layer in found.costliest[:3])
    return {
        "T": str(found.time_steps),
        **points(found),
        "clip / quant / uneven %": shares(found, ""),
        **{name: shares(found, start) for name, start in GROUPS.items()},
        "inherited, last layer %": f"{100 * last.share('inherited'):.0f}",
        "error of last layer": f"{last.relative_error:.2f}",
        "cost to the answer %": dearest,
        "bound / error": f"{found.answer_bound / found.answer_error:.0e}",
        "growth from the first layer": f"{first.growth:.2f} (bound {first.growth_bound:.0e})",
    }


def main(depth: int, images: int, recipe: str, time_steps: list[int]) -> None:
    model, data = trained_resnet(depth, data_folder()), cifar10_test(images)
    network = tp.convert(model, cifar10_train(1000)[0], recipe)
    rows, diagnoses = [], []
    for steps in time_steps:
        started = time.perf_counter()
        found = tp.diagnose(model, network, data, steps)
        rows.append(row(found) | {"s": f"{time.perf_counter() - started:.0f}"})
        diagnoses.append(found.to_json())
    for name, columns in {"Causes": list(rows[0])[:10], "Cost and growth": ["T", *list(rows[0])[10:]]}.items():
        title = f"{name}: ResNet-{depth}, recipe {recipe!r}, {images} test images"
        show(title, [{column: one[column] for column in columns} for one in rows])
    keep(f"where_loss_comes_from-resnet{depth}-{recipe}-{images}", {"rows": rows, "diagnoses": diagnoses})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, choices=(20, 56), default=20)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--recipe", default="rate")
    parser.add_argument("--time-steps", type=int, nargs="+", default=[8, 16, 32])
    chosen = parser.parse_args()
    main(chosen.depth, chosen.images, chosen.recipe, chosen.time_steps)
