"""What the command line does with files of other programs, as functions of plain values."""

from __future__ import annotations

from pathlib import Path

from transpike.data import Batch
from transpike.datasets import TEST
from transpike.errors import choose
from transpike.export import PROFILES, Outcome, Written, WrittenBrian, brian2, compatibility, load_nir, nir
from transpike.jobs import DataChoice
from transpike.network import Network
from transpike.network.archive import load, save
from transpike.preparation import Preparation


def export_nir(
    network: str | Path,
    path: str | Path,
    data: DataChoice | None = None,
    *,
    profile: str = "portable",
    currents: bool = False,
    time_steps: int = 32,
) -> Written:
    """Write a saved network as a NIR file with a stimulus made of test samples, and check it; see `transpike.export.nir`."""
    chosen = PROFILES[choose("profile", profile, PROFILES)](currents=currents)
    samples = None if data is None else Batch(data.load(TEST, Preparation.load(network)).whole().inputs)
    return nir(load(network), path, samples, profile=chosen, time_steps=time_steps)


def run_elsewhere(path: str | Path) -> tuple[Outcome, ...]:
    """Run a NIR file with the other programs that are installed; see `transpike.export.compatibility`."""
    return compatibility(path)


def export_brian2(
    network: str | Path, path: str | Path, data: DataChoice | None = None, *, time_steps: int = 32
) -> WrittenBrian:
    """Write a saved network as a Brian2 script, with test samples as its stimulus; see `transpike.export.brian2`."""
    samples = None if data is None else Batch(data.load(TEST, Preparation.load(network)).whole().inputs)
    return brian2(load(network), path, samples, time_steps=time_steps)


def import_nir(path: str | Path, out: str | Path, *, reset: str, time_step: float) -> Network:
    """Read a NIR file and save the network in the folder `out`; see `transpike.load_nir`."""
    network = load_nir(path, reset=reset, time_step=time_step)
    save(network, out)
    return network
