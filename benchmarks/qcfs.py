"""QCFS training of ResNet-20 on CIFAR-10 from the public checkpoint, and the accuracy of the converted network.

    python benchmarks/qcfs.py train --levels 4 [--regulariser 0.1] [--epochs 10] [--distillation 0.9]
                                                                # call again to go on after an interruption
    python benchmarks/qcfs.py in-time --start RUN [--trained-steps 4 8 16 8] [--batches 800] [--rate 0.0005] [--batch 32]
                                                                # goes on with a run, its activations running as neurons
    python benchmarks/qcfs.py all [--epochs 10]         # L = 4 and 8, each with and without the regulariser, and the table
    python benchmarks/qcfs.py table [--images 10000] [--time-steps 128]   # all runs that have finished
    python benchmarks/qcfs.py corrected [--recipe ls-tg] [--images 2000] [--time-steps 16]   # with layers corrected for each T

Runs are kept under benchmarks/out/qcfs/. Needs TRANSPIKE_DATA. The hyper-parameters were not chosen on test images: the runs
with and without the regulariser differ in its weight only.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path

import torch

import transpike as tp
from datasets import Augmented, cifar10_test, cifar10_train, cifar10_train_all, data_folder
from models import trained_resnet
from tables import OUT, keep, show
from transpike.files import read_tensors, write_tensors
from transpike.passes import Percentile
from transpike.training import QCFS, Settings, prepare, train

STEPS = (1, 2, 4, 8, 16, 32, 64, 128)
RUNS = OUT / "qcfs"
SLIDES = {
    4: {4: 83.71, 8: 90.01, 16: 92.11, 32: 92.66, 64: 92.65, 128: 92.67},
    8: {4: 76.75, 8: 88.12, 16: 92.30, 32: 93.15, 64: 93.15, 128: 93.23},
}
INITIAL = Percentile(99.0)  # of 96, 98, 99 and 99.9 the best accuracy on the 1,000 training images before any step
PLAN = [(levels, weight) for levels in (4, 8) for weight in (0.0, 0.1)]


def prepared(levels: int) -> torch.nn.Module:
    """The checkpoint with QCFS activations; thresholds from 1,000 training images."""
    model = prepare(trained_resnet(20, data_folder()), cifar10_train(1000)[0], QCFS(levels), threshold=INITIAL)
    return model.to(memory_format=torch.channels_last)


class Clock:
    """Print where a run is, twice a minute."""

    def __init__(self):
        self.last = time.monotonic()

    def __call__(self, step):
        if time.monotonic() - self.last > 30 or step.batch == step.batches:
            self.last = time.monotonic()
            print(f"epoch {step.epoch}/{step.epochs}  batch {step.batch}/{step.batches}  loss {step.loss:.3f}", flush=True)


def run(levels: int, settings: Settings, batch: int) -> None:
    """Train the checkpoint with QCFS activations."""
    words = {"w": settings.regulariser, "e": settings.epochs, "r": settings.learning_rate, "b": batch}
    words |= {"d": settings.distillation} if settings.distillation else {}
    words |= {"decay": settings.weight_decay} if settings.weight_decay != Settings.weight_decay else {}
    folder = RUNS / "-".join([f"L{levels}", *(f"{name}{value:g}" for name, value in words.items())])
    fitted(prepared(levels), settings, batch, folder, {"levels": levels})


def run_in_time(start: str, settings: Settings, batch: int, batches: int | None) -> None:
    """Go on with a run, activations running as neurons."""
    steps = "+".join(map(str, settings.time_steps))
    shorter = f"x{batches}" if batches else ""
    folder = RUNS / f"{start}-T{steps}-e{settings.epochs}{shorter}-r{settings.learning_rate:g}-b{batch}"
    levels = json.loads((RUNS / start / "about.json").read_text())["levels"]
    fitted(network_of(RUNS / start), settings, batch, folder, {"levels": levels, "start": start}, batches)


class Shorter(Augmented):
    """Epochs of so many batches, drawn from all images."""

    def __init__(self, batches: int, images: torch.Tensor, labels: torch.Tensor, batch: int) -> None:
        super().__init__(images, labels, batch)
        self.batches = batches

    def __len__(self) -> int:
        return self.batches


def fitted(
    model: torch.nn.Module, settings: Settings, batch: int, folder: Path, about: dict, batches: int | None = None
) -> None:
    """Train, and leave the weights in the folder of the run."""
    teacher = trained_resnet(20, data_folder()).to(memory_format=torch.channels_last) if settings.distillation else None
    data = Shorter(batches, *cifar10_train_all(), batch) if batches else Augmented(*cifar10_train_all(), batch)
    processor, wall = time.process_time(), time.monotonic()
    trained = train(model, data, settings, teacher=teacher, checkpoint=folder, progress=Clock())
    write_tensors(folder / "trained.safetensors", trained.model.state_dict())
    about |= {
        "settings": vars(settings),
        "threads": torch.get_num_threads(),
        "history": [vars(epoch) for epoch in trained.history],
    }
    about["processor seconds of this call"] = time.process_time() - processor
    about["seconds of this call"] = time.monotonic() - wall
    (folder / "about.json").write_text(json.dumps(about, indent=1))
    print(f"{folder.name}: {about['seconds of this call'] / 60:.1f} minutes, {torch.get_num_threads()} threads")
    for epoch in trained.history:
        print(f"epoch {epoch.epoch}: loss {epoch.loss:.3f}, accuracy {100 * epoch.accuracy:.2f}, penalty {epoch.penalty:.4f}")


def network_of(folder: Path) -> torch.nn.Module:
    """The trained network of a run."""
    model = prepared(json.loads((folder / "about.json").read_text())["levels"])
    model.load_state_dict(read_tensors(folder / "trained.safetensors", "weights"))
    return model


def corrected(recipe: str, images: int, time_steps: int) -> None:
    """Convert the runs with a recipe that corrects layers for each T from 4 on, by 1,000 training images."""
    rows = []
    for folder in sorted(path.parent for path in RUNS.glob("*/about.json")):
        model, row = network_of(folder), {"run": folder.name}
        for step in (t for t in STEPS if 4 <= t <= time_steps):
            network = tp.convert(model, cifar10_train(1000)[0], recipe, time_steps=step)
            row[f"T={step}"] = f"{100 * tp.evaluate(model, network, cifar10_test(images), step).accuracy[-1]:.2f}"
            print(row, flush=True)
        rows.append(row)
    show(f"ResNet-20 with QCFS, {recipe}, accuracy % on {images} test images", rows)
    keep(f"qcfs-{recipe}-{images}", {"rows": rows})


def rows_of(folder: Path, images: int, time_steps: int) -> list[dict]:
    """One row for the accuracy of a run, one for the slides beside it."""
    levels, model = json.loads((folder / "about.json").read_text())["levels"], network_of(folder)
    network = tp.convert(model, cifar10_train(100)[0], "qcfs")
    report = tp.evaluate(model, network, cifar10_test(images), time_steps, title=folder.name)
    ours = {f"T={t}": f"{100 * report.accuracy[t - 1]:.2f}" for t in STEPS if t <= time_steps}
    spikes = {f"T={p.time_steps}": f"{p.spikes_per_neuron:.2f}" for p in report.checkpoints if p.time_steps in STEPS}
    rows = [
        {"run": folder.name, **ours, "QCFS network": f"{100 * report.reference_accuracy:.2f}"},
        {"run": "  spikes per neuron", **spikes},
    ]
    if levels in SLIDES:
        rows.append(
            {"run": f"  slides, L={levels}", **{f"T={t}": f"{SLIDES[levels][t]:.2f}" for t in STEPS if t in SLIDES[levels]}}
        )
    return rows


def table(images: int, time_steps: int) -> None:
    done = sorted(path.parent for path in RUNS.glob("*/about.json"))
    rows = [row for folder in done for row in rows_of(folder, images, time_steps)]
    show(f"ResNet-20 with QCFS, accuracy % on {images} test images (its ReLU network has 91.73 on all)", rows)
    keep(f"qcfs-{images}", {"rows": rows})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "in-time", "all", "table", "corrected"))
    parser.add_argument("--levels", type=int, default=4)
    parser.add_argument("--regulariser", type=float, default=0.0)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument(
        "--distillation", type=float, default=0.0, help="share of the loss that asks for the ReLU network's answers"
    )
    parser.add_argument("--decay", type=float, default=Settings.weight_decay, help="of weights and thresholds")
    parser.add_argument("--start", help="Of in-time: the name of a finished run, a folder of benchmarks/out/qcfs.")
    parser.add_argument("--trained-steps", type=int, nargs="+", default=[4, 8, 16, 8], help="Of in-time: batches take turns.")
    parser.add_argument("--threshold-rate", type=float, default=Settings.threshold_rate, help="in learning rates")
    parser.add_argument("--batches", type=int, help="Of in-time: in an epoch, fewer than all images give.")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--float32", action="store_true", help="for processors that multiply no bfloat16, which it slows down")
    parser.add_argument("--recipe", default="ls-tg", help="of `corrected`")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--time-steps", type=int, default=STEPS[-1])
    chosen = parser.parse_args()
    settings = Settings(
        epochs=chosen.epochs,
        learning_rate=chosen.rate,
        weight_decay=chosen.decay,
        threshold_decay=chosen.decay,
        threshold_rate=chosen.threshold_rate,
        regulariser=chosen.regulariser,
        distillation=chosen.distillation,
        time_steps=tuple(chosen.trained_steps) if chosen.what == "in-time" else (),
        bfloat16=not chosen.float32,
    )
    if chosen.what == "train":
        run(chosen.levels, settings, chosen.batch)
    if chosen.what == "in-time":
        run_in_time(chosen.start, settings, chosen.batch, chosen.batches)
    if chosen.what == "all":
        for levels, weight in PLAN:
            run(levels, dataclasses.replace(settings, regulariser=weight), chosen.batch)
    if chosen.what == "corrected":
        corrected(chosen.recipe, chosen.images, chosen.time_steps)
    if chosen.what in {"all", "table"}:
        table(chosen.images, chosen.time_steps)
