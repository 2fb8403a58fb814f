"""Train the U-Net on generated pictures, in a few minutes.

python examples/segmentation/train.py --out segmentation-out
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from shapes import pictures
from unet import UNet

RATE = 5e-3


def train(steps: int, batch: int, *, seed: int = 0, report: int = 100) -> UNet:
    """Return a U-Net trained on as many batches, each of new pictures."""
    torch.manual_seed(seed)
    model = UNet().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for step in range(steps):
        images, maps = pictures(batch, seed=1000 + step)
        loss = nn.functional.cross_entropy(model(images.contiguous(memory_format=torch.channels_last)), maps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % report == 0:
            print(f"step {step + 1} of {steps}: loss {loss.item():.3f}", flush=True)
    return model.eval()


def main() -> None:
    """Read the command line, train and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("segmentation-out"))
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--batch", type=int, default=16, help="pictures of a step")
    chosen = parser.parse_args()
    model = train(chosen.steps, chosen.batch)
    chosen.out.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, chosen.out / "model.safetensors")
    print(f"Written: {chosen.out / 'model.safetensors'}")


if __name__ == "__main__":
    main()
