"""The network of `transpike demo`: a small CNN with batch norm, max-pool and a residual block, trained on digits."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transpike.data import Batch

EPOCHS = 20
BATCH = 64


class Residual(nn.Module):
    """Two convolutions and a skip connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(x + f(x))."""
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + x)


class DigitNet(nn.Module):
    """Digits [batch, 1, 8, 8] in 0 .. 1 to scores [batch, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.block = Residual(16)
        self.pool = nn.MaxPool2d(2)
        self.conv = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.classifier = nn.Linear(32 * 2 * 2, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores."""
        x = self.pool(self.block(self.stem(x)))
        x = self.pool(self.conv(x))
        scores: Tensor = self.classifier(x.flatten(1))
        return scores


def train(data: Batch, progress: Callable[[int], None] | None = None, seed: int = 0) -> nn.Module:
    """Return a DigitNet trained on `data`; `progress` is called after each epoch."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, images, labels = DigitNet(), data.inputs[0], data.labels
        assert labels is not None
        optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(images)).split(BATCH):
                optimiser.zero_grad()
                F.cross_entropy(model(images[rows]), labels[rows]).backward()
                optimiser.step()
            schedule.step()
            if progress is not None:
                progress(1)
    return model.eval()
