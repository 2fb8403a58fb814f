"""A convolutional recurrent network that recognises spoken digits, trained here.

    python benchmarks/spoken_digits.py train        # half a minute; again: the same weights
    python benchmarks/spoken_digits.py choose       # accuracy of some designs on training recordings that they did not see
    python benchmarks/spoken_digits.py convert [--recipes population-normal:10000]    # as spikes: accuracy, decisions, spikes
    python benchmarks/spoken_digits.py convert --curve    # the same network trained with the curve of normal populations

40 frames of 24 log-mel energies in [0, 1], one every 20 ms -> two convolutions over frames with ReLU -> GRU -> mean of its
outputs -> 10 classes. Free Spoken Digit Dataset, six speakers; recordings 0 to 4 of each digit and speaker are the test part, 5
to 9 the training part, as its authors have it. Needs TRANSPIKE_DATA. Design and settings were chosen on the training part only:
each recording number was held out in turn.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass

import numpy as np
import torch
from scipy.signal import resample
from torch import Tensor, nn
from torch.nn import functional as F

from datasets import data_folder
from keeping import RECIPES, Data, accuracy, conversions, exported, kept, layers_of, weights_in
from tables import OUT, keep, show
from transpike.training import prepare_populations

RATE, WINDOW, HOP = 8000, 256, 160
FRAMES, BANDS = 40, 24
DECADES = 4.0  # energies below the loudest by more are silence


@dataclass(frozen=True)
class Design:
    """The network and how it is trained."""

    channels: int = 48
    hidden: int = 48
    last: bool = False
    dropout: float = 0.3
    epochs: int = 40
    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)
    masked: int = 0
    rate: float = 4e-3
    curve: bool = False  # of normally distributed thresholds, in place of sigmoid and tanh


class DigitListener(nn.Module):
    """Two convolutions over frames with ReLU, a GRU at half the rate of frames, and a linear layer."""

    def __init__(self, design: Design):
        super().__init__()
        channels = design.channels
        self.convolutions = nn.Sequential(
            *(nn.Conv1d(BANDS, channels, 3, padding=1), nn.BatchNorm1d(channels), nn.ReLU(), nn.Dropout(design.dropout)),
            *(nn.Conv1d(channels, channels, 3, 2, 1), nn.BatchNorm1d(channels), nn.ReLU(), nn.Dropout(design.dropout)),
        )
        self.gru = nn.GRU(channels, design.hidden, batch_first=True)
        self.dropout = nn.Dropout(design.dropout)
        self.linear = nn.Linear(design.hidden, 10)
        self.last = design.last

    def forward(self, frames: Tensor) -> Tensor:
        """Classify [batch, frames, bands]."""
        outputs = self.gru(self.convolutions(frames.transpose(1, 2)).transpose(1, 2))[0]
        return self.linear(self.dropout(outputs[:, -1] if self.last else outputs.mean(1)))


def designed(design: Design) -> nn.Module:
    """Return the network of a design."""
    model = DigitListener(design)
    return prepare_populations(model) if design.curve else model


def mel_bands() -> np.ndarray:
    """Overlapping triangles [bands, frequencies], evenly spaced in mel from 60 Hz to 4 kHz."""
    low, high = 2595 * np.log10(1 + np.array([60, RATE / 2]) / 700)
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    frequencies = np.arange(WINDOW // 2 + 1) * RATE / WINDOW
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    return np.clip(np.minimum((frequencies - low) / (middle - low), (high - frequencies) / (high - middle)), 0, None)


def features(audio: np.ndarray) -> np.ndarray:
    """Energies [frames, bands] on a logarithmic scale: the loudest is 1, silence 0; padded with silence or cut at the end."""
    length = (FRAMES - 1) * HOP + WINDOW
    padded = np.pad(audio[:length].astype(np.float64), (0, max(0, length - len(audio))))
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    energies = np.abs(np.fft.rfft(windows * np.hamming(WINDOW))) ** 2 @ mel_bands().T
    scaled = 1 + np.log10(np.maximum(energies / energies.max(), 10**-DECADES)) / DECADES
    return scaled.astype(np.float32)


def recordings() -> tuple[list[np.ndarray], Tensor, Tensor]:
    """All recordings, their digits and their numbers 0 to 9."""
    with np.load(data_folder() / "speech" / "fsdd_600.npz") as file:
        audio = np.split(file["audio"], file["offsets"][1:-1])
        return audio, torch.from_numpy(file["y"]), torch.from_numpy(file["index"])


def at_speed(audio: list[np.ndarray], speed: float) -> Tensor:
    """Features of the recordings played at another speed."""
    played = audio if speed == 1 else [resample(one, round(len(one) / speed)) for one in audio]
    return torch.from_numpy(np.stack([features(one) for one in played]))


def disturbed(frames: Tensor, masked: int) -> Tensor:
    """Start each recording up to 4 frames later, blank some bands and frames, and add a little noise."""
    batch = len(frames)
    later = torch.randint(0, 5, (batch, 1))
    places = torch.arange(FRAMES) - later
    moved = frames.gather(1, places.clamp(min=0)[..., None].expand_as(frames)) * (places >= 0)[..., None]
    for axis, size in ((1, FRAMES), (2, BANDS)):
        start, width = torch.randint(0, size, (batch, 1)), torch.randint(0, masked + 1, (batch, 1))
        blank = (torch.arange(size) >= start) & (torch.arange(size) < start + width)
        moved = moved.masked_fill(blank.unsqueeze(3 - axis), 0.0)
    return (moved + 0.03 * torch.randn(moved.shape)).clamp(0, 1)


def fitted(parts: list[Tensor], labels: Tensor, design: Design, seed: int = 0) -> nn.Module:
    """Train a network on recordings at several speeds."""
    torch.manual_seed(seed)
    model = designed(design).train()
    frames, labels = torch.cat(parts), labels.repeat(len(parts))
    optimiser = torch.optim.AdamW(model.parameters(), design.rate, weight_decay=0.01)
    steps = design.epochs * (len(frames) // 30)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, design.rate, steps)
    for _ in range(design.epochs):
        for rows in torch.randperm(len(frames)).split(30):
            optimiser.zero_grad()
            F.cross_entropy(model(disturbed(frames[rows], design.masked)), labels[rows]).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
    return model.eval()


def training_part(design: Design) -> tuple[list[Tensor], Tensor, Tensor]:
    """Features of the training recordings at each speed, their digits, and their numbers."""
    audio, digits, numbers = recordings()
    rows = (numbers >= 5).nonzero()[:, 0]
    return [at_speed([audio[row] for row in rows], speed) for speed in design.speeds], digits[rows], numbers[rows]


def test_part(*speeds: float) -> Data:
    """Features of the test recordings, played at each speed, and their digits."""
    audio, labels, numbers = recordings()
    rows = (numbers < 5).nonzero()[:, 0]
    played = [at_speed([audio[row] for row in rows], speed) for speed in speeds]
    return torch.cat(played), labels[rows].repeat(len(speeds))


def spoken_digits(design: Design, *, anew: bool = False) -> tuple[nn.Module, Data, Data]:
    """The trained model, the training recordings at their own speed and the test recordings."""
    parts, digits, _ = training_part(design)
    path = OUT / "spoken_digits" / f"gru{'-curve' * design.curve}.safetensors"
    model = kept(path, designed(design), lambda: fitted(parts, digits, design), anew=anew)
    return model, (parts[design.speeds.index(1.0)], digits), test_part(1.0)


def held_out(design: Design) -> list[float]:
    """Say how accurate networks are on each number of training recordings, trained on the other four."""
    parts, digits, numbers = training_part(design)
    own, accuracies = parts[design.speeds.index(1.0)], []
    for number in range(5, 10):
        known, unseen = numbers != number, numbers == number
        model = fitted([part[known] for part in parts], digits[known], design)
        accuracies.append(accuracy(model, (own[unseen], digits[unseen])))
    return accuracies


CHANGES: dict[str, dict] = {
    "chosen": {},
    "last output": {"last": True},
    "half as wide": {"channels": 24, "hidden": 24},
    "own speed only": {"speeds": (1.0,), "epochs": 120},
    "masks up to 4 wide": {"masked": 4},
    "masks up to 2 wide": {"masked": 2},
}


def choose() -> None:
    """Compare designs on the training part."""
    rows = []
    for name, change in CHANGES.items():
        accuracies = held_out(Design(**change))
        row = {"design": name, **{f"recording {5 + i}": f"{value:.1f}" for i, value in enumerate(accuracies)}}
        rows.append(row | {"mean %": f"{np.mean(accuracies):.1f}"})
        print(rows[-1], flush=True)
    show("Spoken digits, each number of training recordings after training on the other four, accuracy %", rows)
    keep("spoken_digits-choice", {"rows": rows, "changes": CHANGES})


def train() -> None:
    """Train the network, and say how accurate it is."""
    model, training, test = spoken_digits(Design(), anew=True)
    row = {"model": "convolutions and GRU", "weights": weights_in(model)}
    row |= {"train %": f"{accuracy(model, training):.2f}", "test %": f"{accuracy(model, test):.2f}"}
    show(f"Spoken digits, {len(test[0])} test recordings", [row])
    about = {"design": asdict(Design()), "layers": layers_of(model), "operators": exported(model, test[0])}
    keep("spoken_digits", {"rows": [row], **about})


def convert(recipes: list[str], *, curve: bool) -> None:
    """Convert the network, and say what that costs on the test recordings."""
    title, trained = "Spoken digits, trained with the curve" if curve else "Spoken digits", spoken_digits(Design(curve=curve))
    keep(f"spoken_digits-converted{'-curve' * curve}", {"rows": conversions(title, *trained, recipes)})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "choose", "convert"))
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    parser.add_argument("--curve", action="store_true", help="Of convert: train with the curve of normal populations.")
    given = parser.parse_args()
    {"train": train, "choose": choose, "convert": lambda: convert(given.recipes, curve=given.curve)}[given.what]()
