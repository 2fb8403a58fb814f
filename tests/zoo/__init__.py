"""Small models as users write them: whoever adds a model to a table here has it tested by every law."""

from __future__ import annotations

from zoo.families import FAMILIES
from zoo.features_activation import ACTIVATION_FEATURES
from zoo.features_layer import LAYER_FEATURES
from zoo.features_shape import SHAPE_FEATURES
from zoo.features_structure import STRUCTURE_FEATURES
from zoo.prepare import Factory

ZOO: dict[str, Factory] = FAMILIES
FEATURES: dict[str, Factory] = {**ACTIVATION_FEATURES, **LAYER_FEATURES, **SHAPE_FEATURES, **STRUCTURE_FEATURES}

__all__ = ["FEATURES", "ZOO"]
