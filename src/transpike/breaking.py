"""What the command line does with faults: put them on saved networks, and show what networks bear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from transpike.analysis import Tolerance, faulty, tolerance
from transpike.calibration import Watch, unwatched
from transpike.datasets import TEST
from transpike.errors import ArgumentError
from transpike.files import write_text
from transpike.jobs import STEPS, DataChoice, playing
from transpike.network import Network
from transpike.network.archive import load, save
from transpike.network.turns import steps_for
from transpike.passes import FAULT_PASSES
from transpike.preparation import Preparation
from transpike.report import accuracy_against_faults, save_figure

CURVE = "faults"


def break_network(network: str | Path, levels: Mapping[str, float], seed: int, out: str | Path) -> Network:
    """Put faults of some levels, by name, on a saved network, and save it in the folder `out`; see `transpike.faulty`."""
    if not levels:
        options = ", ".join(f"--{name}" for name in FAULT_PASSES)
        raise ArgumentError(f"Name at least one fault: {options}.")
    found = faulty(load(network), *[kind(levels[name], seed) for name, kind in FAULT_PASSES.items() if name in levels])
    preparation = Preparation.load(network)
    save(found, out)
    preparation.save(out)
    return found


def bear(
    network: str | Path,
    data: DataChoice,
    fault: str,
    levels: Sequence[float],
    *,
    draws: int,
    time_steps: int | None,
    out: str | Path | None,
    watch: Watch = unwatched,
) -> Tolerance:
    """Return what a saved network bears, and write `faults.json` and its picture into the folder `out`, if one is given."""
    loaded, samples = playing(network, data, TEST, time_steps)
    steps = steps_for(loaded, time_steps, STEPS)
    advance = watch(f"Simulating {steps} steps", 0)
    found = tolerance(loaded, samples, fault, levels, draws=draws, time_steps=steps, progress=advance)
    if out is not None:
        write_text(Path(out) / f"{CURVE}.json", found.to_json())
        for suffix in (".svg", ".png"):
            save_figure(accuracy_against_faults(found), Path(out) / f"{CURVE}{suffix}")
    return found
