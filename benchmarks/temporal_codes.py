"""Codes by the time of spikes: losses, spikes and latencies, on MNIST, spoken digits and CIFAR-10.

    python benchmarks/temporal_codes.py mnist [--images 10000]      # LeNet-5 and a 9-layer CNN: table 6.1 of a thesis
    python benchmarks/temporal_codes.py speech [--speeds 0.9 1 1.1] # an MLP: its table 6.2; test recordings at these speeds
    python benchmarks/temporal_codes.py cifar [--depth 20] [--images 2000] [--recipes phase phase-binary:6]
    python benchmarks/temporal_codes.py whole [--depth 56] [--images 10000] [--recipes phase-sbg]      # decisions alone
    python benchmarks/temporal_codes.py levels [--images 1000] [--figure out.svg]      # accuracy against the resolution of time
    python benchmarks/temporal_codes.py jitter [--images 500] [--figure out.svg]       # accuracy against jitter
    python benchmarks/temporal_codes.py cost [--depth 20]      # processor time of a simulation, in passes of the ANN

Calibration: 1,000 training samples without labels. Needs TRANSPIKE_DATA.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

import torch
from torch import Tensor, nn

import transpike as tp
from datasets import cifar10_test, cifar10_train, data_folder, mnist
from keeping import kept
from max_pool import trained
from models import lenet, nine_layers, trained_resnet
from speed import clocked
from spoken_digits import BANDS, FRAMES, Design, disturbed, test_part, training_part
from tables import OUT, Rows, draw, keep, show
from transpike.calibration import Samples
from transpike.neurons import AccumulatedMaxPool, Announcement, Neuron
from transpike.passes import ActivateBeforePool, JitterSpikes, PoolBeforeActivation
from transpike.recipe import Recipe
from transpike.training import ClampedReLU, Settings, prepare, train

IN_WINDOWS = ("phase", "phase-sparse", "phase-binary", "signed-digit", "base-b", "few-spike")
RATE_STEPS = 256
LISTENED = 60  # epochs over spoken digits
BATCH, TURNS = 16, 15  # images and repetitions of the measurement of cost


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
    """Finished rows are kept and not measured again, so that this can be interrupted."""
    data, test = mnist("train", 60_000), mnist("t10k", images)
    calibration = data[0][:1000]
    done, rows = Rows(f"temporal-mnist-{images}"), []
    for name, make in (("LeNet-5", lenet), ("9-layer CNN", nine_layers)):
        model, clamped = digit_models(name, make, data)
        for chosen in (*IN_WINDOWS, "phase:255", "ttfs-exact", "ttfs-base", "ttfs-dynamic", "ttfs-corrective"):
            row = partial(row_with_pools, model, recipe_of(chosen), calibration, test)
            rows.append({"network": name} | done.get(f"{name} {chosen}", row))
        row = partial(row_of, clamped, tp.recipes["ttfs-clamped"], calibration, test)
        rows.append({"network": name} | done.get(f"{name} ttfs-clamped", row))
    show(f"MNIST, {len(test[0])} test images", rows)


def digit_models(name: str, make: Callable[[], nn.Module], data: tuple[Tensor, Tensor]) -> tuple[nn.Module, nn.Module]:
    """A network trained for three epochs, and the same after two more with clamped activations."""

    def plain() -> nn.Module:
        torch.manual_seed(0)
        return trained(make(), *data, 3)

    folder = OUT / "temporal"
    model = kept(folder / f"{name}.safetensors", make(), plain)
    clamped = prepare(model, data[0][:1000], ClampedReLU(0.1))

    def trained_clamped() -> nn.Module:
        batches = list(zip(data[0][:20_000].split(128), data[1][:20_000].split(128), strict=True))
        return train(clamped, batches, Settings(epochs=2, learning_rate=0.01)).model

    return model, kept(folder / f"{name}-clamped.safetensors", clamped, trained_clamped)


def row_with_pools(model: nn.Module, recipe: Recipe, calibration: Tensor, test: tuple[Tensor, Tensor]) -> dict:
    """One row with the spikes as the thesis counts them."""
    spikes, size = relayed(model, recipe, calibration, test[0][:1000])
    counted = {"with pools": round(spikes), "of": size, "per neuron": f"{spikes / size:.3f}"}
    return row_of(model, recipe, calibration, test) | counted


def recipe_of(text: str) -> Recipe:
    """A recipe by name, perhaps with a window: "phase:255"."""
    name, _, window = text.partition(":")
    return tp.recipes[name].with_window(int(window)) if window else tp.recipes[name]


def listener(width: int = 256) -> nn.Sequential:
    layers = [nn.Flatten(), nn.Linear(FRAMES * BANDS, width), nn.ReLU(), nn.Dropout(0.4), nn.Linear(width, width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Dropout(0.4), nn.Linear(width, 10))


def fitted_listener(parts: list[Tensor], digits: Tensor) -> nn.Module:
    """An MLP trained on recordings at three speeds, moved, masked and with noise, as the recurrent network of this set is."""
    torch.manual_seed(0)
    model, frames, labels = listener(), torch.cat(parts), digits.repeat(len(parts))
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, LISTENED * -(-len(frames) // 60))
    for _ in range(LISTENED):
        for rows in torch.randperm(len(frames)).split(60):
            optimiser.zero_grad()
            heard = model(disturbed(frames[rows], 4))
            nn.functional.cross_entropy(heard, labels[rows], label_smoothing=0.1).backward()
            optimiser.step()
            schedule.step()
    return model.eval()


def run_speech(speeds: list[float]) -> None:
    parts, digits, _ = training_part(Design())
    model = kept(OUT / "spoken_digits" / "mlp.safetensors", listener(), lambda: fitted_listener(parts, digits))
    own, test = parts[1], test_part(*speeds)
    rows = [row_of(model, recipe_of(name), own, test) for name in ("phase", "phase:255", *IN_WINDOWS[1:], "ttfs-exact")]
    for name in ("rate", "rate-basic"):
        rows += rate_rows(model, name, own, test)
    first = float(rows[0]["synops/MAC"])
    for row in rows:
        row["of phase"] = f"{float(row['synops/MAC']) / first:.1f} x"
    show(f"Spoken digits, MLP 960-256-256-10, {len(test[0])} test recordings", rows)
    keep(f"temporal-speech-{len(test[0])}", {"rows": rows})


def rate_rows(model: nn.Module, name: str, own: Tensor, test: tuple[Tensor, Tensor]) -> list[dict]:
    """What a rate code needs until it is as good as it gets, by each meaning of that."""
    network = tp.convert(model, own, name)
    report = tp.evaluate(model, network, test, RATE_STEPS)
    assert report.agreement is not None
    rows = []
    for words, steps in rate_steps(report, own_best=max(report.accuracy)).items():
        reached = tp.evaluate(model, network, test, steps).final
        at = {"recipe": f"{name}, {words} (T = {steps})", "accuracy %": f"{100 * report.accuracy[steps - 1]:.2f}"}
        at |= {"same as ANN %": f"{100 * report.agreement[steps - 1]:.2f}", "spikes/image": round(reached.spikes)}
        at |= {"spikes/neuron": f"{reached.spikes_per_neuron:.3f}"}
        rows.append(at | {"synops/MAC": f"{reached.synaptic_operations / report.ann_connections:.3f}"})
    return rows


def rate_steps(report: tp.Report, own_best: float) -> dict[str, int]:
    """Return when rate coding is as accurate as it ever is, stays as accurate as the ANN, and decides as often like it."""

    def stays(values: Sequence[float], least: float) -> int:
        return 1 + max((step for step, value in enumerate(values, 1) if value < least), default=0)

    best = 1 + next(step for step, accuracy in enumerate(report.accuracy) if accuracy == own_best)
    found = {"first at its best": best, "stays at the ANN's": stays(report.accuracy, 0.999 * report.reference_accuracy)}
    return found | {"stays at its decisions": stays(report.agreement, 0.999 * report.agreement[-1])}


def run_cifar(depth: int, images: int, names: list[str]) -> None:
    model, calibration = trained_resnet(depth, data_folder()), cifar10_train(1000)[0]
    test = cifar10_test(images)
    rows = []
    for name in names:
        rows.append(row_of(model, recipe_of(name), calibration, test))
        print(rows[-1], flush=True)
    show(f"ResNet-{depth}, {images} test images", rows)
    keep(f"temporal-resnet{depth}-{images}", {"rows": rows})


def run_whole(depth: int, images: int, names: list[str]) -> None:
    """Accuracies of the first test images and of all, without counting what they cost."""
    model, calibration = trained_resnet(depth, data_folder()), cifar10_train(1000)[0]
    x, y = cifar10_test(images)
    with torch.inference_mode():
        expected = torch.cat([model(part).argmax(1) for part in x.split(250)])
    rows = []
    for name in names:
        found = tp.simulate(tp.convert(model, calibration, recipe_of(name)), x).outputs[-1].argmax(1)
        for count in sorted({min(part, images) for part in (1000, 2000, images)}):
            hits = (expected == y, found == y, found == expected)
            exact, spiking, same = (100 * float(one[:count].double().mean()) for one in hits)
            row = {"recipe": name, "images": count, "ANN %": f"{exact:.2f}", "accuracy %": f"{spiking:.2f}"}
            rows.append(row | {"loss": f"{exact - spiking:.2f}", "same as ANN %": f"{same:.2f}"})
    show(f"ResNet-{depth}, decisions", rows)
    keep(f"temporal-whole{depth}-{images}", {"rows": rows})


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


def run_cost(depth: int, names: list[str]) -> None:
    """Processor time on one thread, all ways in turns: medians and least times, in those of the ANN in its faster layout."""
    torch.set_num_threads(1)
    model, calibration, x = trained_resnet(depth, data_folder()), cifar10_train(200)[0], cifar10_test(BATCH)[0]
    last = trained_resnet(depth, data_folder()).to(memory_format=torch.channels_last)
    x_last = x.contiguous(memory_format=torch.channels_last)
    networks = {name: tp.convert(model, calibration, recipe_of(name)) for name in names}
    ways: dict[str, Callable[[], object]] = {"ANN": lambda: model(x), "ANN, channels last": lambda: last(x_last)}
    ways |= {name: partial(tp.simulate, network, x) for name, network in networks.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    with torch.inference_mode():
        for turn in range(TURNS + 1):
            for name, call in ways.items():
                spent = clocked(call)
                times[name] += [spent] * (turn > 0)  # the first compiles
    ann = [min(summary(times["ANN"]), summary(times["ANN, channels last"])) for summary in (median, min)]
    found = {name: (median(times[name]) / ann[0], min(times[name]) / ann[1]) for name in names}
    rows = [{"recipe": name, "median / ANN": f"{a:.2f}", "least / ANN": f"{b:.2f}"} for name, (a, b) in found.items()]
    show(f"ResNet-{depth}, {BATCH} images, one thread, ANN {ann[0]:.1f} ms", rows)
    keep(f"temporal-cost{depth}", {"rows": rows, "ANN ms": ann})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("mnist", "speech", "cifar", "whole", "levels", "jitter", "cost"))
    parser.add_argument("--depth", type=int, default=20, choices=(20, 56))
    parser.add_argument("--images", type=int)
    parser.add_argument("--speeds", nargs="+", type=float, default=[1.0], help="Of speech: of the test recordings.")
    parser.add_argument(
        "--recipes", nargs="+", default=[*IN_WINDOWS, "ttfs-exact"], help="Of cifar and jitter; phase:63 is a window."
    )
    parser.add_argument("--figure", help="Write the picture to this .svg or .png file.")
    given = parser.parse_args()
    if given.what == "mnist":
        run_mnist(given.images or 10_000)
    elif given.what == "speech":
        run_speech(given.speeds)
    elif given.what == "cifar":
        run_cifar(given.depth, given.images or 2000, given.recipes)
    elif given.what == "whole":
        run_whole(given.depth, given.images or 10_000, given.recipes)
    elif given.what == "levels":
        run_levels(given.images or 1000, given.figure)
    elif given.what == "cost":
        run_cost(given.depth, given.recipes)
    else:
        run_jitter(given.images or 500, given.figure, given.recipes)
