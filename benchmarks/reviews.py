"""Sentiment of IMDb reviews from 2,500 words by networks with a memory: LSTM, GRU, Elman, and an LSTM made for populations.

    python benchmarks/reviews.py train [--cells lstm gru elman normal relu]     # trains what is missing, and the table

Weights and figures are kept under benchmarks/out/reviews/. Needs TRANSPIKE_DATA (imdb/). The epoch is chosen on 500 of the
5,000 training reviews, which are not trained on.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datasets import IDS, reviews
from tables import OUT, keep, show
from transpike.files import read_json, read_tensors, write_tensors, write_text
from transpike.training import NormalLSTM

RUNS = OUT / "reviews"
CELLS = 25
HELD_OUT = 500


class Sentiment(nn.Module):
    """The logits (negative, positive) of a review, from the hidden state after its last word."""

    def __init__(self, cell: nn.Module, width: int, dropout: float):
        super().__init__()
        self.embedding = nn.Embedding(IDS, width)
        self.dropout = nn.Dropout(dropout)
        self.cell = cell
        self.readout = nn.Linear(CELLS, 2)

    def forward(self, ids: Tensor) -> Tensor:
        states, _ = self.cell(self.dropout(self.embedding(ids)))
        return self.readout(self.dropout(states[:, -1]))


@dataclass(frozen=True)
class Plan:
    """How a network is trained; `missing` is the share of the words that are made unknown, in each epoch others."""

    width: int = 32
    epochs: int = 16
    batch: int = 32
    rate: float = 2e-3
    dropout: float = 0.5
    missing: float = 0.3


PATIENT = Plan(epochs=40, rate=1e-3)  # nothing but its initial weights helps an Elman network to remember
PLANS = {"lstm": Plan(), "gru": Plan(), "elman": PATIENT, "normal": Plan(), "relu": PATIENT}


def sentiment(name: str) -> Sentiment:
    """A network before training, with the seed of all of them."""
    torch.manual_seed(0)
    width = PLANS[name].width
    match name:
        case "lstm":
            cell: nn.Module = remembering(nn.LSTM(width, CELLS, batch_first=True))
        case "normal":
            cell = remembering(NormalLSTM(width, CELLS, batch_first=True))
        case "gru":
            cell = remembering(nn.GRU(width, CELLS, batch_first=True))
        case _:
            cell = nn.RNN(width, CELLS, batch_first=True, nonlinearity="relu" if name == "relu" else "tanh")
            nn.init.orthogonal_(cell.weight_hh_l0)
    model = Sentiment(cell, width, PLANS[name].dropout)
    nn.init.normal_(model.embedding.weight, std=0.1)
    return model


def remembering(cell: nn.Module) -> nn.Module:
    """Biases of 1 where a gate (second in order in LSTM and GRU alike) keeps the state, of 0 elsewhere."""
    with torch.no_grad():
        cell.bias_hh_l0.zero_()
        cell.bias_ih_l0.zero_()[CELLS : 2 * CELLS] = 1
    return cell


def accuracy(model: nn.Module, ids: Tensor, labels: Tensor) -> float:
    with torch.inference_mode():
        answers = torch.cat([model(part).argmax(1) for part in ids.split(500)])
    return round(100 * float((answers == labels).float().mean()), 2)


def parts() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The training reviews that are trained on, and those that choose the epoch."""
    ids, labels = reviews("train")
    order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(0))
    kept, held = order[HELD_OUT:], order[:HELD_OUT]
    return (ids[kept], labels[kept]), (ids[held], labels[held])


def epoch(model: nn.Module, plan: Plan, optimiser: torch.optim.Optimizer, schedule, data: tuple[Tensor, Tensor]) -> float:
    """Train once on all reviews, and return the mean loss."""
    model.train()
    losses = []
    for rows in torch.randperm(len(data[0])).split(plan.batch)[: len(data[0]) // plan.batch]:
        ids = data[0][rows]
        ids = ids.masked_fill((ids > 0) & (torch.rand(ids.shape) < plan.missing), 1)
        loss = F.cross_entropy(model(ids), data[1][rows])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    model.eval()
    return sum(losses) / len(losses)


def train(name: str) -> None:
    """Leave the weights of the best epoch, and what became of each, in the folder of the runs."""
    torch.set_flush_denormal(True)  # gradients that vanish over 500 words: three times as fast
    plan, (data, held) = PLANS[name], parts()
    model = sentiment(name)
    optimiser = torch.optim.Adam(model.parameters(), lr=plan.rate)
    steps = plan.epochs * (len(data[0]) // plan.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.rate, steps, pct_start=0.15)
    history: list[dict] = []
    for _ in range(plan.epochs):
        started = time.perf_counter()
        loss = epoch(model, plan, optimiser, schedule, data)
        seconds, score = time.perf_counter() - started, accuracy(model, *held)
        best = score > max((past["held out"] for past in history), default=0)
        history.append({"loss": round(loss, 4), "held out": score, "seconds": round(seconds, 1)})
        print(f"{name}: epoch {len(history)}/{plan.epochs}  {history[-1]}", flush=True)
        if best:
            write_tensors(RUNS / f"{name}.safetensors", model.state_dict())
    write_text(RUNS / f"{name}.json", json.dumps({"plan": asdict(plan), "history": history}, indent=1))


def trained(name: str) -> Sentiment:
    """The network with its weights, trained now if that has not been done."""
    if not (RUNS / f"{name}.json").exists():
        train(name)
    model = sentiment(name)
    model.load_state_dict(read_tensors(RUNS / f"{name}.safetensors", "weights"))
    return model.eval()


def row(name: str) -> dict:
    """The accuracies of one network."""
    model = trained(name)
    history = read_json(RUNS / f"{name}.json", "figures")["history"]
    data, held = parts()
    test = reviews("test")
    return {
        "cells": name,
        "train": accuracy(model, *data),
        "held out": accuracy(model, *held),
        "test": accuracy(model, *test),
        "first 1,000": accuracy(model, test[0][:1000], test[1][:1000]),
        "epoch": 1 + max(range(len(history)), key=lambda i: history[i]["held out"]),
        "seconds an epoch": round(sum(past["seconds"] for past in history) / len(history), 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train",))
    parser.add_argument("--cells", nargs="+", choices=PLANS, default=list(PLANS))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row(name) for name in chosen.cells]
    show("Sentiment of IMDb reviews, accuracy % (thesis, LSTM on all 25,000 reviews: 92.6 train, 89.8 test)", rows)
    keep("reviews", {"rows": rows})
