"""Correct neurons layer by layer, each for the spikes that really reach it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from transpike.calibration import Samples
from transpike.calibration.layerwise import Layer, Walk
from transpike.network import Network, shapes
from transpike.parts import Op
from transpike.passes.corrections import Correction
from transpike.passes.insert_neurons import channel_axis

SAMPLE_STEPS = 4000  # samples times steps that a layer is corrected on
VALUES = 2**28  # at most this many values of one layer over all steps and samples


@dataclass(frozen=True)
class CorrectLayers:
    """Apply `corrections` in order to each layer of neurons, from the input on, with the layers before it corrected.

    The spiking network runs beside its ANN on the first calibration samples: as many as 4,000 sample-steps allow (fewer for
    layers so large that memory would not hold them), at most 1,000 and at least 32. Needs the number of time steps.
    """

    corrections: tuple[Correction, ...]
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:
        steps = samples.steps_for("This recipe")
        ranks = shapes(network)
        largest = max(math.prod(shape) for shape in ranks.values())
        count = max(32, min(1000, SAMPLE_STEPS // steps, VALUES // (steps * largest)))
        walk = Walk(network, samples.first(count), steps, lambda node: channel_axis(network, node, len(ranks[node.name])))
        return walk.correct(self.corrected)

    def corrected(self, layer: Layer) -> Layer:
        """Return a layer after all corrections."""
        for correction in self.corrections:
            layer = correction(layer)
        return layer
