"""Transformers and networks with SiLU, Hardswish and squeeze-and-excitation: trained here, converted, accuracy against T.

    python benchmarks/modern_networks.py train [--models "vision transformer" ...]     # minutes each; what is there is kept
    python benchmarks/modern_networks.py convert [--images 2000] [--recipes hybrid differential] [--steps 1 2 4 8 13 16]
    python benchmarks/modern_networks.py cost [--recipes hybrid differential] [--steps 4]  # processor time, in passes

The transformers are those of section 4.4 of a thesis on conversion. Weights are kept under benchmarks/out/modern/. The epoch
of the review transformer is chosen on 500 training reviews. Calibration: 500 training samples. Needs TRANSPIKE_DATA.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import transpike as tp
from datasets import IDS, mnist, reviews
from keeping import CALIBRATION, Data, accuracy, kept
from modern_models import MODELS, WORDS
from reviews import parts
from tables import OUT, keep, show
from transpike.network import forward

EPOCHS = {"review transformer": 12, "vision transformer": 8}
OTHERS = 3
REPETITIONS = 11
STEPS = (1, 2, 4, 8, 13, 16)


def data_of(name: str, images: int) -> tuple[Data, Data]:
    """Return (training, test)."""
    if name != "review transformer":
        return mnist("train", 60_000), mnist("t10k", images)
    ids, labels = reviews("train")
    test, answers = reviews("test", images)
    return (ids[:, -WORDS:], labels), (test[:, -WORDS:], answers)


def train(name: str) -> nn.Module:
    """Return the trained model."""
    torch.manual_seed(0)
    model = MODELS[name]()
    words = name == "review transformer"
    data, held = parts() if words else (mnist("train", 60_000), None)
    if held is not None:
        data, held = (data[0][:, -WORDS:], data[1]), (held[0][:, -WORDS:], held[1])
    batch, epochs = (32, EPOCHS[name]) if words else (128, EPOCHS.get(name, OTHERS))
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 2e-3 if "transformer" in name else 1e-2, epochs * (len(data[0]) // batch)
    )
    best, weights = 0.0, model.state_dict()
    for turn in range(epochs):
        started = time.perf_counter()
        epoch(model, optimiser, schedule, data, batch, missing=0.3 if words else 0.0)
        score = accuracy(model, held) if held else 0.0
        print(f"{name}: epoch {turn + 1}/{epochs}, held out {score:.2f} %, {time.perf_counter() - started:.0f} s", flush=True)
        if score >= best:
            best, weights = score, {key: value.clone() for key, value in model.state_dict().items()}
    model.load_state_dict(weights)
    return model.eval()


def epoch(model: nn.Module, optimiser, schedule, data: Data, batch: int, missing: float) -> None:
    """Train once on all samples; a share of the words is made unknown."""
    model.train()
    for rows in torch.randperm(len(data[0])).split(batch)[: len(data[0]) // batch]:
        x = data[0][rows]
        x = x.masked_fill((x > 0) & (torch.rand(x.shape) < missing), 1) if missing else shifted(x)
        optimiser.zero_grad()
        F.cross_entropy(model(x), data[1][rows], label_smoothing=0.05).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    model.eval()


def shifted(images: Tensor) -> Tensor:
    """Move all images of a batch by up to two pixels."""
    return torch.roll(images, torch.randint(-2, 3, (2,)).tolist(), (2, 3))


def model_of(name: str) -> nn.Module:
    return kept(OUT / "modern" / f"{name.replace(' ', '_')}.safetensors", MODELS[name](), lambda: train(name))


def rows_of(name: str, recipe: str, steps: list[int], images: int) -> list[dict]:
    """One row for each number of steps."""
    model, (training, test) = model_of(name), data_of(name, images)
    started = time.perf_counter()
    network = tp.convert(model, training[0][:CALIBRATION], recipe, time_steps=max(steps))
    report = tp.evaluate(model, network, test, max(steps))
    seconds = time.perf_counter() - started
    rows = []
    for point in report.checkpoints:
        if point.time_steps in steps:
            row = {"network": name, "recipe": recipe, "T": point.time_steps, "ANN %": f"{100 * report.reference_accuracy:.2f}"}
            row |= {"SNN %": f"{100 * point.accuracy:.2f}", "loss": f"{100 * (report.reference_accuracy - point.accuracy):.2f}"}
            row |= {"same %": f"{100 * report.agreement[point.time_steps - 1]:.2f}"}
            shares = report.shares  # of the operations by the last step
            row |= {"binary/graded/analogue %": "/".join(f"{100 * part:.1f}" for part in dataclasses.astuple(shares))}
            row |= {"spikes/neuron": f"{point.spikes_per_neuron:.2f}", "seconds": round(seconds)}
            rows.append(row)
            print(row, flush=True)
    return rows


def cost_of(name: str, recipe: str, steps: int) -> dict:
    """Processor time of T steps of an untrained network, in T passes of its ANN on the same samples: medians, in turns."""
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    words = name == "review transformer"
    x = torch.randint(2, IDS, (64, WORDS)) if words else torch.rand(64, 1, 28, 28)
    network = tp.convert(model, x, recipe)
    analogue, some = network.analogue(), x[:32]
    ways = {"ANN": lambda: forward(analogue, [some]), "SNN": lambda: tp.simulate(network, some, steps)}
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(REPETITIONS + 1):
        for way, call in ways.items():
            started = time.process_time()
            call()
            if turn:  # the first compiles
                times[way].append(time.process_time() - started)
    ann, snn = (statistics.median(values) for values in times.values())
    row = {"network": name, "recipe": recipe, "T": steps, "ANN ms": round(1e3 * ann, 1), "SNN ms": round(1e3 * snn, 1)}
    row |= {"passes / T": f"{snn / ann / steps:.2f}"}
    print(row, flush=True)
    return row


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "convert", "cost"))
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--recipes", nargs="+", default=["hybrid", "differential"])
    parser.add_argument("--steps", nargs="+", type=int, default=list(STEPS))
    parser.add_argument("--images", type=int, default=2000)
    given = parser.parse_args()
    if given.what == "train":
        found = [
            {"network": name, "test %": f"{accuracy(model_of(name), data_of(name, 10_000)[1]):.2f}"} for name in given.models
        ]
        show("Trained networks", found)
        keep("modern-trained", {"rows": found})
    elif given.what == "cost":
        torch.set_num_threads(1)
        some = min(given.steps, key=lambda steps: abs(steps - 4))
        found = [cost_of(name, recipe, some) for name in given.models for recipe in given.recipes]
        show("Processor time, batches of 32", found)
        keep("modern-cost", {"rows": found})
    else:
        found = [
            row for name in given.models for recipe in given.recipes for row in rows_of(name, recipe, given.steps, given.images)
        ]
        show(f"{given.images} test samples", found)
        keep("modern-converted", {"rows": found})
