"""The table of recipes: name -> passes, citation, limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from transpike.errors import ArgumentError, choose
from transpike.parts import Method
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
    UseTrainedThresholds,
)


@dataclass(frozen=True)
class Recipe:
    """How to convert: a method in words, and its passes in order."""

    method: Method
    passes: tuple[Pass, ...]

    @property
    def name(self) -> str:
        """The name of the method."""
        return self.method.name

    def variant(self, words: str, passes: tuple[Pass, ...]) -> Recipe:
        """Return a recipe with other passes, whose name and title say so."""
        method = dataclasses.replace(self.method, name=f"{self.name}, {words}", title=f"{self.method.title}; {words}")
        return Recipe(method, passes)

    def poisson(self, seed: int = 0) -> Recipe:
        """Return this recipe with Poisson input instead of constant current."""
        return self.variant("Poisson input", (*self.passes, EncodeAsPoisson(seed)))

    def with_percentile(self, percent: float) -> Recipe:
        """Return this recipe with another percentile in its threshold rule; 100 takes the maximum.

        Raises ArgumentError if the recipe sets its thresholds by another rule.
        """
        for place, step in enumerate(self.passes):
            if isinstance(step, InsertNeurons) and isinstance(step.threshold, Percentile):
                changed = dataclasses.replace(step, threshold=dataclasses.replace(step.threshold, percent=percent))
                return self.variant(f"percentile {percent:g}", (*self.passes[:place], changed, *self.passes[place + 1 :]))
        raise ArgumentError(f"Recipe {self.name!r} does not set its thresholds by a percentile.")


STRUCTURE: tuple[Pass, ...] = (FoldBatchNorm(), SplitSigned(), PoolBeforeActivation(), DecodeOutputs())
LIMITS = "ReLU-like activations; softmax and sigmoid at the output only"

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            Recipe(
                Method(
                    "rate",
                    "Rate coding: threshold per channel at the 99.5th percentile of its active values, potential from half",
                    "Rueckauer et al. 2017 (percentile, reset by subtraction, constant current); Kim et al. 2020 (channels); "
                    "Bu et al. 2022 (initial potential)",
                    limits=LIMITS,
                ),
                (*STRUCTURE, InsertNeurons(Percentile(99.5, active=True), initial=0.5), AccumulateMaxPool()),
            ),
            Recipe(
                Method(
                    "rate-basic",
                    "Textbook rate coding: one threshold per layer at the 99.9th percentile, potential from 0",
                    "Diehl et al. 2015; Rueckauer et al. 2017",
                    limits=LIMITS,
                ),
                (*STRUCTURE, InsertNeurons(Percentile(99.9, layerwise=True), initial=0.0), AccumulateMaxPool()),
            ),
            Recipe(
                Method(
                    "qcfs",
                    "Trained thresholds: QCFS or SlipReLU activations become neurons, potential from the trained shift",
                    "Bu et al. 2022; Jiang et al. 2023 (SlipReLU)",
                    limits="models prepared and trained with transpike.training; softmax and sigmoid at the output only",
                ),
                (*STRUCTURE, UseTrainedThresholds(), AccumulateMaxPool()),
            ),
        )
    }
)


def find_recipe(recipe: str | Recipe) -> Recipe:
    """Return a recipe by name, or the recipe itself; raise ArgumentError with the nearest name otherwise."""
    return recipe if isinstance(recipe, Recipe) else RECIPES[choose("recipe", recipe, RECIPES)]
