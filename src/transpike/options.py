"""Recipes and metrics as plain values, as a command line or a form gives them."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from transpike.analysis import MEASURES, Metric
from transpike.choice import AUTO
from transpike.codings import Poisson, RateCode, Regular
from transpike.errors import ArgumentError, choose, positive_whole
from transpike.factories import find_factory
from transpike.neurons import FirstToMargin
from transpike.passes import (
    AccumulateMaxPool,
    CompeteForMax,
    CountSpikes,
    DecodeOutputs,
    FitIntegers,
    GateMaxPool,
    MaxPoolForm,
    MultiplyCounts,
    MultiplyMeans,
    NormaliseOutputs,
    PoolEachStep,
)
from transpike.recipe import Recipe, find_recipe

INPUTS: dict[str, Callable[[int], RateCode]] = {"poisson": lambda seed: Poisson(seed=seed), "regular": lambda _: Regular()}
OUTPUTS: dict[str, tuple[CountSpikes, ...]] = {"potential": (), "spikes": (CountSpikes(),)}
PRODUCTS: dict[str, MultiplyMeans | MultiplyCounts] = {"values": MultiplyMeans(), "counts": MultiplyCounts()}
MAX_POOLS: dict[str, MaxPoolForm] = {
    "exact": AccumulateMaxPool(),
    "step": PoolEachStep(),
    "gated": GateMaxPool(),
    "winner-take-all": CompeteForMax(),
}


@dataclass(frozen=True, kw_only=True)
class RecipeChoice:
    """A recipe by name and the changes that were asked for; None, and "constant" input, leave what the recipe has."""

    name: str
    percentile: float | None = None
    input: str = "constant"
    seed: int = 0
    output: str | None = None
    margin: float | None = None
    softmax: bool = False
    max_pool: str | None = None
    window: int | None = None
    population: int | None = None
    populations: tuple[tuple[str, int], ...] = ()  # sizes of other populations, by patterns of names
    relays: bool = False
    products: str | None = None
    weight_bits: int | None = None
    potential_bits: int | None = None

    def recipe(self) -> Recipe | str:
        """Return the recipe; "auto" stands for itself and takes no changes. Raises ArgumentError for what does not fit."""
        if self.name == AUTO:
            if self != RecipeChoice(name=AUTO, seed=self.seed):
                raise ArgumentError("Recipe 'auto' chooses by itself: leave out the options that change a recipe, or name one.")
            return AUTO
        return self.changed(find_recipe(self.name))

    def changed(self, recipe: Recipe) -> Recipe:
        """Return a recipe with the changes that were asked for."""
        if self.percentile is not None:
            recipe = recipe.with_percentile(self.percentile)
        if self.window is not None:
            recipe = recipe.with_window(positive_whole("window", self.window))
        if self.population is not None or self.populations:
            recipe = recipe.with_population(self.population, dict(self.populations))
        if self.products is not None:
            recipe = recipe.with_products(PRODUCTS[choose("products", self.products, PRODUCTS)])
        if self.relays:
            recipe = recipe.with_relays()
        if self.max_pool is not None:
            recipe = recipe.with_max_pool(MAX_POOLS[choose("max-pool", self.max_pool, MAX_POOLS)])
        if self.output is not None or self.margin is not None or self.softmax:
            count = OUTPUTS[choose("output", self.output or "potential", OUTPUTS)]
            decode = DecodeOutputs() if self.margin is None else DecodeOutputs(FirstToMargin(self.margin))
            recipe = recipe.with_output(*count, decode, *[NormaliseOutputs()] * self.softmax)
        if choose("input", self.input, ["constant", *INPUTS]) != "constant":
            recipe = recipe.with_input(INPUTS[self.input](self.seed))
        return self.in_bits(recipe)

    def in_bits(self, recipe: Recipe) -> Recipe:
        """Return a recipe in whole numbers, if bits were asked for."""
        if self.weight_bits is None and self.potential_bits is None:
            return recipe
        whole = FitIntegers()
        if self.weight_bits is not None:
            whole = dataclasses.replace(whole, weight_bits=self.weight_bits)
        if self.potential_bits is not None:
            whole = dataclasses.replace(whole, potential_bits=self.potential_bits)
        return recipe.with_integers(whole)


def load_metric(spec: str) -> Any:
    """Return the metric that `spec` names: one of `MEASURES`, or what a factory gives, `path/to/file.py:factory`.

    A factory that takes no arguments is called; a function of (outputs, targets), or an object with update and compute, is
    the metric itself. Raises ArgumentError.
    """
    module_name, colon, attribute = spec.rpartition(":")
    if not colon:
        return choose("metric", spec, MEASURES)
    found = find_factory(module_name, attribute)
    if isinstance(found, Metric) and not inspect.isclass(found):
        return found
    try:
        inspect.signature(found).bind()
    except TypeError:
        return found
    return found()
