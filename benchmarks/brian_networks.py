"""Converted networks in Brian2, an independent simulator: spike for spike on our clock, and with a finer one.

    python benchmarks/brian_networks.py --brian PYTHON [--images 16] [--steps 32] [--substeps 1 4 16]

An MLP (784-64-64-10) and a CNN with average pools on MNIST, trained here; recipe rate. PYTHON is an interpreter with Brian2 2.9
(pip install brian2==2.9.0 "numpy<2.4", in an environment of its own). With 1 tick per step every spike has to be the same; with
more, neurons fire when they reach their threshold. Needs TRANSPIKE_DATA.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

import transpike as tp
from datasets import mnist
from keeping import kept
from max_pool import trained
from models import averaging_cnn
from tables import OUT, keep, show


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def compared(title: str, model: nn.Module, interpreter: str, given: argparse.Namespace, rows: list[dict]) -> None:
    """Add a row for each layer and each clock."""
    samples, (images, labels) = mnist("train", 1000)[0], mnist("t10k", given.images)
    network = tp.convert(model, samples)
    with tempfile.TemporaryDirectory() as folder:
        written = tp.export.brian2(network, Path(folder) / "net.py", images, time_steps=given.steps)
        with np.load(written.arrays) as file:
            arrays = dict(file)
        for substeps in given.substeps:
            out = Path(folder) / f"{substeps}.npz"
            subprocess.run([interpreter, str(written.path), "--substeps", str(substeps), "--out", str(out)], check=True)
            with np.load(out) as file:
                result = dict(file)
            for number in (key.split("/")[1] for key in result if key.startswith("spikes/")):
                found, wanted = result[f"spikes/{number}"], arrays[f"expected/{number}"]
                row = {"network": title, "ticks per step": substeps, "layer": str(arrays[f"layer/{number}/name"])}
                row |= {
                    "spikes": int(found.sum()),
                    "ours": int(wanted.sum()),
                    "slots that differ": int((found != wanted).sum()),
                }
                off = found.sum(0) - wanted.astype(int).sum(0)
                rows.append(row | {"counts that differ": int((off != 0).sum()), "at most by": int(abs(off).max())})
            answer = torch.from_numpy(result["answer"]).argmax(1)
            ours = torch.from_numpy(arrays["expected/answer"]).argmax(1)
            rows[-1] |= {"right": f"{int((answer == labels).sum())}/{len(labels)}"}
            rows[-1] |= {"ours right": f"{int((ours == labels).sum())}", "Brian2": str(result["version"])}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brian", required=True, help="An interpreter that has Brian2.")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--substeps", type=int, nargs="+", default=[1, 4, 16])
    chosen = parser.parse_args()
    found: list[dict] = []
    OUT.mkdir(exist_ok=True)
    for title, make in (("MLP", mlp), ("CNN", averaging_cnn)):
        torch.manual_seed(0)
        path = OUT / f"averaging-{title.lower()}.safetensors"
        model = kept(path, make(), lambda make=make: trained(make(), *mnist("train", 10_000), 2))
        compared(title, model, chosen.brian, chosen, found)
    show(f"Brian2 and ours, {chosen.images} MNIST test images, {chosen.steps} steps", found)
    keep("brian_networks", {"images": chosen.images, "steps": chosen.steps, "rows": found})
