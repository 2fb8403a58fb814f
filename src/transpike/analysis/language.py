"""How well a spiking network that writes text predicts it: perplexity after each time step."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transpike.analysis.reference import Reference
from transpike.capture import check_model
from transpike.data import batches, checked
from transpike.errors import DataError
from transpike.network import Network
from transpike.network.grammar import check_spiking
from transpike.network.turns import steps_for
from transpike.simulation import AUTO, Block, Engine, blocks

LOGITS = 3  # axes of [batch, length, words]


@dataclass(frozen=True)
class Perplexity:
    """Perplexity of the ANN and of the spiking network after each step, and how often both would go on with the same word."""

    time_steps: int
    sequences: int
    tokens: int  # that were predicted
    reference: float
    spiking: tuple[float, ...]
    agreement: tuple[float, ...]  # share of the positions at which both have the same most likely word

    @property
    def ratio(self) -> float:
        """The perplexity after the last step by that of the ANN: 1 if nothing was lost."""
        return self.spiking[-1] / self.reference

    def to_json(self) -> str:
        """Return it as JSON text."""
        return json.dumps({**dataclasses.asdict(self), "ratio": self.ratio}, indent=1)


def perplexity(
    model: nn.Module | None,
    network: Network,
    sequences: Any,
    time_steps: int | None = None,
    *,
    ignored: int | None = None,
    memory: int | None = None,
    block: int | None = None,
    engine: str | Engine = AUTO,
    progress: Callable[[int], None] | None = None,
) -> Perplexity:
    """Return how well a network that predicts the next word does so after each step, beside its ANN.

    exp(-(1/N) sum of log p(x[i+1] | x[1] ... x[i])), p the softmax of the answer [batch, length, words] at position i. The
    sequences are whole numbers [n, length] as the network takes them (a `Batch` may add a mask); words `ignored`, such as what
    fills up short sequences, are not predicted. `model` None compares with the network's own analogue. Raises ArgumentError
    or DataError. Source: Jelinek et al. 1977 (perplexity).

    >>> import torch
    >>> import transpike as tp
    >>> layers = (torch.nn.Embedding(9, 8), torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 9))
    >>> model = torch.nn.Sequential(*layers).eval()
    >>> words = torch.randint(9, (40, 6))
    >>> found = tp.perplexity(model, tp.convert(model, words, "differential"), words, 8)
    >>> found.tokens, round(found.ratio, 2)
    (200, 1.0)
    """
    check_spiking(network)
    if model is not None:
        check_model(model)
    steps = steps_for(network, time_steps)
    reference = Reference(network, model)
    sums = Sums(steps)
    stream = checked(batches(sequences, len(network.inputs), "sequences"), network.inputs, "sequences")
    for part in blocks(network, stream, steps, memory=memory, block=block, engine=engine):
        expected = reference.output([x.to(network.device) for x in part.batch.inputs]).cpu()
        sums.add(part, expected, ignored)
        if progress is not None:
            progress(len(part))
    return sums.result()


class Sums:
    """Sums over the predicted words."""

    def __init__(self, time_steps: int) -> None:
        self.time_steps, self.sequences, self.tokens = time_steps, 0, 0
        self.reference = torch.zeros((), dtype=torch.float64)
        self.spiking = torch.zeros(time_steps, dtype=torch.float64)
        self.same = torch.zeros(time_steps, dtype=torch.float64)

    def add(self, part: Block, expected: Tensor, ignored: int | None) -> None:
        """Add the sequences of one block, given the answers of the ANN [batch, length, words]."""
        words = part.batch.inputs[0]
        if words.is_floating_point() or words.ndim != LOGITS - 1 or expected.shape[:2] != words.shape:
            raise DataError(
                f"Perplexity needs whole numbers [n, length] and a network that answers [n, length, words], not {words.dtype} "
                f"of shape {tuple(words.shape[1:])} and answers of shape {tuple(expected.shape[1:])} (without the batch)."
            )
        wanted = words[:, 1:].cpu()
        counted = torch.ones_like(wanted, dtype=torch.bool) if ignored is None else wanted != ignored
        answers = next(iter(part.outputs.values()))
        self.sequences += len(words)
        self.tokens += int(counted.sum())
        self.reference += surprise(expected, wanted, counted)
        for step, answer in enumerate(answers):
            self.spiking[step] += surprise(answer.cpu(), wanted, counted)
            same = answer[:, :-1].cpu().argmax(-1) == expected[:, :-1].argmax(-1)
            self.same[step] += (same & counted).sum()

    def result(self) -> Perplexity:
        """Return the means."""
        if self.tokens == 0:
            raise DataError("The sequences hold no word to predict: give some of two words or more.")
        found = (self.spiking / self.tokens).exp().tolist()
        reference = math.exp(float(self.reference) / self.tokens)
        same = (self.same / self.tokens).tolist()
        return Perplexity(self.time_steps, self.sequences, self.tokens, reference, tuple(found), tuple(same))


def surprise(answer: Tensor, wanted: Tensor, counted: Tensor) -> Tensor:
    """Return the sum of -log p over the words that count."""
    losses = F.cross_entropy(answer[:, :-1].double().flatten(0, 1), wanted.flatten(), reduction="none")
    return losses[counted.flatten()].sum()
