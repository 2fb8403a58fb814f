"""Recipes of population coding: no time steps, each value is how many of many neurons fire."""

from __future__ import annotations

from transpike.parts import Method
from transpike.passes import (
    AccumulateMaxPool,
    CalibratedThresholds,
    InsertPopulations,
    NormalThresholds,
    PopulationThresholds,
    QuantileThresholds,
)
from transpike.recipe.base import STRUCTURE, Recipe

LIMITS = "activations that do not fall; softmax at the output only; products of gates are not spikes"


def population(name: str, title: str, citation: str, thresholds: PopulationThresholds) -> Recipe:
    """Return a recipe with populations of 1,000 neurons."""
    passes = (InsertPopulations(thresholds), *STRUCTURE, AccumulateMaxPool())
    return Recipe(Method(name, title, citation, schedule="sequential", limits=LIMITS), passes)


POPULATIONS = (
    population(
        "population-normal",
        "A population of 1,000 neurons per value with thresholds drawn from a normal distribution, whose curve is S-shaped",
        "a thesis on conversion, section 5.2",
        NormalThresholds(),
    ),
    population(
        "population-quantile",
        "A population of 1,000 neurons per value with thresholds at the quantiles of the activation's derivative",
        "this project",
        QuantileThresholds(),
    ),
    population(
        "population-calibrated",
        "population-quantile on hardware with thresholds off by 10 % and 2 % dead neurons, each neuron with a weight fitted "
        "to what the hardware really has",
        "this project",
        CalibratedThresholds(),
    ),
)
