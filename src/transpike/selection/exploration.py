"""Search the recipe that is nearest to the ANN within limits, on calibration samples alone."""

from __future__ import annotations

import dataclasses
import hashlib
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from transpike.analysis.reference import Reference
from transpike.capture import check_model, count_inputs
from transpike.chips import Chip, find_chip
from transpike.conversion import convert
from transpike.data import Batch, batches
from transpike.errors import ArgumentError, ConversionError, DataError, TranspikeWarning, choose, positive_whole
from transpike.network import Network
from transpike.network.turns import sequential, turns, window
from transpike.placement import fit
from transpike.prediction import leap_ends
from transpike.recipe import RECIPES, Recipe, find_recipe
from transpike.selection.measurement import measure
from transpike.selection.study import Space, Study
from transpike.selection.trials import Limits, Selection, Trial

PERCENTILES = (95.0, 99.99)


@dataclass(frozen=True, eq=False)
class Subject:
    """The model, the samples that calibrate, and those that judge."""

    model: nn.Module
    fit: Batch
    held_out: Batch
    chip: Chip | None = None

    def attempt(self, recipe: str, percentile: float | None, time_steps: int) -> Trial | str:
        """Return what a conversion gives on the held-out samples, or why the recipe cannot convert the model for the chip."""
        chosen = find_recipe(recipe) if percentile is None else find_recipe(recipe).with_percentile(percentile)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", TranspikeWarning)  # few samples: they are the user's choice, said once
                network = convert(self.model, self.fit, chosen, time_steps=None if chosen.has_window else time_steps)
        except (ConversionError, ArgumentError) as error:
            return f"{recipe}: {error}"
        if self.chip is not None and not (fitted := fit(network, self.chip)).fits:
            return f"{recipe}: {fitted.verdict} {fitted.obstacles[0].message} {fitted.obstacles[0].advice}"
        steps = window(network) or time_steps
        windows = max(turns(network).values()) if sequential(network) else 1
        result = measure(network, self.held_out, self.reference(network), steps)
        return Trial(recipe, percentile, steps, **dataclasses.asdict(result), windows=windows)

    def reference(self, network: Network) -> list[Tensor]:
        """Return the ANN's outputs for the held-out samples."""
        answers = [Reference(network, self.model).outputs(part.inputs).values() for part in batches(self.held_out)]
        return [torch.cat(outputs) for outputs in zip(*answers, strict=True)]

    def digest(self) -> str:
        """Return a digest of weights and samples."""
        digest = hashlib.sha256()
        tensors = [*self.model.state_dict().values(), *self.fit.inputs, *self.held_out.inputs]
        tensors += [batch.labels for batch in (self.fit, self.held_out) if batch.labels is not None]
        for tensor in tensors:
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def search(
    model: nn.Module | ExportedProgram,
    samples: Any,
    limits: Limits | int,
    *,
    recipes: Iterable[str] | None = None,
    percentiles: tuple[float, float] = PERCENTILES,
    trials: int = 40,
    held_out: float = 0.25,
    seed: int = 0,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Selection:
    """Search recipe, percentile and time steps that keep a converted `model` nearest to its ANN within `limits`.

    `samples` are calibration samples as in `convert`, never test data: a share `held_out` of them, drawn with `seed`,
    judges, the others calibrate. The criterion is the divergence of the SNN's softmax from the ANN's, so labels are not
    needed; of several outputs, maps, and values (floats beside the samples) it is the relative squared error. With labels each
    trial reports its accuracy too. `limits` is the largest number of time steps, or `Limits`, such as those of a chip
    (`Limits.of`). `recipes` names rows of the table of recipes (default: all); one that cannot convert the model is left with
    its reason. With `folder` every trial is kept, and `resume=True` goes on with the trials that an uninterrupted search
    would have made. `progress` is called with the number of trials done. Source: Akiba et al. 2019 (Optuna).

    Raises MissingExtraError without Optuna; ArgumentError, DataError, CaptureError, ArchiveError.
    """
    bounds = limits if isinstance(limits, Limits) else Limits(time_steps=limits)
    positive_whole("trials", trials)
    model = check_model(model)
    chip = None if bounds.chip is None else find_chip(bounds.chip)
    subject = Subject(model, *parted(samples, count_inputs(model, samples), held_out, seed), chip)
    space = Space(
        {name: takes_percentile(row) for name, row in candidates(recipes, bounds).items()},
        checked_percentiles(percentiles),
        leap_ends(bounds.time_steps),
    )
    key = hashlib.sha256(f"{space} {bounds} {seed} {subject.digest()}".encode()).hexdigest()
    study = Study(space, seed, None if folder is None else Path(folder), key, resume=resume)
    done = len(study.finished())
    if progress is not None and done:
        progress(min(done, trials))
    for _ in range(done, trials):
        study.advance(subject.attempt, bounds.excess)
        if progress is not None:
            progress(1)
    counts = len(subject.fit), len(subject.held_out)
    return Selection(bounds, *counts, seed, study.trials(), study.refusals())


def candidates(names: Iterable[str] | None, limits: Limits) -> dict[str, Recipe]:
    """Return the recipes by name that may keep the limit on bits; raise ArgumentError for unknown names, or if none may."""
    chosen = list(RECIPES) if names is None else [choose("recipe", name, RECIPES) for name in names]
    rows = {name: RECIPES[name] for name in chosen if RECIPES[name].method.bits_per_spike <= limits.bits_per_spike}
    if not rows:
        raise ArgumentError(f"No recipe sends spikes of at most {limits.bits_per_spike} bits: allow more, or name others.")
    return rows


def takes_percentile(recipe: Recipe) -> bool:
    """Say whether a recipe sets its thresholds by a percentile."""
    try:
        recipe.with_percentile(99.0)
    except ArgumentError:
        return False
    return True


def checked_percentiles(bounds: tuple[float, float]) -> tuple[float, float]:
    """Return the bounds of the percentiles, or raise ArgumentError."""
    low, high = bounds
    if not 0 < low < high < 100:  # noqa: PLR2004 - percent
        raise ArgumentError(f"percentiles must be two numbers between 0 and 100, the lower one first, not {bounds}.")
    return low, high


def parted(samples: Any, inputs: int, share: float, seed: int) -> tuple[Batch, Batch]:
    """Return the calibration samples in two parts drawn with `seed`: what calibrates, and the `share` that judges."""
    if not 0 < share < 1:
        raise ArgumentError(f"held_out must be a share between 0 and 1, not {share}.")
    parts = [batch for batch in batches(samples, inputs, "calibration samples") if len(batch)]
    whole = parts[0] if parts else None
    for part in parts[1:]:
        assert whole is not None
        whole = whole.followed_by(part)
    if whole is None or len(whole) < 2:  # noqa: PLR2004 - one to fit, one to judge
        raise DataError("A search needs at least 2 calibration samples, better a few hundred: some calibrate, some judge.")
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(seed))
    judging = min(len(whole) - 1, max(1, round(share * len(whole))))
    return rows(whole, order[judging:].sort().values), rows(whole, order[:judging].sort().values)


def rows(batch: Batch, chosen: Tensor) -> Batch:
    """Return the chosen samples of a batch."""
    return Batch(tuple(x[chosen] for x in batch.inputs), None if batch.labels is None else batch.labels[chosen])
