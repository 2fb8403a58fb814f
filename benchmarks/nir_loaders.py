"""What loaders of NIR make of a converted network: spike trains identical to ours, or not.

    python benchmarks/nir_loaders.py [--samples 16] [--steps 32] [--train 20000] [--only mnist]

A CNN with average pools on MNIST (trained here for a minute) and ResNet-20 on CIFAR-10, converted with exact arithmetic and
written as NIR. Each of sinabs, norse and snnTorch that is installed runs the file, once through the adapters of
`transpike.export` and once through its own loader as it is; the spikes of each layer are compared with those that the file
gives here. "slots" are neurons times steps times samples. Needs TRANSPIKE_DATA.

Measured with nir 1.0.8, nirtorch 2.6, sinabs 3.1.3, norse 1.1.0 and snntorch 1.0.0. They are in no extra: norse pulls
torchvision, which replaces torch, and sinabs asks for nir 1.0.4. Install them beside each other without what they depend on:
pip install --no-deps nirtorch==2.6 sinabs==3.1.3 norse==1.1.0 snntorch==1.0.0 pbr
"""

from __future__ import annotations

import argparse
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from torch import Tensor, nn

import transpike as tp
from datasets import cifar10_test, cifar10_train, data_folder, mnist
from max_pool import trained
from models import trained_resnet
from tables import keep, show
from transpike.export.checking import play, stimulus_of
from transpike.export.elsewhere import Outcome, compatibility
from transpike.neurons import Neuron

PROFILES = (tp.export.Portable(currents=True), tp.export.Portable(), tp.export.Compact(currents=True))


def average_cnn() -> nn.Sequential:
    """Two convolutions of 5 x 5 with average pools and two linear layers, for images of 28 x 28."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * 49, 128), nn.ReLU(), nn.Linear(128, 10)),
    )


def cells(outcome: Outcome) -> dict[str, str]:
    """The cells of one way to run a file."""
    layers = "-" if outcome.of is None else f"{outcome.layers}/{outcome.of}"
    counts = ["-" if count is None else f"{count:,}" for count in (outcome.spikes, outcome.differing)]
    return {"layers": layers, "spikes": counts[0], "slots that differ": counts[1], "outcome": outcome.outcome}


def rows(title: str, network: tp.Network, samples: Tensor, steps: int) -> list[dict[str, str]]:
    """Write a network in each profile and run each loader on it."""
    table = []
    for profile in PROFILES:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.nir"
            written = tp.export.nir(network, path, samples, profile=profile, time_steps=steps)
            form = profile.form(network)
            stimulus = stimulus_of(form, samples, steps)
            names = [node.name for node in form.network.having(Neuron)]
            played = play(tp.load_nir(path), stimulus, names)
            ours = [played.spikes[name] for name in names]
            name = f"{profile.name}{', currents' if profile.currents else ''}"
            base = {"network": title, "profile": name}
            spikes = sum(int(train.sum()) for train in ours)
            words = "identical" if written.identical else f"{written.differing_trains:,} of {written.trains:,} trains differ"
            own = {"layers": f"{len(ours)}/{len(ours)}", "spikes": f"{spikes:,}", "slots that differ": f"{written.differing:,}"}
            table.append({**base, "run by": "ours, against the converted network", **own, "outcome": words})
            for outcome in compatibility(path, stimulus):
                loader = f"{outcome.program}, {outcome.way}"
                if profile.name == "portable" or outcome.way != "adapter":
                    table.append({**base, "run by": loader, **cells(outcome)})
    return table


def networks(only: str | None, train: int, samples: int):
    """Each network with samples that it was not calibrated on."""
    if only in {None, "mnist"}:
        images, labels = mnist("train", train)
        model = trained(average_cnn(), images, labels, 2)
        yield "MNIST CNN", tp.convert(model, images[:1000], exact=True), mnist("t10k", samples)[0]
        zero = tp.convert(model, images[:1000], "reset-to-zero", exact=True)
        yield "MNIST CNN, reset to zero", zero, mnist("t10k", samples)[0]
    if only in {None, "resnet"}:
        model = trained_resnet(20, data_folder())
        yield "ResNet-20", tp.convert(model, cifar10_train(1000)[0], exact=True), cifar10_test(samples)[0]


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--train", type=int, default=20_000)
    parser.add_argument("--only", choices=["mnist", "resnet"])
    chosen = parser.parse_args()
    found = []
    for title, network, samples in networks(chosen.only, chosen.train, chosen.samples):
        found += rows(title, network, samples, chosen.steps)
    versions = {name: installed(name) for name in ("nir", "nirtorch", "sinabs", "norse", "snntorch", "torch")}
    show(f"{chosen.steps} steps, {chosen.samples} samples, {versions}", found)
    keep("nir_loaders", {"versions": versions, "steps": chosen.steps, "samples": chosen.samples, "rows": found})
