"""Small models as users write them: whoever adds a model to a table here has it tested by every law."""

from __future__ import annotations

from zoo.attention import TRANSFORMERS
from zoo.families import FAMILIES
from zoo.features_activation import ACTIVATION_FEATURES
from zoo.features_layer import LAYER_FEATURES
from zoo.features_shape import SHAPE_FEATURES
from zoo.features_structure import STRUCTURE_FEATURES
from zoo.prepare import Factory
from zoo.smooth import SMOOTH

ZOO: dict[str, Factory] = FAMILIES
FEATURES: dict[str, Factory] = {**ACTIVATION_FEATURES, **LAYER_FEATURES, **SHAPE_FEATURES, **STRUCTURE_FEATURES}

# What no recipe of ReLU-like neurons converts: capture, folding and the recipes that have rules for any op are tested on it.
ANALOGUE: dict[str, Factory] = {**SMOOTH, **TRANSFORMERS}

__all__ = ["ANALOGUE", "FEATURES", "SMOOTH", "TRANSFORMERS", "ZOO"]
