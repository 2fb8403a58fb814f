"""A small network that tells imagined movements of the left from the right hand in three EEG channels, trained here.

    python benchmarks/motor_imagery.py choose       # accuracy on each of sessions 1 to 3 after training on the other two
    python benchmarks/motor_imagery.py train        # train on sessions 1 to 3; accuracy on sessions 4 and 5

0.5 to 3.5 s after the cue at 250 Hz, each channel divided by its standard deviation in training -> band-pass convolutions,
batch norm, ReLU and average pool (the amplitude in a band) -> 16 hidden channels with ReLU -> mean over time -> 2 classes. One
design for both subjects, one seed; the designs that `choose` compares are no further apart than chance explains. No layer looks
ahead: a window of 0.73 s gives a score, the next comes 96 ms later, and the answer is the mean of the scores so far. BCI
Competition IV 2b, subjects 1 and 4; sessions 4 and 5 had no part in any choice. Needs TRANSPIKE_DATA.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datasets import data_folder
from keeping import Data, accuracy, exported, kept, layers_of, weights_in
from tables import OUT, keep, show

RATE = 250
START, LENGTH = RATE // 2, 3 * RATE
SUBJECTS = (1, 4)
BAND_POWERS = {1: 67.1, 4: 94.6}  # accuracy of a linear classifier on band powers, on sessions 4 and 5
BANDS = (8.0, 10.0, 12.0, 14.0, 18.0, 22.0, 26.0)  # where the filters of the first layer start, in Hz
DERIVATIONS = ((1, 0, 0), (0, 0, 1), (1, -0.5, -0.5), (-0.5, -0.5, 1), (0, 1, 0))  # of C3, Cz, C4: near each, and differences


@dataclass(frozen=True)
class Design:
    """The network and how it is trained."""

    filter_length: int = 63
    stride: int = 4
    pool: int = 31
    every: int = 6
    hidden: int = 16
    dropout: float = 0.35
    rate: float = 3e-3
    decay: float = 0.01
    epochs: int = 60
    batch: int = 32
    shift: int = 25
    loudness: float = 0.2
    noise: float = 0.5
    exchanged: float = 0.3
    averaged: float = 0.98


class ImageryReader(nn.Sequential):
    """Amplitudes in learned bands and combinations of channels, a hidden layer, and the mean of its answers over time."""

    def __init__(self, design: Design):
        filters = band_passes(design.filter_length)
        count = len(filters)
        first = nn.Conv1d(3, count, design.filter_length, design.stride, bias=False)
        first.weight.data.copy_(filters)
        super().__init__(
            *(first, nn.BatchNorm1d(count), nn.ReLU()),
            *(nn.AvgPool1d(design.pool, design.every), nn.BatchNorm1d(count), nn.Dropout(design.dropout)),
            *(nn.Conv1d(count, design.hidden, 1), nn.BatchNorm1d(design.hidden), nn.ReLU()),
            *(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Dropout(design.dropout), nn.Linear(design.hidden, 2)),
        )


def band_passes(length: int) -> Tensor:
    """Start the first layer [filters, 3, length]: windowed cosines without a mean, for each combination of channels."""
    seconds = (torch.arange(length) - (length - 1) / 2) / RATE
    window = torch.hann_window(length, periodic=False)
    waves = window * torch.cos(2 * math.pi * torch.tensor(BANDS)[:, None] * seconds)
    waves -= window * waves.sum(1, keepdim=True) / window.sum()
    channels = torch.tensor(DERIVATIONS)
    return torch.einsum("ft,dc->fdct", F.normalize(waves), F.normalize(channels)).flatten(0, 1)


@dataclass(frozen=True)
class Trials:
    """Whole trials [trials, 3, 1000] from the cue, the hand (0 left, 1 right), and the session of each."""

    signals: Tensor
    hands: Tensor
    sessions: Tensor

    def of(self, sessions: tuple[int, ...]) -> Trials:
        chosen = torch.isin(self.sessions, torch.tensor(sessions))
        return Trials(self.signals[chosen], self.hands[chosen], self.sessions[chosen])

    def data(self, deviation: Tensor) -> Data:
        """What the network sees of each trial: 3 seconds, in units of the standard deviation of each channel."""
        return self.signals[..., START : START + LENGTH] / deviation, self.hands

    def deviation(self) -> Tensor:
        return self.signals.std((0, 2))[:, None]


def trials_of(subject: int) -> Trials:
    with np.load(data_folder() / "eeg" / f"bci_iv_2b_subject{subject}.npz") as file:
        signals = torch.from_numpy(file["x_int16"] * file["scale"]).float()
        return Trials(signals, torch.from_numpy(file["y"]), torch.from_numpy(file["session"]))


def exchanged(signals: Tensor, hands: Tensor, share: float) -> Tensor:
    """Replace a share of the eighths of each trial by the same eighth of another trial of the same hand."""
    parts = signals.clone()
    eighth = signals.shape[2] // 8
    for hand in (0, 1):
        own = (hands == hand).nonzero()[:, 0]
        for start in range(0, signals.shape[2], eighth) if len(own) else ():
            taking = own[torch.rand(len(own)) < share]
            giving = own[torch.randint(len(own), (len(taking),))]
            parts[taking, :, start : start + eighth] = signals[giving, :, start : start + eighth]
    return parts


def disturbed(signals: Tensor, hands: Tensor, design: Design) -> Tensor:
    """Cut 3 seconds at about the right time from trials with exchanged parts, other loudness, and noise."""
    signals = exchanged(signals, hands, design.exchanged)
    starts = START + torch.randint(-design.shift, design.shift + 1, (len(signals), 1, 1))
    cut = signals.gather(2, (starts + torch.arange(LENGTH)).expand(-1, 3, -1))
    loudness = torch.exp(design.loudness * torch.randn(len(signals), 1, 1))
    return cut * loudness + design.noise * torch.randn(cut.shape)


def fitted(trials: Trials, design: Design, seed: int = 0) -> ImageryReader:
    """Train a network; its weights are a running mean over the last steps."""
    torch.manual_seed(seed)
    model = ImageryReader(design).train()
    mean = torch.optim.swa_utils.get_ema_multi_avg_fn(design.averaged)
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=mean, use_buffers=True)
    filters, *others = model.parameters()
    groups = [{"params": [filters], "weight_decay": 0.0}, {"params": others, "weight_decay": design.decay}]
    optimiser = torch.optim.AdamW(groups, design.rate)
    batches = len(trials.hands) // design.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, design.rate, design.epochs * batches)
    signals = trials.signals / trials.deviation()
    for _ in range(design.epochs):
        for rows in torch.randperm(len(signals))[: batches * design.batch].split(design.batch):
            optimiser.zero_grad()
            answers = model(disturbed(signals[rows], trials.hands[rows], design))
            F.cross_entropy(answers, trials.hands[rows]).backward()
            optimiser.step()
            schedule.step()
            average.update_parameters(model)
    model.load_state_dict(average.module.state_dict())
    return model.eval()


def motor_imagery(subject: int, *, anew: bool = False) -> tuple[ImageryReader, Data, Data]:
    """The model trained on sessions 1 to 3 of a subject, and what it sees of these sessions and of sessions 4 and 5."""
    trials = trials_of(subject)
    training = trials.of((1, 2, 3))
    path = OUT / "motor_imagery" / f"subject{subject}.safetensors"
    model = kept(path, ImageryReader(Design()), lambda: fitted(training, Design()), anew=anew)
    deviation = training.deviation()
    return model, training.data(deviation), trials.of((4, 5)).data(deviation)


def held_out(training: Trials, design: Design, seeds: int) -> list[float]:
    """Say how accurate networks are on each of sessions 1 to 3, trained on the other two; the mean over seeds."""
    accuracies = []
    for session in (1, 2, 3):
        known = training.of(tuple({1, 2, 3} - {session}))
        unseen = training.of((session,)).data(known.deviation())
        accuracies.append(float(np.mean([accuracy(fitted(known, design, seed), unseen) for seed in range(seeds)])))
    return accuracies


CHANGES: dict[str, dict] = {
    "chosen": {},
    "noise 0.1": {"noise": 0.1},
    "nothing exchanged": {"exchanged": 0.0},
    "dropout 0.5": {"dropout": 0.5},
    "32 hidden, half exchanged": {"hidden": 32, "exchanged": 0.5},
    "windows of 1 s every 0.2 s": {"pool": 62, "every": 12},
}


def choose(seeds: int) -> None:
    """Compare designs on sessions 1 to 3 of both subjects."""
    rows = []
    for name, change in CHANGES.items():
        row = {"design": name}
        for subject in SUBJECTS:
            accuracies = held_out(trials_of(subject).of((1, 2, 3)), Design(**change), seeds)
            row[f"subject {subject}, sessions 1 2 3"] = " ".join(f"{value:.1f}" for value in accuracies)
            row[f"subject {subject} %"] = f"{np.mean(accuracies):.1f}"
        rows.append(row)
        print(row, flush=True)
    show(f"Motor imagery, each of sessions 1 to 3 after training on the other two, accuracy %, mean of {seeds} seeds", rows)
    keep("motor_imagery-choice", {"rows": rows, "seeds": seeds, "changes": CHANGES})


def so_far(model: nn.Module, data: Data) -> dict[str, str]:
    """Say how accurate the mean of the scores is after some seconds of signal: the network takes any length."""
    seconds = (1.0, 1.5, 2.0, 2.5, 3.0)
    return {f"after {s:g} s": f"{accuracy(model, (data[0][..., : round(s * RATE)], data[1])):.1f}" for s in seconds}


def train() -> None:
    """Train one network for each subject, and say how accurate it is."""
    rows, layers, operators = [], [], {}
    for subject in SUBJECTS:
        model, training, test = motor_imagery(subject, anew=True)
        row = {"subject": subject, "weights": weights_in(model), "train %": f"{accuracy(model, training):.1f}"}
        rows.append(row | {"band powers, linear %": BAND_POWERS[subject]} | so_far(model, test))
        layers, operators = layers_of(model), exported(model, test[0])
    show("Motor imagery, accuracy % on sessions 4 and 5 after so much of the signal", rows)
    keep("motor_imagery", {"rows": rows, "design": asdict(Design()), "layers": layers, "operators": operators})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("choose", "train"))
    parser.add_argument("--seeds", type=int, default=2)
    chosen = parser.parse_args()
    if chosen.what == "choose":
        choose(chosen.seeds)
    else:
        train()
