"""Choose the percentile of the thresholds on uniform noise: no test data, only the range of the inputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from transpike.analysis.reference import Reference
from transpike.capture import check_model, count_inputs
from transpike.conversion import convert
from transpike.data import Batch, batches
from transpike.errors import ArgumentError, DataError, TranspikeWarning, positive_whole
from transpike.recipe import Recipe, find_recipe
from transpike.selection.measurement import measure

PERCENTILES = (95.0, 97.0, 98.0, 99.0, 99.5, 99.9, 99.99, 100.0)
IMAGE_RANK = 3  # [batch, channels, ...] have a range per channel


@dataclass(frozen=True)
class NoiseLoss:
    """What the conversion with one percentile lost on noise: the share of answers that differ, the divergence in nats."""

    percentile: float
    loss: float
    divergence: float


@dataclass(frozen=True, eq=False)
class NoiseChoice:
    """The recipe with the percentile that lost least, and the table of losses in the order of the percentiles."""

    recipe: Recipe
    losses: tuple[NoiseLoss, ...]

    @property
    def best(self) -> NoiseLoss:
        """The least loss; of equals the one that diverges least."""
        return min(self.losses, key=lambda row: (row.loss, row.divergence))


def percentile_by_noise(
    model: nn.Module | ExportedProgram,
    samples: Any,
    time_steps: int,
    recipe: str | Recipe = "rate",
    *,
    percentiles: Sequence[float] = PERCENTILES,
    count: int = 200,
    limits: tuple[Any, Any] | None = None,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> NoiseChoice:
    """Choose the percentile whose SNN agrees best with the ANN on uniform noise after `time_steps` steps.

    The ANN's answers to noise tip over at small errors: too small a percentile clips, too large a one is slow, and both
    show sooner than on data. `samples` calibrate, as in `convert`; the noise lies between the `limits` (low, high) of the
    inputs, numbers or tensors that broadcast against one sample, by default the extremes of the samples per channel.
    `count` noise samples are drawn with `seed`. `progress` is called once per percentile.
    Source: section 3.3.2 (hyperparameter search) of the thesis on conversion. Raises ArgumentError, DataError.

    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> choice = percentile_by_noise(model, torch.rand(64, 4), 16, percentiles=(50, 99.9))
    >>> choice.best.percentile in (50, 99.9)
    True
    """
    positive_whole("time_steps", time_steps)
    positive_whole("count", count)
    if not percentiles:
        raise ArgumentError("percentiles must hold at least one number.")
    model = check_model(model)
    base, inputs = find_recipe(recipe), count_inputs(model, samples)
    if limits is not None and inputs > 1:
        raise ArgumentError(f"limits describe one input, but the model takes {inputs}: leave them to the samples.")
    noise = Batch(uniform(extremes(samples, inputs, limits), count, seed))
    losses = []
    for percent in percentiles:
        losses.append(loss_on(model, samples, noise, base.with_percentile(percent), percent, time_steps))
        if progress is not None:
            progress(1)
    choice = NoiseChoice(base, tuple(losses))
    return NoiseChoice(base.with_percentile(choice.best.percentile), choice.losses)


def loss_on(model: nn.Module, samples: Any, noise: Batch, recipe: Recipe, percent: float, time_steps: int) -> NoiseLoss:
    """Return what a recipe loses on noise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TranspikeWarning)
        network = convert(model, samples, recipe, time_steps=time_steps)
    answers = [Reference(network, model).outputs(part.inputs).values() for part in batches(noise, len(noise.inputs))]
    result = measure(network, noise, [torch.cat(outputs) for outputs in zip(*answers, strict=True)], time_steps)
    if result.agreement is None:
        raise DataError(
            "Noise tells percentiles apart by the classes that are chosen, but this model chooses among none: take "
            "transpike.search, which compares the values of its outputs."
        )
    return NoiseLoss(percent, 1 - result.agreement, result.divergence)


def extremes(samples: Any, inputs: int, limits: tuple[Any, Any] | None) -> list[tuple[Tensor, Tensor]]:
    """Return the least and the greatest value of each input, [1, ...] like one sample: per channel where there are some."""
    found: list[tuple[Tensor, Tensor]] = []
    for batch in batches(samples, inputs, "calibration samples"):
        if len(batch):
            new = [spread(x) for x in batch.inputs]
            pairs = zip(found or new, new, strict=True)
            found = [(torch.minimum(a[0], b[0]), torch.maximum(a[1], b[1])) for a, b in pairs]
    if not found:
        raise DataError("The calibration samples are empty: give at least one, better a few hundred.")
    if limits is None:
        return found
    low, high = (torch.as_tensor(limit, dtype=found[0][0].dtype).expand_as(found[0][0]) for limit in limits)
    if not (low < high).all():
        raise ArgumentError(f"limits must be the least and the greatest input, in this order, not {limits}.")
    return [(low, high)]


def spread(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the extremes of a batch of inputs, as maps [1, ...] of one sample."""
    axes = tuple(axis for axis in range(x.ndim) if axis != 1) if x.ndim >= IMAGE_RANK else tuple(range(x.ndim))
    return x.amin(axes, keepdim=True).expand_as(x[:1]), x.amax(axes, keepdim=True).expand_as(x[:1])


def uniform(bounds: Iterable[tuple[Tensor, Tensor]], count: int, seed: int) -> tuple[Tensor, ...]:
    """Return `count` samples of uniform noise between the bounds of each input."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        low + (high - low) * torch.rand((count, *low.shape[1:]), generator=generator, dtype=low.dtype) for low, high in bounds
    )
