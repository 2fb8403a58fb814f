"""What other programs make of a NIR file: run with each that is installed, by the adapter here and by its own loader."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from transpike.errors import ExportError
from transpike.export.adapters import to_norse, to_sinabs, to_snntorch
from transpike.export.checking import play
from transpike.export.reading import load_nir
from transpike.neurons import Neuron

PROGRAMS = ("sinabs", "norse", "snntorch")
FIRING = {"IAFSqueeze", "IAFCell", "Exact", "Leaky"}  # modules that fire
Trains = list[Tensor]
Run = Callable[[Tensor], Trains]


@dataclass(frozen=True)
class Outcome:
    """What one way to run a file gave: "identical", "different", "not installed", or the error in a line.

    `layers` of `of` send the same spikes as here, all send `spikes`, and `differing` slots (of neuron, sample, step) differ.
    """

    program: str
    version: str | None
    way: str  # "adapter" or "its own loader"
    outcome: str
    layers: int | None = None
    of: int | None = None
    spikes: int | None = None
    differing: int | None = None


class Watch:
    """What each firing module of a network sends, in the order in which they were called first."""

    def __init__(self, module: nn.Module) -> None:
        self.sent: dict[nn.Module, Trains] = {}
        for part in module.modules():
            if type(part).__name__ in FIRING:
                part.register_forward_hook(self.note)

    def note(self, module: nn.Module, _: object, out: Any) -> None:
        """Keep what a module sends."""
        spikes = out[0] if isinstance(out, tuple) else out
        self.sent.setdefault(module, []).append(spikes.detach().cpu())

    def stepped(self) -> Trains:
        """Return trains [time, batch, ...] of networks that were called once per step."""
        return [torch.stack(train) for train in self.sent.values()]

    def folded(self, samples: int) -> Trains:
        """Return the same of networks that were called once, with time in the batch."""
        trains = [train[0] for train in self.sent.values()]
        return [train.reshape(samples, -1, *train.shape[1:]).transpose(0, 1) for train in trains]


def compatibility(path: str | Path, stimulus: Tensor | None = None) -> tuple[Outcome, ...]:
    """Run a NIR file with each program that is installed, and compare its spikes with those that the file gives here.

    `stimulus` [time, batch, ...] enters step by step; without it that which `nir` wrote beside the file does. Each program runs
    the file through the adapter of `transpike.export` and through its own loader as it is. Raises ExportError if there is no
    stimulus.
    """
    path = Path(path)
    frames = stimulus_beside(path) if stimulus is None else stimulus
    network = load_nir(path)
    names = [node.name for node in network.having(Neuron)]
    played = play(network, frames, names)
    ours = [played.spikes[name] for name in names]
    found = []
    for program in PROGRAMS:
        installed = version_of(program)
        for way, run in ways(program, path, frames.shape[1]).items():
            if installed is None:
                found.append(Outcome(program, None, way, "not installed"))
            else:
                found.append(judged(program, installed, way, quietly(run, frames), ours))
    return tuple(found)


def stimulus_beside(path: Path) -> Tensor:
    """Return the stimulus that `nir` wrote beside a file."""
    beside = path.with_name(f"{path.stem}.stimulus.npz")
    try:
        with np.load(beside, allow_pickle=False) as file:
            return torch.from_numpy(file["stimulus"])
    except (OSError, KeyError, ValueError) as error:
        raise ExportError(f"{beside} holds no stimulus ({error}): export the network again, or give stimulus=.") from None


def version_of(program: str) -> str | None:
    """Return the version of a program, None if it is not installed."""
    try:
        return version(program)
    except PackageNotFoundError:
        return None


def ways(program: str, path: Path, samples: int) -> Mapping[str, Run]:
    """Return how a program runs a file."""
    own: dict[str, Run] = {
        "sinabs": partial(stock_sinabs, path, samples),
        "norse": partial(stock_norse, path),
        "snntorch": partial(stock_snntorch, path),
    }
    adapted: dict[str, Run] = {
        "sinabs": lambda x: called_once(to_sinabs(path, batch_size=samples), x),
        "norse": lambda x: called_each_step(to_norse(path), x, state=True),
        "snntorch": lambda x: called_each_step(to_snntorch(path), x, state=False),
    }
    return {"adapter": adapted[program], "its own loader": own[program]}


def stock_sinabs(path: Path, samples: int, x: Tensor) -> Trains:
    """Run a file with the loader of sinabs."""
    nir, loader = import_module("nir"), import_module("sinabs.nir")
    return called_once(loader.from_nir(nir.read(path), batch_size=samples), x)


def stock_norse(path: Path, x: Tensor) -> Trains:
    """Run a file with the loader of norse."""
    nir, loader = import_module("nir"), import_module("norse.torch.utils.import_nir")
    return alone(lambda: loader.from_nir(nir.read(path)), x)


def stock_snntorch(path: Path, x: Tensor) -> Trains:
    """Run a file with the loader of snnTorch."""
    nir, loader = import_module("nir"), import_module("snntorch.import_nir")
    return alone(lambda: loader.import_from_nir(nir.read(path)), x)


def called_once(module: nn.Module, stimulus: Tensor) -> Trains:
    """Run a network that takes all steps at once, time in the batch."""
    watch = Watch(module)
    module(stimulus.transpose(0, 1).flatten(0, 1))
    return watch.folded(stimulus.shape[1])


def called_each_step(module: nn.Module, stimulus: Tensor, *, state: bool) -> Trains:
    """Run a network step by step; with `state` it is handed its own."""
    watch, held = Watch(module), None
    for frame in stimulus:
        out = module(frame, held) if state else module(frame)
        held = out[1] if state else None
    return watch.stepped()


def alone(make: Callable[[], nn.Module], stimulus: Tensor) -> Trains:
    """Run loaders whose Flatten counts the batch: one sample at a time, without a batch axis."""
    parts = [called_each_step(make(), stimulus[:, index], state=True) for index in range(stimulus.shape[1])]
    return [torch.cat([train[:, None] for train in trains], 1) for trains in zip(*parts, strict=True)]


def quietly(run: Run, stimulus: Tensor) -> Trains | str:
    """Return the trains that a way to run a file gives, or its error in a line."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return run(stimulus)
    except Exception as error:  # noqa: BLE001 - what a loader raises is its row of the table
        return f"{type(error).__name__}: {(str(error) or 'no message').strip().splitlines()[0][:90]}"
    finally:
        logging.disable(logging.NOTSET)


def judged(program: str, installed: str, way: str, found: Trains | str, ours: Trains) -> Outcome:
    """Return how trains differ from ours."""
    if isinstance(found, str):
        return Outcome(program, installed, way, found)
    if len(found) != len(ours) or any(a.shape != b.shape for a, b in zip(found, ours, strict=True)):
        return Outcome(program, installed, way, "not the layers of the file", len(found), len(ours))
    pairs = list(zip(found, ours, strict=True))
    same = sum(torch.equal(a, b.to(a.dtype)) for a, b in pairs)
    differing = sum(int((a != b).sum()) for a, b in pairs)
    spikes = int(sum(float(train.sum()) for train in found))
    words = "identical" if same == len(ours) else "different"
    return Outcome(program, installed, way, words, same, len(ours), spikes, differing)
