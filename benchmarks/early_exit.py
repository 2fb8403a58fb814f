"""Early exit on ResNet-20: latency, changed decisions, accuracy and time, promised on training images, judged on test images.

    python benchmarks/early_exit.py [--recipe rate] [--time-steps 128] [--points 0.1 0.5] [--calibration 4000] [--images 2000]

1,000 training images calibrate the conversion, others of the first 5,000 the margin; all without labels. Seconds are CPU time
of this process, so that others on the machine count little. Needs TRANSPIKE_DATA.
"""

from __future__ import annotations

import argparse
import math
import time

import torch

import transpike as tp
from datasets import cifar10_test, cifar10_train, data_folder
from models import trained_resnet
from tables import keep, show
from transpike.exits import exit_of, simulated_margins, with_exit

CONVERSION = 1000
CONFIDENCE = 0.95


def timed(network: tp.Network, images: torch.Tensor, steps: int, engine: str = "auto") -> tuple[tp.Recording, float]:
    """Simulate and return the recording with the CPU seconds that it took."""
    started = time.process_time()
    return tp.simulate(network, images, steps, engine=engine), time.process_time() - started


def row(name: str, latency: torch.Tensor, decisions: torch.Tensor, last: torch.Tensor, labels: torch.Tensor) -> dict:
    """Return latency and answers of one way to run."""
    ordered = latency.sort().values
    return {
        "promised %": name,
        "mean steps": round(float(latency.double().mean()), 2),
        "99th percentile": int(ordered[math.ceil(0.99 * len(ordered)) - 1]),
        "changed": int((decisions != last).sum()),
        "accuracy %": round(100 * float((decisions == labels).double().mean()), 2),
    }


def main(given: argparse.Namespace) -> None:
    steps = given.time_steps
    train = cifar10_train(CONVERSION + given.calibration)[0]
    images, labels = cifar10_test(given.images)
    model = trained_resnet(20, data_folder())
    network = tp.convert(model, train[:CONVERSION], given.recipe, time_steps=steps, exact=True)  # the same bits on all engines
    critical = simulated_margins(network, train[CONVERSION:], steps)
    print(f"{len(critical)} calibration images; {int((critical > 0).sum())} could be decided otherwise", flush=True)
    rows, everything, last = [], torch.full((len(images),), steps), None
    for engine in ("stepwise", "auto"):
        run, seconds = timed(network, images, steps, engine)
        decisions = run.outputs[-1].argmax(1)
        last = decisions if last is None else last
        made = row("all steps", everything, decisions, last, labels)
        rows.append({"engine": engine, **made, "seconds": round(seconds, 1)})
        print(rows[-1], flush=True)
    for points in given.points:
        early, finding = with_exit(network, critical, steps, points / 100, CONFIDENCE)
        print(finding.message, flush=True)
        for engine in ("stopping", "auto"):
            run, seconds = timed(early, images, steps, engine)
            (decided,) = run.decided.values()
            latency = decided.where(decided > 0, steps)
            made = row(f"{points:g}", latency, run.outputs[-1].argmax(1), last, labels)
            made["exited %"] = round(100 * float((latency < steps).double().mean()), 1)
            rows.append({"engine": engine, **made, "seconds": round(seconds, 1), "margin": round(exit_of(early).margin, 2)})
            print(rows[-1], flush=True)
    title = f"ResNet-20, {given.recipe}, {steps} steps: margin from {len(critical)} training images, {len(images)} test images"
    keep(f"early-exit-{given.recipe}-{steps}", {"title": title, "rows": rows})
    show(title, rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="rate")
    parser.add_argument("--time-steps", type=int, default=128)
    parser.add_argument("--points", nargs="+", type=float, default=[0.1, 0.5])
    parser.add_argument("--calibration", type=int, default=4000)
    parser.add_argument("--images", type=int, default=2000)
    main(parser.parse_args())
