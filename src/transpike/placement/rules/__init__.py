"""The rules by which networks are placed on chips; a chip names its own, and a rule is a file and a row."""

from __future__ import annotations

from transpike.placement.rules.axons import AXONS_AND_SYNAPSES
from transpike.placement.rules.base import Rule
from transpike.placement.rules.convolution import CONVOLUTION_CORES
from transpike.placement.rules.crossbar import CROSSBAR
from transpike.placement.rules.joined import JOINED_NEURONS
from transpike.placement.rules.neurons import NEURONS_PER_CORE
from transpike.placement.rules.population import ONE_POPULATION

RULES: dict[str, Rule] = {
    "convolution-cores": CONVOLUTION_CORES,
    "crossbar": CROSSBAR,
    "axons-and-synapses": AXONS_AND_SYNAPSES,
    "neurons-per-core": NEURONS_PER_CORE,
    "joined-neurons": JOINED_NEURONS,
    "one-population": ONE_POPULATION,
}

__all__ = ["RULES", "Rule"]
