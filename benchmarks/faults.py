"""What each code bears: accuracy against the level of a fault, for CNNs on MNIST and ResNet-20 on CIFAR-10.

    python benchmarks/faults.py cnn|lenet|resnet20 [--images 500] [--draws 1] [--faults dead] [--recipes phase] [--figure a.svg]

A recipe may have a number behind it: the time steps, the steps of its window or the members of its populations. Calibration:
1,000 training images without labels. It goes on where an interrupted run stopped. Needs TRANSPIKE_DATA.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings

import torch
from torch import nn

import transpike as tp
from datasets import cifar10_test, cifar10_train, data_folder, mnist
from keeping import kept
from max_pool import trained
from models import averaging_cnn, lenet, trained_resnet
from tables import OUT, keep, kept_rows, show
from transpike.errors import ConversionError
from transpike.passes import FAULT_PASSES

LEVELS = {
    "threshold-spread": (0.2, 0.4, 0.8),
    "weight-noise": (0.2, 0.4, 0.8),
    "dead": (0.1, 0.3, 0.5),
    "stuck": (0.02, 0.05, 0.1),
    "drop": (0.1, 0.3, 0.5),
    "jitter": (1, 2, 4),
    "pause": (1, 2, 3),
}
SMALL = (
    *("rate:64", "ternary-ls:8", "graded-ls:4", "phase", "phase-sparse", "phase-binary", "signed-digit", "base-b"),
    *("few-spike", "ttfs-exact", "population-quantile:100"),
)
CODES = {
    "cnn": SMALL,
    "lenet": SMALL,
    "resnet20": ("ls-tg:32", "graded-ls:4", "phase-sbg", "phase-binary-sbg", "signed-digit-sbg", "ttfs-exact"),
}


def subject(name: str, images: int) -> tuple[nn.Module, torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """The model, its calibration samples and its test set."""
    if name == "resnet20":
        return trained_resnet(20, data_folder()), cifar10_train(1000)[0], cifar10_test(images)
    torch.manual_seed(0)
    OUT.mkdir(exist_ok=True)
    if name == "cnn":
        data = mnist("train", 10_000)
        model = kept(OUT / "averaging-cnn.safetensors", averaging_cnn(), lambda: trained(averaging_cnn(), *data, 2))
        return model, data[0][:1000], mnist("t10k", images)
    data = mnist("train", 60_000)
    model = kept(OUT / "lenet-mnist.safetensors", lenet(), lambda: trained(lenet(), *data, 3))
    return model, data[0][:1000], mnist("t10k", images)


def converted(model: nn.Module, samples: torch.Tensor, code: str) -> tuple[tp.Network, int | None]:
    """A network of a recipe and its number, and for how many steps it runs."""
    name, _, number = code.partition(":")
    recipe = tp.recipes[name]
    if number and name.startswith("population"):
        recipe = recipe.with_population(int(number))
    elif number and recipe.has_window:
        recipe = recipe.with_window(int(number))
    steps = int(number) if number and not recipe.has_window and not name.startswith("population") else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tp.convert(model, samples, recipe, time_steps=steps), steps


def run(name: str, images: int, draws: int, faults: list[str], codes: list[str]) -> list[dict]:
    settings = {"images": images, "draws": draws}
    rows = kept_rows(f"faults-{name}", **settings)
    done = {(row["recipe"], row["fault"]) for row in rows}
    model, samples, test = subject(name, images)
    for code in codes:
        if all((code, fault) in done for fault in faults):
            continue
        network, steps = converted(model, samples, code)
        plain = tp.tolerance(network, test, "dead", (0,), time_steps=steps)
        for fault in (fault for fault in faults if (code, fault) not in done):
            started = time.perf_counter()
            row = {"recipe": code, "fault": fault, "ANN %": f"{100 * plain.reference_accuracy:.1f}"}
            row["none"] = f"{100 * plain.rows[0].mean:.1f}"
            try:
                found = tp.tolerance(network, test, fault, LEVELS[fault], draws=draws, time_steps=steps)
                levels = {f"level {i}": worded(one.level, one.accuracy) for i, one in enumerate(found.rows, 1)}
                rows.append(row | levels | {"seconds": round(time.perf_counter() - started)})
            except ConversionError as error:
                rows.append(row | {"level 1": "no meaning", "why": str(error)})
            print(rows[-1], file=sys.stderr, flush=True)
            keep(f"faults-{name}", {**settings, "levels": LEVELS, "rows": rows}, quiet=True)
    return rows


def worded(level: float, accuracy: tuple[float, ...]) -> str:
    """Word one level: `0.1: 98.2` or, of several draws, with their deviation."""
    spread = f" ± {100 * statistics.stdev(accuracy):.1f}" if len(accuracy) > 1 else ""
    return f"{level:g}: {100 * statistics.fmean(accuracy):.1f}{spread}"


def drawn(rows: list[dict], path: str, title: str) -> None:
    """Draw a panel for each fault, a line for each code."""
    from matplotlib.figure import Figure

    faults = [fault for fault in LEVELS if any(row["fault"] == fault for row in rows)]
    codes = list(dict.fromkeys(row["recipe"] for row in rows))
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    panels = figure.subplots(2, 4, sharey=True).flatten()
    for panel, fault in zip(panels, faults, strict=False):
        for i, code in enumerate(codes):
            row = next((row for row in rows if (row["recipe"], row["fault"]) == (code, fault)), None)
            if row is None or "level 2" not in row:
                continue
            points = [(0.0, float(row["none"]))]
            points += [tuple(map(float, row[f"level {k}"].split(" ±")[0].split(": "))) for k in (1, 2, 3)]
            panel.plot(
                *zip(*points, strict=True), "-" if i < 10 else "--", color=f"C{i % 10}", marker="o", markersize=3, label=code
            )
        panel.set_title(fault, fontsize=10)
        panel.grid(alpha=0.3)
    for panel in panels[len(faults) :]:
        panel.set_axis_off()
    panels[0].set_ylabel("accuracy in %")
    panels[4].set_ylabel("accuracy in %")
    figure.suptitle(title, fontsize=11)
    handles = dict(zip(*reversed(panels[0].get_legend_handles_labels()), strict=True))
    handles |= dict(zip(*reversed(panels[2].get_legend_handles_labels()), strict=True)) if len(faults) > 2 else {}
    panels[7].legend(handles.values(), handles.keys(), loc="center", fontsize=8)
    figure.savefig(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=("cnn", "lenet", "resnet20"))
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--draws", type=int, default=1)
    parser.add_argument("--faults", nargs="+", choices=list(FAULT_PASSES), default=list(FAULT_PASSES))
    parser.add_argument("--recipes", nargs="+")
    parser.add_argument("--figure", help="Write the picture to this .svg or .png file.")
    given = parser.parse_args()
    found = run(given.network, given.images, given.draws, given.faults, given.recipes or list(CODES[given.network]))
    title = f"{given.network}, {given.images} test images, {given.draws} draw(s)"
    show(title, found)
    keep(f"faults-{given.network}", {"images": given.images, "draws": given.draws, "levels": LEVELS, "rows": found})
    if given.figure:
        drawn(found, given.figure, title)
