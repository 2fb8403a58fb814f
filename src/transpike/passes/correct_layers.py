"""Correct neurons layer by layer, each for the spikes that really reach it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from transpike.calibration import Samples
from transpike.calibration.layer import Layer
from transpike.calibration.walk import Walk
from transpike.network import Network, shapes
from transpike.network.grammar import need_no_loops
from transpike.network.turns import sequential
from transpike.neurons import Neuron
from transpike.parts import Op
from transpike.passes.corrections import Correction
from transpike.passes.insert_neurons import channel_axis

SAMPLE_STEPS = 8000  # samples times steps that a layer is corrected on
VALUES = 2**28  # at most this many values of one layer over all steps and samples


@dataclass(frozen=True)
class CorrectLayers:
    """Apply `corrections` in order to each layer of neurons, from the input on, with the layers before it corrected.

    The spiking network runs beside its ANN on the first calibration samples: as many as 8,000 sample-steps allow (fewer for
    layers so large that memory would not hold them), at most 1,000 and at least 32. Needs the number of time steps.
    With `shares`, each correction serves the means up to these fractions of the time steps alike, not only up to the last:
    the network is then right for any time in between. Squared errors after t steps count t^`emphasis` times.
    """

    corrections: tuple[Correction, ...]
    shares: tuple[float, ...] = ()
    emphasis: float = 0.0
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:
        need_no_loops(network, "corrects layer after layer")
        steps = samples.steps_for("This recipe")
        ranks = shapes(network)
        largest = max(math.prod(shape) for shape in ranks.values())
        each = 1 if sequential(network) else steps  # how many steps of a sample are simulated one by one
        count = max(32, min(1000, SAMPLE_STEPS // each, VALUES // (each * largest)))
        ends = tuple(sorted({max(1, round(share * steps)) for share in self.shares}))
        axes = {node.name: channel_axis(network, node, len(ranks[node.name])) for node in network.having(Neuron)}
        walk = Walk(network, samples.first(count), steps, axes, ends, self.emphasis)
        return walk.correct(self.corrected, samples.watch("Correcting layers", len(axes)))

    def corrected(self, layer: Layer) -> Layer:
        """Return a layer after all corrections."""
        for correction in self.corrections:
            layer = correction(layer)
        return layer
