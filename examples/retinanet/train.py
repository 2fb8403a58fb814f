"""Train the detector on digits scattered over canvases, or on blood cells; goes on where it stopped.

TRANSPIKE_DATA=... python examples/retinanet/train.py --out retinanet-out --minutes 15
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from detector import SIZES, RetinaNet, sized
from focal import loss
from sources import SOURCES, Source

RATE = 2e-3
DECAY = 1e-4


def learning_rate(done: float) -> float:
    """Return the share of the largest rate after a share of the training: a short rise, then a straight fall."""
    return min(1.0, done / 0.05 + 0.02) * (1 - done) + 1e-3


def train(out: Path, *, data: str, size: str, steps: int, batch: int, minutes: float, per_block: int, seed: int = 0) -> bool:
    """Train until all `steps` are done or the time is up; every `per_block` steps the state is written. True when done."""
    torch.manual_seed(seed)
    source = SOURCES[data](SIZES[size]["shrink"])
    model = fitting(source, size).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=DECAY)
    done = resume(out, data, model, optimizer)
    until = time.monotonic() + 60 * minutes
    model.train()
    while done < steps and time.monotonic() < until:
        pictures, targets = source.training(per_block * batch, done)
        total = 0.0
        for first in range(0, len(pictures), batch):
            for group in optimizer.param_groups:
                group["lr"] = RATE * learning_rate(done / steps)
            x = pictures[first : first + batch].contiguous(memory_format=torch.channels_last)
            value = loss(model(x), targets[first : first + batch], source.anchors, len(source.names))
            optimizer.zero_grad()
            value.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            total += value.item()
            done += 1
        keep(out, data, model, optimizer, done)
        print(f"step {done} of {steps}: loss {total / per_block:.3f}", flush=True)
    if done >= steps:
        save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, out / "model.safetensors")
    return done >= steps


def keep(out: Path, data: str, model: RetinaNet, optimizer: torch.optim.Optimizer, done: int) -> None:
    """Write the state of the training, whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    new = out / "state.new"
    torch.save({"data": data, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "done": done}, new)
    new.replace(out / "state.pt")


def resume(out: Path, data: str, model: RetinaNet, optimizer: torch.optim.Optimizer) -> int:
    """Read the state of an earlier training, if there is one, and return how many steps it did."""
    if not (out / "state.pt").exists():
        return 0
    state = torch.load(out / "state.pt", weights_only=True)
    if state["data"] != data:
        sys.exit(f"{out} holds a training on {state['data']}: give another folder with --out for {data}.")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["done"])


def fitting(source: Source, size: str) -> RetinaNet:
    """Return an untrained detector for the pictures of a source."""
    return sized(size, classes=len(source.names), anchors=source.anchors.per_place, colours=source.channels)


def trained(weights: Path, source: Source, size: str = "small") -> RetinaNet:
    """Return the trained detector, ready to be converted."""
    model = fitting(source, size)
    model.load_state_dict(load_file(weights))
    return model.eval()


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("retinanet-out"))
    parser.add_argument("--data", choices=SOURCES, default="digits")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--steps", type=int, default=1100)
    parser.add_argument("--batch", type=int, default=16, help="pictures of a step")
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after so long; run again to go on")
    parser.add_argument("--per-block", type=int, default=100, help="steps between two states on disk")
    chosen = parser.parse_args()
    done = train(**vars(chosen))
    print(f"Written: {chosen.out / 'model.safetensors'}" if done else "Time is up: run the same command again to go on.")


if __name__ == "__main__":
    main()
