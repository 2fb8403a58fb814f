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
import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import Tensor, nn

import transpike as tp
from datasets import cifar10_test, cifar10_train, data_folder, mnist
from max_pool import trained
from models import trained_resnet
from tables import keep, show
from transpike.export.checking import play, stimulus_of
from transpike.neurons import Neuron

FIRING = {"IAFSqueeze", "IAFCell", "Exact", "Leaky"}  # modules that fire
PROFILES = (tp.export.Portable(currents=True), tp.export.Portable(), tp.export.Compact(currents=True))


def average_cnn() -> nn.Sequential:
    """Two convolutions of 5 x 5 with average pools and two linear layers, for images of 28 x 28."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * 49, 128), nn.ReLU(), nn.Linear(128, 10)),
    )


class Watch:
    """What each firing module of a network sends, in the order in which they were called first."""

    def __init__(self, module: nn.Module) -> None:
        self.sent: dict[nn.Module, list[Tensor]] = {}
        for part in module.modules():
            if type(part).__name__ in FIRING:
                part.register_forward_hook(self.note)

    def note(self, module: nn.Module, _: object, out: object) -> None:
        spikes = out[0] if isinstance(out, tuple) else out
        self.sent.setdefault(module, []).append(spikes.detach().cpu())

    def stepped(self) -> list[Tensor]:
        """Trains [time, batch, ...] of networks that were called once per step."""
        return [torch.stack(train) for train in self.sent.values()]

    def folded(self, samples: int) -> list[Tensor]:
        """The same of networks that were called once, with time in the batch."""
        trains = [train[0] for train in self.sent.values()]
        return [train.reshape(samples, -1, *train.shape[1:]).transpose(0, 1) for train in trains]


def called_once(module: nn.Module, stimulus: Tensor) -> list[Tensor]:
    watch = Watch(module)
    module(stimulus.transpose(0, 1).flatten(0, 1))
    return watch.folded(stimulus.shape[1])


def called_each_step(module: nn.Module, stimulus: Tensor, *, state: bool) -> list[Tensor]:
    watch, held = Watch(module), None
    for frame in stimulus:
        out = module(frame, held) if state else module(frame)
        held = out[1] if state else None
    return watch.stepped()


def alone(make: Callable[[], nn.Module], stimulus: Tensor, *, unbatched: bool) -> list[Tensor]:
    """Run loaders whose Flatten counts the batch one sample at a time: without a batch axis, or with one of 1."""
    parts = []
    for index in range(stimulus.shape[1]):
        sample = stimulus[:, index] if unbatched else stimulus[:, index : index + 1]
        trains = called_each_step(make(), sample, state=True)
        parts.append([train[:, None] if unbatched else train for train in trains])
    return [torch.cat(trains, 1) for trains in zip(*parts, strict=True)]


def loaders(path: Path, samples: int) -> dict[str, Callable[[Tensor], list[Tensor]]]:
    """How each loader runs a file."""
    import nir

    def stock_sinabs(x: Tensor) -> list[Tensor]:
        import sinabs.nir

        return called_once(sinabs.nir.from_nir(nir.read(path), batch_size=samples), x)

    def stock_norse(x: Tensor) -> list[Tensor]:
        from norse.torch.utils.import_nir import from_nir

        return alone(lambda: from_nir(nir.read(path)), x, unbatched=True)

    def stock_snntorch(x: Tensor) -> list[Tensor]:
        from snntorch.import_nir import import_from_nir

        return alone(lambda: import_from_nir(nir.read(path)), x, unbatched=True)

    return {
        "sinabs, adapter": lambda x: called_once(tp.export.to_sinabs(path, batch_size=samples), x),
        "norse, adapter": lambda x: called_each_step(tp.export.to_norse(path), x, state=True),
        "snntorch, adapter": lambda x: called_each_step(tp.export.to_snntorch(path), x, state=False),
        "sinabs, its own": stock_sinabs,
        "norse, its own": stock_norse,
        "snntorch, its own": stock_snntorch,
    }


def quietly(run: Callable[[Tensor], list[Tensor]], stimulus: Tensor) -> list[Tensor] | str:
    """Return the trains that a loader gives, or its error in a line."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return run(stimulus)
    except Exception as error:  # noqa: BLE001 - what a loader raises is its row of the table
        return f"{type(error).__name__}: {(str(error) or 'no message').strip().splitlines()[0][:90]}"
    finally:
        logging.disable(logging.NOTSET)


def verdict(found: list[Tensor] | str, ours: list[Tensor]) -> dict[str, str]:
    """Say how trains differ from ours."""
    if isinstance(found, str):
        return {"layers": "-", "spikes": "-", "slots that differ": "-", "outcome": found}
    if len(found) != len(ours) or any(a.shape != b.shape for a, b in zip(found, ours, strict=True)):
        return {
            "layers": str(len(found)),
            "spikes": "-",
            "slots that differ": "-",
            "outcome": "not the layers of the file",
        }
    same = sum(torch.equal(a, b.to(a.dtype)) for a, b in zip(found, ours, strict=True))
    differing = sum(int((a != b).sum()) for a, b in zip(found, ours, strict=True))
    spikes = sum(float(train.sum()) for train in found)
    words = "identical" if same == len(ours) else "different"
    return {
        "layers": f"{same}/{len(ours)}",
        "spikes": f"{spikes:,.0f}",
        "slots that differ": f"{differing:,}",
        "outcome": words,
    }


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
            for loader, run in loaders(path, len(samples)).items():
                if profile.name == "portable" or "own" in loader:
                    table.append({**base, "run by": loader, **verdict(quietly(run, stimulus), ours)})
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
