"""Codes by the time of spikes: losses, spikes and latencies, on MNIST, Speech Commands features and CIFAR-10.

    python benchmarks/temporal_codes.py mnist [--images 10000]      # LeNet-5 and a 9-layer CNN: table 6.1 of a thesis
    python benchmarks/temporal_codes.py speech                      # an MLP: its table 6.2
    python benchmarks/temporal_codes.py cifar [--depth 20] [--images 2000] [--recipes phase phase-binary:6]
    python benchmarks/temporal_codes.py levels [--images 1000] [--figure out.svg]      # accuracy against the resolution of time
    python benchmarks/temporal_codes.py jitter [--images 500] [--figure out.svg]       # accuracy against jitter

Calibration: 1,000 training samples without labels. Needs TRANSPIKE_DATA.
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor, nn

import transpike as tp
from datasets import cifar10_test, cifar10_train, data_folder, mnist, speech_commands
from max_pool import trained
from models import lenet, nine_layers, trained_resnet
from tables import draw, keep, show
from transpike.calibration import Samples
from transpike.neurons import AccumulatedMaxPool, Announcement, Neuron
from transpike.passes import ActivateBeforePool, JitterSpikes, PoolBeforeActivation
from transpike.recipe import Recipe
from transpike.training import ClampedReLU, Settings, prepare, train

IN_WINDOWS = ("phase", "phase-sparse", "phase-binary", "signed-digit", "base-b", "few-spike")
RATE_STEPS = 256


def accuracy_of(model: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.inference_mode():
        return 100 * float((torch.cat([model(part).argmax(1) for part in x.split(500)]) == y).float().mean())


def row_of(model: nn.Module, recipe: Recipe, calibration: Tensor, test: tuple[Tensor, Tensor]) -> dict:
    """One row: what the conversion with a recipe cost."""
    network = tp.convert(model, calibration, recipe)
    report = tp.evaluate(model, network, test)
    turns = report.turns
    return {
        "recipe": recipe.name,
        "ANN %": f"{100 * report.reference_accuracy:.2f}",
        "accuracy %": f"{100 * report.accuracy[-1]:.2f}",
        "loss": f"{100 * report.loss:.2f}",
        "same as ANN %": f"{100 * report.agreement[-1]:.2f}",
        "spikes/image": round(report.final.spikes),
        "spikes/neuron": f"{report.spikes_per_neuron:.3f}",
        "synops/MAC": f"{report.final.synaptic_operations / report.ann_connections:.3f}",
        "bits": report.method.bits_per_spike,
        "window": report.time_steps,
        "latency": turns.latency if turns else report.time_steps,
        "bias lane": turns.biases if turns else "",
    }


def pools_last(recipe: Recipe) -> Recipe:
    """The recipe with max-pools behind the neurons, which relay spikes then: as the thesis counts neurons."""
    passes = tuple(ActivateBeforePool() if isinstance(step, PoolBeforeActivation) else step for step in recipe.passes)
    return recipe.variant("pools last", passes)


def relayed(model: nn.Module, recipe: Recipe, calibration: Tensor, images: Tensor) -> tuple[float, int]:
    """Spikes per image of neurons and of the pools behind them, and how many of both there are, outputs included."""
    network = tp.convert(model, calibration, pools_last(recipe))
    neurons = network.having(Neuron, Announcement)
    run = tp.simulate(network, images, record=tp.Record(counts=[node.name for node in neurons]))
    spikes = sum(float(run.counts[node.name].sum()) for node in neurons)
    size = sum(run.counts[node.name][0].numel() for node in network.having(Neuron))
    size += run.outputs.shape[2]
    for node in network.having(AccumulatedMaxPool):
        source = node.inputs[0].removesuffix(".pulse")
        pooled = node.op.pool(run.counts[source].clamp(max=1).float())
        spikes += float(pooled.sum())
        size += pooled[0].numel()
    return spikes / len(images), size


def run_mnist(images: int) -> None:
    data, test = mnist("train", 60_000), mnist("t10k", images)
    calibration = data[0][:1000]
    rows = []
    for name, make in (("LeNet-5", lenet), ("9-layer CNN", nine_layers)):
        torch.manual_seed(0)
        model = trained(make(), *data, 3)
        clamped = prepare(model, calibration, ClampedReLU(0.1))
        batches = list(zip(data[0][:20_000].split(128), data[1][:20_000].split(128), strict=True))
        clamped = train(clamped, batches, Settings(epochs=2, learning_rate=0.01)).model.eval()
        for chosen in ("ttfs-base", "ttfs-dynamic", "ttfs-corrective", "phase", "phase:255", *IN_WINDOWS[1:], "ttfs-exact"):
            recipe = recipe_of(chosen)
            spikes, size = relayed(model, recipe, calibration, test[0][:1000])
            counted = {"with pools": round(spikes), "of": size, "per neuron": f"{spikes / size:.3f}"}
            rows.append({"network": name} | row_of(model, recipe, calibration, test) | counted)
            print(rows[-1], flush=True)
        rows.append({"network": name} | row_of(clamped, tp.recipes["ttfs-clamped"], calibration, test))
        print(rows[-1], flush=True)
    show(f"MNIST, {len(test[0])} test images", rows)
    keep("temporal-mnist", {"rows": rows})


def recipe_of(text: str) -> Recipe:
    """A recipe by name, perhaps with a window: "phase:255"."""
    name, _, window = text.partition(":")
    return tp.recipes[name].with_window(int(window)) if window else tp.recipes[name]


def run_speech() -> None:
    x, y = speech_commands()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    first, last = order[:800], order[800:]
    torch.manual_seed(0)
    layers = [nn.Flatten(), nn.Linear(490, 256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, 256), nn.ReLU(), nn.Dropout(0.3)]
    model = nn.Sequential(*layers, nn.Linear(256, 12))
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.05)
    for _ in range(120):
        for part in first[torch.randperm(800)].split(64):
            optimiser.zero_grad()
            moved = torch.stack([torch.roll(one, int(torch.randint(-6, 7, ())), 0) for one in x[part]])
            nn.functional.cross_entropy(model(moved + 0.2 * torch.randn_like(moved)), y[part], label_smoothing=0.1).backward()
            optimiser.step()
    model.eval()
    test = (x[last], y[last])
    rows = [row_of(model, recipe_of(name), x[first], test) for name in ("phase", "phase:255", *IN_WINDOWS[1:], "ttfs-exact")]
    report = tp.evaluate(model, tp.convert(model, x[first]), test, RATE_STEPS)
    settled = report.latency["99.9%"] or RATE_STEPS  # from here on its accuracy stays what it is in the end
    reached = next(point for point in report.checkpoints if point.time_steps >= settled)
    rate = {"recipe": f"rate, settled at T = {settled}", "accuracy %": f"{100 * report.accuracy[settled - 1]:.2f}"}
    rate |= {"spikes/image": round(reached.spikes), "spikes/neuron": f"{reached.spikes_per_neuron:.3f}"}
    rows.append(rate | {"synops/MAC": f"{reached.synaptic_operations / report.ann_connections:.3f}"})
    for row in rows:
        row["fewer operations"] = f"{float(rows[-1]['synops/MAC']) / float(row['synops/MAC']):.1f} x"
    show("Speech Commands features, MLP 490-256-256-12, 200 test samples", rows)
    keep("temporal-speech", {"rows": rows})


def run_cifar(depth: int, images: int, names: list[str]) -> None:
    model, calibration = trained_resnet(depth, data_folder()), cifar10_train(1000)[0]
    test = cifar10_test(images)
    rows = []
    for name in names:
        rows.append(row_of(model, recipe_of(name), calibration, test))
        print(rows[-1], flush=True)
    show(f"ResNet-{depth}, {images} test images", rows)
    keep(f"temporal-resnet{depth}-{images}", {"rows": rows})


def run_levels(images: int, figure: str | None) -> None:
    """Accuracy against the number of slots of a window, or of bits."""
    model, calibration = trained_resnet(20, data_folder()), cifar10_train(1000)[0]
    test = cifar10_test(images)
    windows = {"phase": (3, 7, 15, 31, 63, 127), "phase-sparse": (31, 63, 127), "phase-binary": (2, 3, 4, 5, 6, 7)}
    windows |= {"signed-digit": (3, 4, 5, 6, 7, 8), "base-b": (8, 12, 16, 24, 32), "few-spike": (3, 4, 5, 6, 8)}
    windows["ttfs-exact"] = (8, 16, 32, 64, 128)
    rows = []
    for name, steps in windows.items():
        for window in steps:
            report = tp.evaluate(model, tp.convert(model, calibration, tp.recipes[name].with_window(window)), test)
            accuracy = round(100 * report.accuracy[-1], 2)
            rows.append({"recipe": name, "window": window, "accuracy %": accuracy, "spikes/neuron": report.spikes_per_neuron})
            print(rows[-1], flush=True)
    show(f"ResNet-20, {images} test images, ANN {accuracy_of(model, *test):.2f} %", rows)
    keep("temporal-levels", {"rows": rows})
    if figure:
        draw(rows, "window", figure, "steps of a window", reference=accuracy_of(model, *test), logarithmic=True)


def run_jitter(images: int, figure: str | None, names: list[str]) -> None:
    """Accuracy against the standard deviation of the times of spikes, in shares of a window."""
    model, calibration = trained_resnet(20, data_folder()), cifar10_train(1000)[0]
    test = cifar10_test(images)
    rows = []
    for name in names:
        recipe = recipe_of(name)
        steps = None if recipe.has_window else 8
        network = tp.convert(model, calibration, recipe, time_steps=steps)
        window = recipe.window or steps or 1
        for share in (0.0, 0.01, 0.02, 0.03, 0.05, 0.1):
            moved = JitterSpikes(share * window)(network, Samples())
            answers = tp.simulate(moved, test[0], steps, block=8).outputs[-1].argmax(1)
            rows.append({"recipe": name, "window": window, "share": share, "steps": round(share * window, 3)})
            rows[-1]["accuracy %"] = round(100 * float((answers == test[1]).float().mean()), 2)
            print(rows[-1], flush=True)
    show(f"ResNet-20, {images} test images, ANN {accuracy_of(model, *test):.2f} %", rows)
    keep("temporal-jitter", {"rows": rows})
    if figure:
        draw(rows, "share", figure, "jitter in windows", reference=accuracy_of(model, *test))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("mnist", "speech", "cifar", "levels", "jitter"))
    parser.add_argument("--depth", type=int, default=20, choices=(20, 56))
    parser.add_argument("--images", type=int)
    parser.add_argument(
        "--recipes", nargs="+", default=[*IN_WINDOWS, "ttfs-exact"], help="Of cifar and jitter; phase:63 is a window."
    )
    parser.add_argument("--figure", help="Write the picture to this .svg or .png file.")
    given = parser.parse_args()
    if given.what == "mnist":
        run_mnist(given.images or 10_000)
    elif given.what == "speech":
        run_speech()
    elif given.what == "cifar":
        run_cifar(given.depth, given.images or 2000, given.recipes)
    elif given.what == "levels":
        run_levels(given.images or 1000, given.figure)
    else:
        run_jitter(given.images or 500, given.figure, given.recipes)
