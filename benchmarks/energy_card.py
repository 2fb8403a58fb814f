"""Which code needs the least energy, under which model, at equal accuracy; and which chips networks fit.

    python benchmarks/energy_card.py codes [--depth 20] [--images 200] [--points 1.0] [--recipes rate phase] [--figure out.svg]
    python benchmarks/energy_card.py chips

`codes` evaluates a CIFAR-10 ResNet under each recipe, takes the fewest steps (of 1, 2, 4 ...) after which it loses at most so
many points against the ANN, and prints its energy card there; a recipe that fits the number of steps is converted for each. It
goes on where an interrupted run stopped. `chips` places
LeNet-5, a 9-layer CNN, a CNN with average pools
and ResNet-20 on every chip that has a rule of placement. Needs TRANSPIKE_DATA.
"""

from __future__ import annotations

import argparse
import sys
import warnings

import torch
from torch import nn

import transpike as tp
from datasets import cifar10_test, cifar10_train, data_folder
from models import lenet, nine_layers, trained_resnet
from rate_methods import fits_time
from tables import keep, kept_rows, show
from transpike.chips import chip_names, find_chip

RECIPES = {  # how many steps at most; None: the code has a window of its own
    "rate": 128,
    "rate-basic": 256,
    "thesis-extended": 256,
    "diehl": 256,
    "rueckauer": 256,
    "kim": 256,
    "reset-to-zero": 64,
    "refractory": 128,
    "lif": 64,
    "srp": 32,
    "cos": 96,
    "mmse": 64,
    "light": 64,
    "potential": 64,
    "ftbc": 64,
    "sbg": 64,
    "ls": 32,
    "ls-tg": 32,
    "look-ahead": 32,
    "burst-ls": 16,
    "any-time": 32,
    "sequential": 16,
    "parallel": 32,
    "snm": 32,
    "ternary": 32,
    "ternary-sbg": 16,
    "ternary-ls": 16,
    "burst": 16,
    "graded": 16,
    "graded-mmse": 8,
    "graded-ls": 4,
    "dcgs": 16,
    "dcgs-gaussian": 16,
    "ttfs-base": None,
    "ttfs-dynamic": None,
    "ttfs-corrective": None,
    "ttfs-exact": None,
    "phase": None,
    "phase-pulse": None,
    "phase-sbg": None,
    "phase-sparse": None,
    "phase-binary": None,
    "phase-binary-sbg": None,
    "signed-digit": None,
    "signed-digit-sbg": None,
    "base-b": None,
    "few-spike": None,
}
LEAST = 4  # recipes that fit the number of steps begin at this part of the most
BUDGETS = (  # title, which budget of the card, against which ANN
    ("arithmetic, ANN float32", 0, "float32"),
    ("memory, ANN 8 bits", 2, "int8"),
    ("memory, quantised ANN", 2, "matched"),
)


def card_row(name: str, report: tp.Report, points: float, *, fitted: bool) -> dict:
    """One row: the fewest steps within so many points of the ANN, and the ratios of its energies to the ANN's there.

    A recipe that fits its number of steps is read after all of them.
    """
    least = report.reference_accuracy - points / 100
    own = report.own_window or report.turns is not None
    pairs = list(zip(report.checkpoints, report.card.points, strict=True))
    within = [pair for pair in pairs if pair[0].accuracy >= least]
    state, point = pairs[-1] if own or fitted or not within else within[0]
    ratios = {title: point.budgets[index].ratio(other) for title, index, other in BUDGETS}
    return {
        "recipe": name,
        "steps": state.time_steps,
        "windows": report.turns.windows if report.turns else 1,
        "accuracy %": f"{100 * state.accuracy:.1f}",
        "within": bool(state.accuracy >= least),
        "spikes/neuron": f"{point.spikes_per_neuron:.2f}",
        "synops/connection": f"{point.spikes_per_synapse:.2f}",
        "bits": point.bits,
        **{title: f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})" for title, one in ratios.items()},
        "break-even": "none" if point.break_even is None else f"{point.break_even:.2f}",
        "SNN with memory uJ": f"{point.budgets[2].snn.value:.1f}",
    }


def tries(name: str) -> list[int | None]:
    """Return the numbers of steps to convert for: 1, 2, 4 ... for a recipe that fits them, else the most alone."""
    most = RECIPES[name]
    if most is None or not fits_time(name):
        return [most]
    least = 32 if name == "look-ahead" else most / LEAST  # 19 layers that look ahead need more than 18 steps
    return [2**power for power in range(most.bit_length()) if 2**power >= least]


def codes(depth: int, images: int, points: float, figure: str | None, names: list[str]) -> None:
    model = trained_resnet(depth, data_folder())
    calibration, (x, y) = cifar10_train(1000)[0], cifar10_test(images)
    settings = {"images": images, "points": points}
    rows = kept_rows(f"energy_card_{depth}", **settings)
    done = {row["recipe"] for row in rows}
    for name in (name for name in names if name not in done):
        for steps in tries(name):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                network = tp.convert(model, calibration, name, time_steps=steps)
                report = tp.evaluate(model, network, (x, y), steps)
            row = card_row(name, report, points, fitted=len(tries(name)) > 1)
            print({"ANN %": 100 * report.reference_accuracy, **row}, file=sys.stderr, flush=True)
            if row["within"]:
                break
        rows.append(row)
        keep(f"energy_card_{depth}", {**settings, "rows": rows}, quiet=True)
    rows.sort(key=lambda row: list(RECIPES).index(row["recipe"]))
    show(f"ResNet-{depth}, {images} images, at most {points} points below the ANN: energy over the ANN's", rows)
    keep(f"energy_card_{depth}", {**settings, "rows": rows})
    if figure:
        drawn(rows, figure)


def drawn(rows: list[dict], path: str) -> None:
    """Draw the energy of each recipe over the ANN's under each model; open marks are those that lose more accuracy.

    A network that has fallen silent needs nothing and is left out.
    """
    from matplotlib.figure import Figure

    rows = [row for row in rows if float(row["spikes/neuron"]) > 0]
    made = Figure(figsize=(11, 6), layout="constrained")
    axes = made.add_subplot()
    apart = 0.8 / max(1, len(rows) - 1)
    for place, (title, _, _) in enumerate(BUDGETS):
        for i, row in enumerate(rows):
            value = float(row[title].split()[0])
            x = place - 0.4 + i * apart
            filled = "full" if row["within"] else "none"
            label = None if place else row["recipe"]
            axes.plot([x], [value], "osD^vP"[i // 10], color=f"C{i % 10}", fillstyle=filled, label=label)
    made.legend(loc="outside right upper", fontsize=7, ncols=2)
    axes.axhline(1, color="black", linewidth=1)
    axes.set_yscale("log")
    for place in range(1, len(BUDGETS)):
        axes.axvline(place - 0.5, color="grey", linewidth=0.5)
    axes.set_xticks(range(len(BUDGETS)), [title.replace(", ", "\nagainst the ") for title, *_ in BUDGETS])
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("energy over the ANN's")
    axes.grid(axis="y", alpha=0.3)
    made.savefig(path, metadata={"Date": None})


def average_pools() -> nn.Sequential:
    """The CNN that the vendor tool of Speck maps in its tests (sinabs, tests/test_dynapcnn/test_auto_mapping.py)."""
    layers = [nn.Conv2d(1, 20, 5, bias=False), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(20, 32, 5, bias=False), nn.ReLU()]
    layers += [nn.AvgPool2d(2), nn.Conv2d(32, 128, 3, bias=False), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(128, 500, bias=False), nn.ReLU(), nn.Linear(500, 10, bias=False))


def chips() -> None:
    models: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
        "LeNet-5": (lenet(), (1, 28, 28)),
        "9 layers": (nine_layers(), (1, 28, 28)),
        "average pools": (average_pools(), (1, 28, 28)),
        "ResNet-20": (trained_resnet(20, data_folder()), (3, 32, 32)),
    }
    rows = []
    for name, (model, shape) in models.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = tp.convert(model.eval(), torch.rand(16, *shape))
        for chip in chip_names():
            if find_chip(chip).placement is None:
                continue
            found = tp.fit(network, chip)
            cores = "shared" if found.cores is None else f"{found.cores:,}"
            why = ", ".join(dict.fromkeys(one.kind for one in found.obstacles))
            has = "" if found.available is None else f"{found.available:,}"
            rows.append({"network": name, "chip": chip, "fits": found.fits, "cores": cores, "of": has, "obstacles": why})
    show("Placement (random weights would do: only shapes matter)", rows)
    keep("chips", {"rows": rows})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["codes", "chips"])
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--points", type=float, default=1.0)
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--figure")
    given = parser.parse_args()
    codes(given.depth, given.images, given.points, given.figure, given.recipes) if given.part == "codes" else chips()
