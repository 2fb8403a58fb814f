"""What the length of the time step costs: single neurons, and one network of leaky neurons, at several steps.

    python benchmarks/discretisation.py [--picture PICTURE.svg]

Single neurons: the error of the potential and of the times of spikes against the adaptive solution, for Euler's method, that of
Runge and Kutta, and the exact step where there is one. The network: 64-64-32-10 with ReLU, trained here on the bundled digits
for some seconds and converted to leaky neurons in physical units with a largest rate of 250 per second; 100 test digits for
400 ms in steps of 4 ms to 1/16 ms. Its leak is integrated by Euler's method, exactly with spikes at the ends
of steps, or exactly with spikes where they fall within the step. Errors are those of the decoded answer against exact
integration in steps of 1/64 ms, of the same kind: where spikes wait for the end of a step, what a spike that
arrives lifts above the threshold is lost, else it is kept, and so the kinds approach two limits, whose distance is printed.
"""

from __future__ import annotations

import argparse
import dataclasses

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import transpike as tp
from tables import OUT, keep, show
from transpike.datasets import Reading, load
from transpike.neurons import EulerLeaky, LeakyCell, LeakyIntegrateAndFire, PreciseLeaky
from transpike.neurons.models import MODELS, Step, fitted_order, orders, step_errors
from transpike.passes import InsertNeurons, InvertRateCurve
from transpike.report import save_figure
from transpike.report.curves import log_axis
from transpike.report.style import BLUE, GREEN, HEIGHT, VERMILION, new_figure, styled
from transpike.report.wording import plain

DURATION = 0.4  # seconds
IMAGES = 100
RATE = 250.0  # largest, in spikes per second
STEPS = (4e-3, 2e-3, 1e-3, 5e-4, 2.5e-4, 1.25e-4, 6.25e-5)
FINEST = 1e-3 / 64
KINDS = {
    "Euler": (EulerLeaky, VERMILION),
    "exact, spikes at ends of steps": (LeakyIntegrateAndFire, GREEN),
    "exact, spikes within steps": (PreciseLeaky, BLUE),
}
LIMIT = {EulerLeaky: LeakyIntegrateAndFire}  # what a kind approaches, where it is not itself
PARTS = 2048, 4096, 8192, 16384  # of a quarter of the duration of each model's example


def trained() -> nn.Module:
    """Return a small network that knows the digits."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)).double()
    data = load("digits").whole()
    images, labels = data.inputs[0].double(), data.labels
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(60):
        for part in torch.randperm(len(images)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(images[part]), labels[part]).backward()
            optimiser.step()
    return model.eval()


def answers(model: nn.Module, calibration: Tensor, images: Tensor, kind: type, step: float) -> Tensor:
    """Return the answer decoded after DURATION of a network of leaky neurons in steps of one length."""
    drive = InvertRateCurve(cell=LeakyCell(refractory=0.0), time_step=step, largest_rate=RATE, kind=kind)
    recipe = tp.recipes["lif"]
    insert = next(step for step in recipe.passes if isinstance(step, InsertNeurons))
    network = tp.convert(model, calibration, recipe.with_pass(dataclasses.replace(insert, neuron=drive)))
    return tp.simulate(network, images, round(DURATION / step)).outputs[-1]


def network_rows() -> tuple[list[dict], dict]:
    """Return the error of the network's answer for each kind of neuron and each step, and what is right without."""
    model = trained()
    calibration, data = load("digits").whole().inputs[0].double()[:500], load("digits", "test", Reading(samples=IMAGES)).whole()
    images, labels = data.inputs[0].double(), data.labels
    with torch.inference_mode():
        ann = model(images)
    limits = {kind: answers(model, calibration, images, kind, FINEST) for kind in (LeakyIntegrateAndFire, PreciseLeaky)}
    rows = []
    for step in STEPS:
        for name, (kind, _) in KINDS.items():
            found, reference = answers(model, calibration, images, kind, step), limits[LIMIT.get(kind, kind)]
            errors = {
                "error": float((found - reference).norm() / reference.norm()),
                "other answers": int((found.argmax(1) != reference.argmax(1)).sum()),
                "right": int((found.argmax(1) == labels).sum()),
            }
            rows.append({"dt, ms": 1e3 * step, "neurons": name, **errors})
    waiting, within = limits.values()
    return rows, {
        "right": {"ANN": int((ann.argmax(1) == labels).sum()), "limit": int((within.argmax(1) == labels).sum())},
        "limit against ANN": {
            "at ends": float((waiting - ann).norm() / ann.norm()),
            "within": float((within - ann).norm() / ann.norm()),
        },
        "limits against each other": float((waiting - within).norm() / within.norm()),
    }


def neuron_rows() -> list[dict]:
    """Return the orders with which the errors of each model fall, and the errors in the shortest steps."""
    rows = []
    for name, kind in MODELS.items():
        model = kind()
        amplitude = model.example.amplitude if isinstance(model.example, Step) else 9.0
        dts = [model.duration / part for part in PARTS]
        course, errors = step_errors(model, Step(0.0, model.duration, amplitude), model.duration / 4, dts)
        for method, (order, late) in orders(course, errors).items():
            last = next(each for each in errors if each.method == method and each.dt == dts[-1])
            found = {
                "shortest dt": dts[-1],
                "error": last.error,
                "order": order,
                "spikes off by": last.late,
                "order of that": late,
            }
            rows.append({"model": name, "method": method, **found})
    return rows


@styled
def picture(rows: list[dict]) -> Figure:
    """Draw the error of the network's answer against the step."""
    figure = new_figure(HEIGHT)
    axes = figure.subplots()
    for (name, (_, colour)), mark in zip(KINDS.items(), "osD", strict=True):
        mine = [row for row in rows if row["neurons"] == name]
        steps, errors = [row["dt, ms"] for row in mine], [row["error"] for row in mine]
        label = f"{name}: order {fitted_order(steps, errors):.1f}"
        axes.plot(steps, errors, f"{mark}-", color=colour, markersize=5, label=label)
    log_axis(axes.xaxis, [row["dt, ms"] for row in rows], plain)
    log_axis(axes.yaxis, [row["error"] for row in rows], lambda value: plain(100 * value))
    axes.set_xlabel("Time step (ms)")
    axes.set_ylabel("Error of the answer (%)")
    figure.legend(loc="outside upper left", ncols=1)
    return figure


def worded(rows: list[dict]) -> list[dict]:
    """Return rows whose numbers are short."""
    return [{key: f"{value:.3g}" if isinstance(value, float) else value for key, value in row.items()} for row in rows]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", default=str(OUT / "discretisation.svg"))
    chosen = parser.parse_args()
    single = neuron_rows()
    show("Single neurons: errors in steps of fixed length, and the orders with which they fall", worded(single))
    rows, ends = network_rows()
    show(f"One network of leaky neurons, {IMAGES} digits, {DURATION:g} s", worded(rows))
    print(ends)
    kinds = {name: [(row["dt, ms"], row["error"]) for row in rows if row["neurons"] == name] for name in KINDS}
    found = {name: fitted_order(*zip(*points, strict=True)) for name, points in kinds.items()}
    print("Orders:", found)
    save_figure(picture(rows), chosen.picture)
    keep("discretisation", {"single": single, "network": rows, "orders": found, **ends})
