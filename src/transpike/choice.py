"""The recipe that comes closest to the ANN within a number of time steps, chosen on held-out calibration samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from transpike.answers import DIVERGENCE, criterion, distance
from transpike.data import Batch, batches
from transpike.errors import ArgumentError, ConversionError, DataError, TranspikeError
from transpike.network import Network
from transpike.parts import Finding
from transpike.recipe import RECIPES, Recipe
from transpike.simulation import simulate

AUTO = "auto"
BINARY = ("rate", "sbg", "ls", "ls-tg", "look-ahead")  # candidates whose spikes carry one bit
GRADED = ("ternary-sbg", "ternary-ls", "graded-ls")  # and those that may carry more
EVERY = 5  # one calibration sample in five is held out
MOST_HELD_OUT = 400


@dataclass(frozen=True)
class Part:
    """The calibration samples that are held out, or the rest: one in five, at most 400, the same whenever they are read."""

    samples: Any
    inputs: int
    held_out: bool

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of this part."""
        seen = 0
        for batch in batches(self.samples, self.inputs, "calibration samples"):
            index = torch.arange(seen, seen + len(batch))
            out = (index % EVERY == EVERY - 1) & (index // EVERY < MOST_HELD_OUT)
            rows = out if self.held_out else ~out
            if rows.any():
                labels = None if batch.labels is None else batch.labels[rows]
                yield Batch(tuple(tensor[rows] for tensor in batch.inputs), labels)
            seen += len(batch)


@dataclass(frozen=True)
class Trial:
    """A recipe and how far its network is from the ANN on held-out samples."""

    recipe: Recipe
    distance: float
    criterion: str = DIVERGENCE


def automatic(
    convert: Callable[[Any, Recipe], Network], model: nn.Module, samples: Any, inputs: int, time_steps: int, *, graded: bool
) -> Network:
    """Return the network of the recipe whose answers after `time_steps` steps are closest to the ANN's.

    Each candidate is converted on four fifths of the samples and judged on the rest by the Kullback-Leibler divergence
    from the ANN's softmax; several outputs, maps, and values (which floats beside the samples tell from classes) by their
    relative squared error. Those that refuse the model or the steps are left out. The winner is converted again on all
    samples; a finding says why it won. Raises DataError for fewer than ten samples, and the first refusal if all refuse.
    """
    fit, held_out = Part(samples, inputs, held_out=False), Part(samples, inputs, held_out=True)
    judged = sum(len(batch) for batch in held_out)
    if judged < 2:  # noqa: PLR2004 - fewer would not tell recipes apart at all
        raise DataError(f'recipe="auto" holds out one calibration sample in {EVERY}: give at least {2 * EVERY}, better 500.')
    names = (*BINARY, *GRADED) if graded else BINARY
    trials, refusals = [], {}
    for name in names:
        try:
            network = convert(fit, RECIPES[name])
        except (ArgumentError, ConversionError) as error:
            refusals[name] = error
        else:
            trials.append(trial(network, RECIPES[name], model, held_out, time_steps))
    if not trials:
        raise refusals[names[0]]
    trials.sort(key=lambda one: one.distance)
    network = convert(samples, trials[0].recipe)
    return dataclasses.replace(network, findings=(*network.findings, reason(trials, refusals, judged, time_steps)))


@torch.inference_mode()
def trial(network: Network, recipe: Recipe, model: nn.Module, held_out: Part, time_steps: int) -> Trial:
    """Return how far a network is from the ANN on the held-out samples."""
    total, count = 0.0, 0
    judge = DIVERGENCE
    for batch in held_out:
        outputs = simulate(network, batch, time_steps).outputs
        answers = [outputs[-1]] if isinstance(outputs, Tensor) else [output[-1] for output in outputs.values()]
        leaves, _ = torch.utils._pytree.tree_flatten(model(*batch.inputs))  # noqa: SLF001 - the order of capture
        wanted = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        judge = criterion(wanted, batch.labels)
        total += distance(answers, wanted, batch.labels) * len(batch)
        count += len(batch)
    return Trial(recipe, total / count, judge)


def reason(trials: Sequence[Trial], refusals: Mapping[str, TranspikeError], judged: int, time_steps: int) -> Finding:
    """Say why the first of `trials` won, and which recipes cannot convert the model for these steps."""
    others = ", ".join(f"{one.recipe.name} {one.distance:.3g}" for one in trials[1:]) or "none other"
    best = trials[0]
    left_out = f" Left out: {', '.join(map(repr, refusals))}, for {next(iter(refusals.values()))}" if refusals else ""
    return Finding(
        "chosen-recipe",
        f"Recipe {best.recipe.name!r} came closest to the ANN on {judged} held-out calibration samples after "
        f"{time_steps} steps: {best.criterion} {best.distance:.3g} against {others}.{left_out}",
        "Ask for it by name to save the choice. Other numbers of time steps may have another winner.",
    )
