"""ResNet-20 and ResNet-56 on CIFAR-10: exactness of capture and folding, accuracy against time steps, speed, memory.

    python benchmarks/resnet_cifar.py exactness
    python benchmarks/resnet_cifar.py accuracy [--depth 20] [--images 1000] [--time-steps 256] [--recipe rate]
    python benchmarks/resnet_cifar.py speed

Calibration: 1,000 training images. Test: the first images of the test set. Needs TRANSPIKE_DATA.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time

import psutil
import torch

import transpike as tp
from datasets import cifar10_test, cifar10_train, data_folder
from models import trained_resnet
from tables import keep, show
from transpike.calibration import Samples
from transpike.capture import capture
from transpike.network import forward
from transpike.passes import apply
from transpike.recipe import STRUCTURE

STEPS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


def exactness() -> None:
    rows = []
    for depth in (20, 56):
        for dtype in (torch.float32, torch.float64):
            model = trained_resnet(depth, data_folder()).to(dtype)
            images = cifar10_test(200)[0].to(dtype)
            folded = apply(STRUCTURE, capture(model, [images[:4]]), Samples())
            with torch.inference_mode():
                expected = model(images)
            error = (forward(folded.analogue(), [images])["output"] - expected).abs().max()
            rows.append({"network": f"ResNet-{depth}", "dtype": str(dtype), "largest difference": f"{float(error):.1e}"})
    show("Folded network against the model, 200 test images", rows)
    keep("exactness", {"rows": rows})


def accuracy(depth: int, images: int, time_steps: int, recipe: str) -> None:
    model = trained_resnet(depth, data_folder())
    started = time.perf_counter()
    network = tp.convert(model, cifar10_train(1000)[0], recipe)
    converted = time.perf_counter() - started
    report = tp.evaluate(model, network, cifar10_test(images), time_steps, title=f"ResNet-{depth}")
    rows = [
        {
            "T": point.time_steps,
            "accuracy %": f"{100 * point.accuracy:.2f}",
            "spikes/neuron": f"{point.spikes_per_neuron:.2f}",
            "Msynop": f"{point.synaptic_operations / 1e6:.1f}",
            "energy/ANN": f"{point.energy[0].ratio:.2f}",
        }
        for point in report.checkpoints
    ]
    rows.append({"T": "ANN", "accuracy %": f"{100 * report.reference_accuracy:.2f}", "energy/ANN": "1.00"})
    show(f"ResNet-{depth}, {images} test images, recipe {recipe!r}, conversion {converted:.1f} s", rows)
    print("Steps to 99 % and 99.9 % of the ANN:", report.latency)
    keep(f"accuracy-resnet{depth}-{recipe}-{images}", {"conversion_s": converted, "latency": report.latency, "rows": rows})


class Peak:
    """Watch the resident memory of this process above its level at the start, in MB."""

    def __enter__(self):
        self.process, self.running, self.most = psutil.Process(), True, 0
        self.base = self.process.memory_info().rss
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while self.running:
            self.most = max(self.most, self.process.memory_info().rss)
            time.sleep(0.005)

    def __exit__(self, *_):
        self.running = False
        self.thread.join()

    @property
    def extra(self) -> float:
        return (self.most - self.base) / 1e6


def seconds(action) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def speed(images: int = 1000, time_steps: int = 32, batch: int = 100, repeats: int = 3) -> None:
    model = trained_resnet(20, data_folder())
    x = cifar10_test(images)[0]
    network = tp.convert(model, cifar10_train(1000)[0])
    channels_last = trained_resnet(20, data_folder()).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def ann(which, layout):
        for part in x.split(batch):
            which(part.contiguous(memory_format=layout))

    ann(model, torch.contiguous_format)
    tp.simulate(network, x[:batch], 2)
    rows = []
    for _ in range(repeats):
        plain = seconds(lambda: ann(model, torch.contiguous_format))
        best = seconds(lambda: ann(channels_last, torch.channels_last))
        spiking = seconds(lambda: [tp.simulate(network, part, time_steps) for part in x.split(batch)])
        rows.append({"ann": plain, "ann channels-last": best, "snn": spiking})
    medians = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
    with Peak() as peak:
        tp.simulate(network, x[:batch], time_steps)
    result = {
        "images": images,
        "batch": batch,
        "threads": torch.get_num_threads(),
        "ANN s": round(medians["ann"], 3),
        "ANN channels-last s": round(medians["ann channels-last"], 3),
        f"SNN T={time_steps} s": round(medians["snn"], 2),
        "SNN / (T ANN)": round(medians["snn"] / time_steps / medians["ann"], 2),
        "SNN / (T ANN channels-last)": round(medians["snn"] / time_steps / medians["ann channels-last"], 2),
        "extra peak MB": round(peak.extra, 1),
    }
    show(f"Speed, median of {repeats}", [result])
    keep("speed", {"runs": rows, **result})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("exactness", "accuracy", "speed"))
    parser.add_argument("--depth", type=int, choices=(20, 56), default=20)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--time-steps", type=int, default=256)
    parser.add_argument("--recipe", default="rate")
    chosen = parser.parse_args()
    if chosen.what == "accuracy":
        accuracy(chosen.depth, chosen.images, chosen.time_steps, chosen.recipe)
    else:
        {"exactness": exactness, "speed": speed}[chosen.what]()
