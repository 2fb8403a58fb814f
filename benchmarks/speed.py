"""How long simulations take: against the ANN, against naive stepping, against other tools, and how cost grows.

    python benchmarks/speed.py table [--cases resnet20-b1 ...] [--repetitions 9]  # all engines, ratios of medians, one thread
    python benchmarks/speed.py growth                         # cost and memory against time steps and batch
    python benchmarks/speed.py images [--images 10000]        # evaluation of CIFAR-10 test images with ResNet-20, all threads
    python benchmarks/speed.py profile [--case resnet20-b1]   # where the time goes, stage by stage

Ways are interleaved, and the medians of their processor times compared; the naive way is timed on a few steps and multiplied.
Needs TRANSPIKE_DATA for ResNet-20 and the images.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import psutil
import torch
from torch import nn

import transpike as tp
from datasets import cifar10_test, cifar10_train, data_folder
from models import trained_resnet
from tables import keep, show
from transpike.data import Batch
from transpike.neurons import IntegrateAndFire
from transpike.ops import Input
from transpike.parts import Stateful
from transpike.simulation.engines import ENGINES, Task, WindowEngine

STEPS = 32
CLOSE, ROUNDS = 0.03, 4  # how near a simulated rate is brought to the one asked for, and tries for that
FASTEST = "event"  # the others need minutes for all images
NAIVE_STEPS = 4
VGG = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M")


def vgg16() -> nn.Sequential:
    """VGG-16 for images of 32 x 32, with random weights."""
    torch.manual_seed(0)
    layers, channels = [], 3
    for item in VGG:
        if item == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(channels, item, 3, padding=1), nn.ReLU()]
            channels = item
    layers += [nn.Flatten(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers).eval()


def mlp() -> nn.Sequential:
    """784-1200-1200-10 with random weights."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 1200), nn.ReLU(), nn.Linear(1200, 1200), nn.ReLU(), nn.Linear(1200, 10)
    ).eval()


@torch.inference_mode()
def with_rate(model: nn.Sequential, samples: torch.Tensor, rate: float) -> nn.Sequential:
    """Shift the biases of a model so that each layer, once converted, spikes at about `rate` per neuron and step."""
    x, layers = samples, list(model)
    for layer, after in zip(layers, [*layers[1:], None], strict=True):
        x = layer(x)
        if not isinstance(after, nn.ReLU):
            continue
        axes = [axis for axis in range(x.ndim) if axis != 1]
        tail = [1] * (layer.weight.ndim - 1)
        mean, spread = x.mean(axes), x.std(axes) + 1e-6
        layer.weight /= spread.reshape(-1, *tail)
        layer.bias -= mean
        layer.bias /= spread
        z = (x - mean.reshape(1, -1, *tail[1:])) / spread.reshape(1, -1, *tail[1:])
        low, high = -6.0, 6.0
        for _ in range(30):
            shift = (low + high) / 2
            active = (z + shift).clamp(min=0)
            top = active[active > 0].flatten()[:1_000_000].quantile(0.995) if bool((active > 0).any()) else torch.ones(())
            low, high = (shift, high) if float((active / top).clamp(max=1).mean()) < rate else (low, shift)
        layer.bias += shift
        x = z + shift
    return model


def smooth(count: int) -> torch.Tensor:
    """Random smooth images [count, 1, 28, 28] in [0, 1]."""
    torch.manual_seed(0)
    coarse = torch.rand(count, 1, 7, 7)
    return nn.functional.interpolate(coarse, size=(28, 28), mode="bilinear")


@dataclass(frozen=True)
class Case:
    """A model, the samples that calibrate it, and those that it runs on."""

    make: Callable[[], tuple[nn.Module, torch.Tensor, torch.Tensor]]
    batch: int


def resnet20() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    return trained_resnet(20, data_folder()), cifar10_train(1000)[0], cifar10_test(512)[0]


def spikes_per_step(network, x: torch.Tensor) -> float:
    """Return the spikes per neuron and step on inputs x."""
    run = tp.simulate(network, x, STEPS)
    neurons = sum(math.prod(shape) for name, shape in shapes_of(network).items() if name in run.spike_counts)
    return sum(float(count.float().mean()) for count in run.spike_counts.values()) / neurons / STEPS


def spiking_at(rate: float, make: Callable[[], nn.Sequential], calibration: torch.Tensor, x: torch.Tensor) -> nn.Sequential:
    """Return a model whose conversion spikes at `rate` on inputs x: what biases aim at is corrected by what is simulated."""
    aim = rate
    for _ in range(ROUNDS):
        model = with_rate(make(), calibration[:128], aim)
        found = spikes_per_step(quietly(model, calibration, "rate", exact=True), x)
        if abs(found / rate - 1) < CLOSE:
            break
        aim *= rate / found
    return model


def vgg_at(rate: float) -> Callable[[], tuple[nn.Module, torch.Tensor, torch.Tensor]]:
    def make():
        images, test = cifar10_train(128)[0], cifar10_test(128)[0]
        return spiking_at(rate, vgg16, images, test[:16]), images, test

    return make


def dense_mlp() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    images = smooth(512)
    return spiking_at(0.075, mlp, images[:256], images[:16]), images[:256], images


CASES = {
    "resnet20-b1": Case(resnet20, 1),
    "resnet20-b16": Case(resnet20, 16),
    "vgg16-5%-b16": Case(vgg_at(0.05), 16),
    "vgg16-15%-b16": Case(vgg_at(0.15), 16),
    "mlp-b16": Case(dense_mlp, 16),
}


class Naive:
    """The whole network once per step in plain PyTorch: v += x; s = v >= 1; v -= s. Nothing is remembered between steps."""

    def __init__(self, network, x):
        self.network, self.x = network, x
        self.states: dict = {}

    @torch.inference_mode()
    def step(self):
        values: dict = {}
        for name, node in self.network.nodes.items():
            op, sources = node.op, [values[source] for source in node.inputs]
            if isinstance(op, Input):
                values[name] = self.x
            elif isinstance(op, IntegrateAndFire):
                v = self.states.setdefault(name, torch.zeros_like(sources[0]) + op.initial)
                v += sources[0]
                spikes = (v >= 1).float()
                v -= spikes
                values[name] = spikes
            elif isinstance(op, Stateful):
                state = self.states.get(name) or op.start(sources[0])
                self.states[name] = state
                values[name] = op.step(state, sources[0]).clone()
            else:
                values[name] = op(*sources)


def clocked(call: Callable[[], object]) -> float:
    """Return the processor time of a call on this thread, in milliseconds."""
    started = time.thread_time()
    call()
    return 1e3 * (time.thread_time() - started)


def medians(ways: dict[str, Callable[[], object]], repetitions: int) -> dict[str, float]:
    """Return the median times of several ways, interleaved."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for call in ways.values():
        call()
    for _ in range(repetitions):
        for name, call in ways.items():
            times[name].append(clocked(call))
    return {name: statistics.median(values) for name, values in times.items()}


def quietly(model, samples, recipe, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tp.convert(model, samples, recipe, **options)


def ways_of(model, network, x, steps: int, repetitions: int) -> dict[str, float]:
    """Return the times of the ANN, of naive stepping and of all engines on inputs x, in milliseconds."""
    last = x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
    naive = Naive(network, x)
    ways: dict[str, Callable[[], object]] = {
        "ANN": lambda: model(x),
        "ANN channels-last": lambda: model(last),
        "naive": lambda: [naive.step() for _ in range(NAIVE_STEPS)],
    }
    for engine in ENGINES:
        task = Task(network, steps)
        if engine.refusal(task) is None:
            runner = engine.prepare(task)
            ways[engine.name] = lambda runner=runner: runner.run(Batch((x,)))
    with torch.inference_mode():
        times = medians(ways, repetitions)
    times["ANN"] = min(times["ANN"], times.pop("ANN channels-last"))
    times["naive"] *= steps / NAIVE_STEPS
    return times


def table(names: list[str], repetitions: int) -> None:
    torch.set_num_threads(1)
    rows = []
    for name in names or list(CASES):
        case = CASES[name]
        model, calibration, test = case.make()
        x = test[: case.batch]
        network = quietly(model, calibration, "rate", exact=True)
        times = ways_of(model, network, x, STEPS, repetitions)
        window = WindowEngine().prepare(Task(quietly(model, calibration[:200], "parallel", time_steps=STEPS), STEPS))
        times |= medians({"windows": lambda window=window, x=x: window.run(Batch((x,)))}, repetitions)
        row = {"case": name, "spikes/neuron/step": f"{spikes_per_step(network, x):.3f}", "ANN ms": f"{times['ANN']:.2f}"}
        row["naive / ANN"] = f"{times['naive'] / times['ANN']:.1f}"
        for engine in (e.name for e in ENGINES):
            if engine in times:
                row[f"{engine} / ANN"] = f"{times[engine] / times['ANN']:.2f}"
                row[f"naive / {engine}"] = f"{times['naive'] / times[engine]:.1f}"
        rows.append(row)
        print(row, flush=True)
        keep("speed", {"rows": rows, "steps": STEPS}, quiet=True)
    show(f"One thread, T = {STEPS}, exact arithmetic, recipe rate (windows: recipe parallel)", rows)
    keep("speed", {"rows": rows, "steps": STEPS})


def shapes_of(network) -> dict[str, tuple[int, ...]]:
    from transpike.network import shapes

    return shapes(network)


def growth() -> None:
    torch.set_num_threads(1)
    model, calibration, test = resnet20()
    network = quietly(model, calibration, "rate", exact=True)
    rows = []
    for engine in (e for e in ENGINES if e.name in ("event", "layerwise")):
        for steps, batch in [(t, 4) for t in (8, 32, 128, 512, 1024)] + [(32, b) for b in (1, 16, 64, 512)]:
            x = test[:batch]
            before = psutil.Process().memory_info().rss
            started = time.thread_time()
            tp.simulate(network, x, steps, engine=engine.name)
            spent = time.thread_time() - started
            grown = (psutil.Process().memory_info().rss - before) / 2**20
            rows.append(
                {"engine": engine.name, "T": steps, "batch": batch,
                 "ms per image and step": f"{1e3 * spent / batch / steps:.3f}", "memory +MiB": f"{grown:.0f}"}
            )  # fmt: skip
            print(rows[-1], flush=True)
    show("ResNet-20, one thread", rows)
    keep("speed-growth", {"rows": rows})


def images(count: int) -> None:
    model, calibration, _ = resnet20()
    data = cifar10_test(count)
    rows = []
    started = time.perf_counter()
    network = quietly(model, calibration, "rate", exact=True)
    converted = time.perf_counter() - started
    for engine in ENGINES:
        if engine.refusal(Task(network, STEPS)) is not None or (engine.name != FASTEST and count > 2000):
            continue
        started = time.perf_counter()
        hits = 0
        for start in range(0, count, 500):
            answers = tp.simulate(network, data[0][start : start + 500], STEPS, engine=engine.name).outputs[-1]
            hits += int((answers.argmax(1) == data[1][start : start + 500]).sum())
        simulated = time.perf_counter() - started
        rows.append({"engine": engine.name, "simulate s": f"{simulated:.1f}", "accuracy %": f"{100 * hits / count:.2f}"})
        print(rows[-1], flush=True)
    started = time.perf_counter()
    report = tp.evaluate(model, network, data, STEPS)
    rows.append(
        {"engine": "evaluate (auto)", "simulate s": f"{time.perf_counter() - started:.1f}",
         "accuracy %": f"{100 * report.accuracy[-1]:.2f}", "ANN %": f"{100 * report.reference_accuracy:.2f}"}
    )  # fmt: skip
    show(
        f"{count} CIFAR-10 test images, T = {STEPS}, {torch.get_num_threads()} threads; conversion {converted:.1f} s",
        rows,
    )
    keep(f"speed-images-{count}", {"rows": rows, "conversion_seconds": converted})


def profile(name: str) -> None:
    from transpike.simulation.engines.event import EventEngine
    from transpike.simulation.engines.event.compiled import NAMES

    torch.set_num_threads(1)
    case = CASES[name]
    model, calibration, test = case.make()
    network = quietly(model, calibration, "rate", exact=True)
    runner = EventEngine().prepare(Task(network, STEPS))
    batch = Batch((test[:1],))
    runner.run(batch)
    chosen, compiled = list(runner.compiled.kernels), runner.compiled
    run = runner.request(runner.currents(batch), 1, 1)
    times = {}
    for label, kernels in [(name, compiled.possible(kernel)) for kernel, name in NAMES.items()] + [("chosen", chosen)]:
        compiled.lay_out(kernels)
        compiled.run(run)
        times[label] = [min(each) for each in zip(*[compiled.run(run, timed=True) for _ in range(9)], strict=True)]
    counts = {name: value.sum() for name, value in runner.run(batch).totals.items()}
    rows = []
    for i, stage in enumerate(runner.plan.stages):
        neurons = math.prod(stage.shape)
        rate = f"{float(counts[stage.name]) / neurons / STEPS:.3f}" if stage.name in counts else ""
        row = {"stage": stage.name, "neurons": neurons, "rate": rate}
        row |= {f"{label} us": f"{1e6 * seconds[i]:.0f}" for label, seconds in times.items()}
        rows.append(row | {"kernel": NAMES[chosen[i]]})
    rows.append({"stage": "sum"} | {f"{label} us": f"{1e6 * sum(seconds):.0f}" for label, seconds in times.items()})
    show(f"{name}: one image, T = {STEPS}, build {compiled.library.name}", rows)
    keep(f"speed-profile-{name}", {"rows": rows})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("table", "growth", "images", "profile"))
    parser.add_argument("--cases", nargs="*", default=[], choices=list(CASES))
    parser.add_argument("--case", default="resnet20-b1", choices=list(CASES))
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--images", type=int, default=10_000)
    chosen = parser.parse_args()
    if chosen.what == "table":
        table(chosen.cases, chosen.repetitions)
    elif chosen.what == "growth":
        growth()
    elif chosen.what == "images":
        images(chosen.images)
    else:
        profile(chosen.case)
