"""Recipes: how to convert, by name."""

from __future__ import annotations

from transpike.recipe.base import LIMITS, STRUCTURE, Recipe
from transpike.recipe.table import RECIPES, find_recipe

__all__ = ["LIMITS", "RECIPES", "STRUCTURE", "Recipe", "find_recipe"]
