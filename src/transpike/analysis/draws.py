"""How large populations have to be: accuracy against their size, each gate and state alone and all at once, over draws."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from transpike.analysis.counterfactual import Quantised
from transpike.analysis.spread import OverDraws
from transpike.answers import tells_classes
from transpike.calibration import Samples
from transpike.conversion import CalibrationSamples, convert
from transpike.data import Batch, batches, checked
from transpike.errors import ArgumentError, DataError, positive_whole
from transpike.network import Network, forward
from transpike.parts import Op
from transpike.passes import InsertPopulations
from transpike.passes.thresholds.populations import Site
from transpike.recipe import Recipe, find_recipe

ALL = "all"
BLOCK = 250  # samples at once


@dataclass(frozen=True)
class Drawn(OverDraws):
    """What populations of one size come to, drawn some times: the share of right answers, or of the ANN's if unlabelled.

    `name` is the activation that they stand in for alone, the others being those of the ANN, or "all".
    """

    name: str
    size: int
    accuracy: tuple[float, ...]  # of each draw
    agreement: tuple[float, ...]  # with the ANN's own answers


@dataclass(frozen=True)
class Draws:
    """Accuracy against the size of populations, over draws; see `draw_populations`."""

    recipe: str
    samples: int
    reference_accuracy: float  # of the ANN; 1 without labels
    rows: tuple[Drawn, ...]

    def to_json(self) -> str:
        """Return the rows as JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=1)


def draw_populations(
    model: nn.Module,
    samples: Any,
    test: Any,
    recipe: str | Recipe = "population-normal",
    *,
    sizes: Sequence[int] = (10, 100, 1000),
    draws: int = 5,
    progress: Callable[[int], None] | None = None,
) -> Draws:
    """Return how accurate `model` is with populations of each size, each gate and state alone, and all at once.

    `samples` calibrate and `test` is judged, both as in `convert` and `evaluate`. Seeds 0 ... draws - 1 draw the thresholds (or
    chips) of the recipe; rules that draw nothing have one draw. A population's window is a single step, so that the ANN with
    its staircase for activation gives the spiking network's answers. `progress` counts finished rows. Raises ArgumentError for
    a recipe without populations or a model without activations for them. Source: a thesis on conversion, its table 5.1.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Sigmoid(), torch.nn.Linear(8, 3)).eval()
    >>> found = draw_populations(model, torch.rand(64, 4), torch.rand(32, 4), sizes=(10, 100), draws=2)
    >>> [(row.name, row.size, len(row.accuracy)) for row in found.rows]
    [('1', 10, 2), ('1', 100, 2), ('all', 10, 2), ('all', 100, 2)]
    """
    for count in (*sizes, draws):
        positive_whole("sizes and draws", count)
    chosen = find_recipe(recipe).with_population(1)
    step = next(step for step in chosen.passes if isinstance(step, InsertPopulations))
    ann = convert(model, samples, chosen).analogue()
    sites = step.sites(ann, Samples(CalibrationSamples(samples, len(ann.inputs), ann)))
    if not sites:
        raise ArgumentError("No weights follow an activation of this model, so that there is none to stand in for.")
    judged = list(blocks_of(ann, test))
    reference = answers(ann, judged)
    labels = labels_of(judged, reference)
    seeds = range(draws if step.thresholds.redrawn(1) != step.thresholds.redrawn(0) else 1)
    rows = []
    for name in [*(site.name for site in sites), ALL]:
        for size in sizes:
            found = [answers(drawn(ann, step, sites, name, size, seed), judged) for seed in seeds]
            rows.append(Drawn(name, size, shares(found, labels), shares(found, reference)))
            if progress is not None:
                progress(1)
    return Draws(find_recipe(recipe).name, len(reference), shares([reference], labels)[0], tuple(rows))


def drawn(ann: Network, step: InsertPopulations, sites: Sequence[Site], name: str, size: int, seed: int) -> Network:
    """Return the ANN with populations in the place of one activation, or of all, numbered as in a conversion."""
    rule = dataclasses.replace(step, thresholds=step.thresholds.redrawn(seed), size=size, sizes=())
    placed = rule.placed(ann, [(number, site) for number, site in enumerate(sites) if name in {ALL, site.name}])
    made: dict[str, Op] = {place: Quantised(one, 1) for place, one in placed.items()}
    return ann.map_ops(lambda node: made.get(node.name, node.op))


def blocks_of(ann: Network, test: Any) -> Iterator[Batch]:
    """Yield samples with labels or without, some at a time."""
    for batch in checked(batches(test, len(ann.inputs), "test samples"), ann.inputs, "test samples"):
        for start in range(0, len(batch), BLOCK):
            yield batch[start : start + BLOCK]


def answers(network: Network, judged: Sequence[Batch]) -> Tensor:
    """Return the class that the first output has for each sample."""
    found = [next(iter(forward(network, [x.to(network.device) for x in batch.inputs]).values())) for batch in judged]
    outputs = torch.cat(found)
    if not tells_classes(outputs):
        raise DataError(
            f"Populations are judged by the classes that are chosen, but a sample has an answer of {tuple(outputs.shape[1:])}."
        )
    return outputs.argmax(1).cpu()


def labels_of(judged: Sequence[Batch], reference: Tensor) -> Tensor:
    """Return the labels of the samples, or the ANN's own answers where there are none."""
    labels = [batch.labels for batch in judged if batch.labels is not None]
    return torch.cat(labels) if len(labels) == len(judged) else reference


def shares(found: Sequence[Tensor], expected: Tensor) -> tuple[float, ...]:
    """Return the share of answers that are as expected, of each draw."""
    return tuple(float((one == expected).double().mean()) for one in found)
