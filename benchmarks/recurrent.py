"""Recurrent networks as spikes: sentiment of IMDb reviews, after tables 5.1 and 5.2 of a thesis on conversion.

    python benchmarks/recurrent.py gates [--reviews 1000 --draws 50]    # each gate and state of an LSTM alone: table 5.1
    python benchmarks/recurrent.py cell [--reviews 1000 --draws 50]     # all of them, every kind of population: table 5.2
    python benchmarks/recurrent.py codes [--cells lstm --steps 4]         # codes in windows: steps and spikes per word
    python benchmarks/recurrent.py relays [--reviews 1000]              # recurrent weights that read spikes instead of numbers
    python benchmarks/recurrent.py curve [--reviews 5000 --draws 20]    # an LSTM trained with the curve of the populations

The networks are those of benchmarks/reviews.py, trained if they are not there. Calibration: 500 training reviews without
labels. Finished rows are kept and not measured again. Needs TRANSPIKE_DATA.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from functools import partial

import torch
from torch import Tensor

import drawn_cells
import transpike as tp
from datasets import reviews
from reviews import parts, trained
from tables import Rows, show
from transpike.network import Network
from transpike.neurons import Population
from transpike.passes import (
    CalibratedThresholds,
    Hardware,
    InsertPopulations,
    MultiplyCounts,
    NormalThresholds,
    QuantileThresholds,
)
from transpike.passes.thresholds.populations import PopulationThresholds, Site
from transpike.recipe import Recipe
from transpike.simulation.sequential import run_windows

CALIBRATION = 500
WINDOWS = {"few-spike": (3, 4, 6, 8), "binary-value": (2, 3, 4, 5, 6, 8)}  # steps of each code
CHIPS = 20
PARTS = ("input_gate", "output_gate", "forget_gate", "cell_output", "candidate")  # in the thesis's order
SIZES = (1, 10, 100, 1000, 10000)
THESIS_GATES = {  # table 5.1: mean accuracy and deviation, of an ANN with 89.8
    "input_gate": "75.7±9.8 84.2±3.8 88.9±1.0 89.6±0.2 89.7±0.3",
    "output_gate": "70.6±11.2 84.0±3.9 88.9±1.0 89.5±0.3 89.7±0.2",
    "forget_gate": "52.6±3.3 65.4±12.9 87.0±2.4 86.2±1.2 85.8±0.5",
    "cell_output": "54.2±7.8 61.4±10.9 75.8±9.2 82.3±2.4 83.4±0.7",
    "candidate": "53.5±7.1 55.7±7.9 68.5±12.7 77.8±6.9 83.2±1.0",
}
THESIS_SIZES = {"input_gate": 200, "output_gate": 200, "forget_gate": 1000, "cell_output": 2000, "candidate": 10000}
SHARED = {"input_gate": 2000, "output_gate": 2000, "forget_gate": 5400, "cell_output": 4000, "candidate": 4000}  # 25,400
SINGLE = {"input_gate": 3000, "output_gate": 3000, "forget_gate": 9400, "cell_output": 5000, "candidate": 5000}  # 25,400


def patterns(sizes: dict[str, int], factor: float = 1) -> dict[str, int]:
    return {f"*.{part}": max(1, round(size * factor)) for part, size in sizes.items()}


def converted(name: str, recipe: Recipe) -> Network:
    (ids, _), _ = parts()
    return tp.convert(trained(name), ids[:CALIBRATION], recipe)


def drawn(network: Network, rule: PopulationThresholds, part: str = "*", size: int | None = None) -> Network:
    """The network with the thresholds of the populations called `part` placed anew; the other activations as in the ANN."""

    def change(node):
        if not isinstance(node.op, Population):
            return node.op
        if not fnmatch(node.name, part):
            return node.op.analogue()
        site = Site(node.name, node.op.activation, node.op.thresholds.shape[:-1], 0.0, 0.0, torch.zeros(0))
        number = list(network.nodes).index(node.name)
        return InsertPopulations(rule, size or node.op.size).placed(network, [(number, site)])[node.name]

    return network.map_ops(change)


@torch.inference_mode()
def answers(network: Network, ids: Tensor) -> Tensor:
    """The class of each review; gates that are not converted compute as in the ANN."""
    steps = 1
    found = [next(iter(run_windows(network, [part], steps).outputs().values()))[-1] for part in ids.split(250)]
    return torch.cat(found).argmax(1)


def percent(hits: Tensor) -> float:
    return round(100 * float(hits.double().mean()), 2)


def spread(values: Iterable[float]) -> dict:
    found = torch.tensor(list(values), dtype=torch.float64)
    deviation = float(found.std()) if len(found) > 1 else 0.0
    return {
        "mean": round(float(found.mean()), 2),
        "deviation": round(deviation, 2),
        "min": round(float(found.min()), 1),
        "max": round(float(found.max()), 1),
    }


def ann(name: str, ids: Tensor) -> Tensor:
    with torch.inference_mode():
        return torch.cat([trained(name)(part).argmax(1) for part in ids.split(500)])


def gates(count: int, draws: int) -> None:
    ids, labels = reviews("test", count)
    base = converted("lstm", tp.recipes["population-normal"].with_population(1))
    kept, rows = Rows(f"recurrent-gates-{count}"), []
    reference = percent(ann("lstm", ids) == labels)
    for part in PARTS:
        for size, thesis in zip(SIZES, THESIS_GATES[part].split(), strict=True):
            draw = partial(drawn, base, part=f"*.{part}", size=size)
            found = kept.each([f"{part} {size} {seed}" for seed in range(draws)], partial(redrawn, draw, ids, labels))
            accuracies = [row["accuracy"] for row in found]
            rows.append(
                {
                    "part": part,
                    "neurons": size,
                    **spread(accuracies),
                    "loss": round(reference - sum(accuracies) / len(accuracies), 2),
                    "thesis (89.8)": thesis,
                }
            )
    show(f"Each gate and state alone, normal thresholds, {draws} draws, {count} reviews, ANN {reference:.1f}", rows)


def measured(network: Network, ids: Tensor, labels: Tensor, reference: Tensor) -> dict:
    found = answers(network, ids)
    return {"accuracy": percent(found == labels), "same": percent(found == reference)}


def redrawn(
    draw: Callable[[PopulationThresholds], Network],
    ids: Tensor,
    labels: Tensor,
    keys: list[str],
    reference: Tensor | None = None,
) -> list[dict]:
    """The accuracies of some draws, whose seeds are the ends of the keys."""
    return compared([draw(NormalThresholds(int(key.split()[-1]))) for key in keys], ids, labels, reference)


def compared(networks: list[Network], ids: Tensor, labels: Tensor, reference: Tensor | None) -> list[dict]:
    found = drawn_cells.answers(networks, ids)
    if reference is None:
        return [{"accuracy": percent(one == labels)} for one in found]
    return [{"accuracy": percent(one == labels), "same": percent(one == reference)} for one in found]


def made(name: str, recipe: Recipe, ids: Tensor, labels: Tensor, reference: Tensor) -> dict:
    return measured(converted(name, recipe), ids, labels, reference)


def cell(count: int, draws: int) -> None:
    ids, labels = reviews("test", count)
    kept, rows, reference = Rows(f"recurrent-cell-{count}"), [], ann("lstm", ids)
    exact = percent(reference == labels)

    def add(title: str, per_cell: int, found: list[dict]) -> None:
        same = sum(one["same"] for one in found) / len(found)
        loss = round(exact - sum(one["accuracy"] for one in found) / len(found), 2)
        rows.append(
            {
                "populations": title,
                "neurons per cell": per_cell,
                **spread(one["accuracy"] for one in found),
                "loss": loss,
                "same decision": round(same, 2),
                "draws": len(found),
            }
        )

    for title, factor in (("thesis's sizes", 1.0), ("halved", 0.5), ("doubled", 2.0)):
        base = converted("lstm", tp.recipes["population-normal"].with_population(1, patterns(THESIS_SIZES, factor)))
        make = partial(redrawn, partial(drawn, base), ids, labels, reference=reference)
        found = kept.each([f"normal {factor} {seed}" for seed in range(draws)], make)
        add(f"normal, {title}", round(25400 * factor), found)
    quantile = tp.recipes["population-quantile"]
    for title, recipe, size in (
        ("quantile, shared out", quantile.with_population(1, patterns(SHARED)), 25400),
        ("quantile, 1,000 each", quantile.with_population(1000), 7000),
        ("quantile, 10,000 each", quantile.with_population(10000), 70000),
    ):
        add(title, size, [kept.get(title, partial(made, "lstm", recipe, ids, labels, reference))])
    for fitted in (False, True):
        title = f"hardware, 10 % mismatch, 2 % dead, {'calibrated' if fitted else 'as designed'}"
        keys = [f"chip {fitted} {seed}" for seed in range(min(draws, CHIPS))]
        add(title, 25400, kept.each(keys, partial(chips, fitted, ids, labels, reference)))
    show(
        f"A whole LSTM as populations, {count} reviews, ANN {exact:.1f} (thesis: 89.8 -> 78.0±1.35, 77.7±2.99, 78.1±0.73)", rows
    )


def chips(fitted: bool, ids: Tensor, labels: Tensor, reference: Tensor, keys: list[str]) -> list[dict]:
    """The accuracies of one network on some chips, whose seeds are the ends of the keys."""
    networks = [converted("lstm", on_chip(int(key.split()[-1]), fitted)) for key in keys]
    return compared(networks, ids, labels, reference)


def on_chip(seed: int, fitted: bool) -> Recipe:
    recipe = tp.recipes["population-calibrated"].with_population(1, patterns(SINGLE))
    rule = CalibratedThresholds(QuantileThresholds(paired=False), Hardware(0.1, 0.02, seed), calibrated=fitted)
    return recipe.with_pass(InsertPopulations(rule, 1, tuple(patterns(SINGLE).items())))


def codes(names: list[str], count: int, wanted: list[str], only: list[int] | None) -> None:
    ids, labels = reviews("test", count)
    kept, rows = Rows(f"recurrent-codes-{count}"), []
    for code in wanted:
        for name in names:
            for window in only or WINDOWS[code]:
                make = partial(coded, code, name, window, ids, labels)
                rows.append(kept.get(f"{code} {name} {window}", make))
    show(f"Codes in windows, {count} reviews: a window for each layer of each word", rows)


def coded(code: str, name: str, window: int, ids: Tensor, labels: Tensor) -> dict:
    network = converted(name, tp.recipes[code].with_window(window))
    report = tp.evaluate(trained(name), network, (ids, labels))
    words = ids.shape[1]
    assert report.accuracy is not None
    assert report.reference_accuracy is not None
    assert report.agreement is not None
    return {
        "code": code,
        "cells": name,
        "steps per window": window,
        "ANN": round(100 * report.reference_accuracy, 2),
        "SNN": round(100 * report.accuracy[-1], 2),
        "loss": round(100 * (report.reference_accuracy - report.accuracy[-1]), 2),
        "same decision": round(100 * report.agreement[-1], 2),
        "spikes per word and neuron": round(report.spikes_per_neuron / words, 3),
        "windows": report.turns.windows if report.turns else 0,
    }


def relays(count: int, names: list[str]) -> None:
    ids, labels = reviews("test", count)
    kept, rows = Rows(f"recurrent-relays-{count}"), []
    quantile = tp.recipes["population-quantile"]
    for title, recipe in (
        ("quantile, 1,000 each", quantile.with_population(1000)),
        ("quantile, 100 each", quantile.with_population(100)),
        ("binary-value, 8 bits", tp.recipes["binary-value"]),
        ("binary-value, 4 bits", tp.recipes["binary-value"].with_window(4)),
        ("few-spike, 8 slots", tp.recipes["few-spike"]),
    ):
        for name in names:
            if "quantile" in title:
                recipe = recipe.with_products(MultiplyCounts())  # noqa: PLW2901
            for relayed in (False, True):
                make = partial(worked, name, recipe.with_relays() if relayed else recipe, ids, labels)
                row = kept.get(f"{title} {name} {relayed}", make)
                rows.append({"code": title, "cells": name, "relays": "yes" if relayed else "no", **row})
    show(f"Weights that read products as numbers, or as spikes of relays, {count} reviews", rows)


def worked(name: str, recipe: Recipe, ids: Tensor, labels: Tensor) -> dict:
    report = tp.evaluate(trained(name), converted(name, recipe), (ids, labels))
    assert report.accuracy is not None
    assert report.reference_accuracy is not None
    assert report.agreement is not None
    words = ids.shape[1]
    products = next((finding.message for finding in report.findings if finding.kind.endswith("products")), "")
    return {
        "ANN": round(100 * report.reference_accuracy, 2),
        "SNN": round(100 * report.accuracy[-1], 2),
        "same decision": round(100 * report.agreement[-1], 2),
        "dense MACs per word": round(report.current_macs / words),
        "synaptic operations per word": round(report.final.synaptic_operations / words),
        "spikes per word and neuron": round(report.spikes_per_neuron / words, 3),
        "windows per word": round(report.turns.windows / words, 1) if report.turns else 0,
        "products": products,
    }


def curve(count: int, draws: int) -> None:
    ids, labels = reviews("test", count)
    kept, rows, reference = Rows(f"recurrent-curve-{count}"), [], ann("normal", ids)
    exact = percent(reference == labels)
    normal, quantile = tp.recipes["population-normal"], tp.recipes["population-quantile"]
    for title, recipe, each in (
        ("normal, 100 each", normal.with_population(100), draws),
        ("normal, 1,000 each", normal.with_population(1000), draws),
        ("normal, 10,000 each", normal.with_population(10000), draws),
        ("normal, thesis's sizes", normal.with_population(1, patterns(THESIS_SIZES)), draws),
        ("quantile, shared out", quantile.with_population(1, patterns(SHARED)), 1),
    ):
        base = converted("normal", recipe)
        make = partial(redrawn, partial(drawn, base), ids, labels, reference=reference)
        if each == 1:
            make = lambda _, base=base: compared([base], ids, labels, reference)  # noqa: E731
        found = kept.each([f"{title} {seed}" for seed in range(each)], make)
        accuracies = [row["accuracy"] for row in found]
        same = sum(row["same"] for row in found) / each
        loss = round(exact - sum(accuracies) / each, 2)
        rows.append({"populations": title, **spread(accuracies), "loss": loss, "same decision": round(same, 2), "draws": each})
    show(f"An LSTM trained with the curve of a normal distribution, {count} reviews, ANN {exact:.2f}", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("gates", "cell", "codes", "relays", "curve"))
    parser.add_argument("--reviews", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--cells", nargs="+", choices=("lstm", "gru", "elman"), default=["lstm", "gru", "elman"])
    parser.add_argument("--codes", nargs="+", choices=list(WINDOWS), default=list(WINDOWS))
    parser.add_argument("--steps", nargs="+", type=int, help="steps of a window, for `codes`")
    chosen = parser.parse_args()
    match chosen.what:
        case "gates":
            gates(chosen.reviews, chosen.draws)
        case "cell":
            cell(chosen.reviews, chosen.draws)
        case "codes":
            codes(chosen.cells, chosen.reviews, chosen.codes, chosen.steps)
        case "relays":
            relays(chosen.reviews, [name for name in chosen.cells if name != "elman"])
        case "curve":
            curve(chosen.reviews, chosen.draws)
