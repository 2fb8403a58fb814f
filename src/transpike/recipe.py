"""The table of recipes: name -> passes, citation, limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from transpike.errors import ArgumentError, choose
from transpike.passes import (
    AccumulateMaxPool,
    DecodeOutputs,
    EncodeAsPoisson,
    FoldBatchNorm,
    InsertNeurons,
    Pass,
    Percentile,
    PoolBeforeActivation,
    SplitSigned,
)


@dataclass(frozen=True)
class Recipe:
    """How to convert: passes in order, and what a reader of the result has to know."""

    name: str
    title: str
    passes: tuple[Pass, ...]
    citation: str
    schedule: str = "concurrent"  # all layers integrate and fire at every step: latency = time steps
    bits_per_spike: int = 1
    limits: str = ""

    def poisson(self, seed: int = 0) -> Recipe:
        """Return this recipe with Poisson input instead of constant current."""
        return dataclasses.replace(self, passes=(*self.passes, EncodeAsPoisson(seed)))

    def with_percentile(self, percent: float) -> Recipe:
        """Return this recipe with another percentile in its threshold rule; 100 takes the maximum.

        Raises ArgumentError if the recipe sets its thresholds by another rule.
        """
        for place, step in enumerate(self.passes):
            if isinstance(step, InsertNeurons) and isinstance(step.threshold, Percentile):
                changed = dataclasses.replace(step, threshold=dataclasses.replace(step.threshold, percent=percent))
                return dataclasses.replace(self, passes=(*self.passes[:place], changed, *self.passes[place + 1 :]))
        raise ArgumentError(f"Recipe {self.name!r} does not set its thresholds by a percentile.")


STRUCTURE: tuple[Pass, ...] = (FoldBatchNorm(), SplitSigned(), PoolBeforeActivation(), DecodeOutputs())
LIMITS = "ReLU-like activations; softmax and sigmoid at the output only"

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            Recipe(
                "rate",
                "Rate coding: threshold per channel at the 99.5th percentile of its active values, potential from half of it",
                (*STRUCTURE, InsertNeurons(Percentile(99.5, active=True), initial=0.5), AccumulateMaxPool()),
                "Rueckauer et al. 2017 (percentile, reset by subtraction, constant current); Kim et al. 2020 (channels); "
                "Bu et al. 2022 (initial potential)",
                limits=LIMITS,
            ),
            Recipe(
                "rate-basic",
                "Textbook rate coding: one threshold per layer at the 99.9th percentile, potential from 0",
                (*STRUCTURE, InsertNeurons(Percentile(99.9, layerwise=True), initial=0.0), AccumulateMaxPool()),
                "Diehl et al. 2015; Rueckauer et al. 2017",
                limits=LIMITS,
            ),
        )
    }
)


def find_recipe(recipe: str | Recipe) -> Recipe:
    """Return a recipe by name, or the recipe itself; raise ArgumentError with the nearest name otherwise."""
    return recipe if isinstance(recipe, Recipe) else RECIPES[choose("recipe", recipe, RECIPES)]
