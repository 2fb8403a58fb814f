"""The menu of ops that keep state in time: neurons, decoders of the output, pooling in time."""

from __future__ import annotations

from transpike.neurons.base import Membrane, Neuron
from transpike.neurons.burst import Burst, Graded
from transpike.neurons.differential import DifferenceDecoder, DifferenceMaxPool, MultiThreshold, first_spike
from transpike.neurons.integrate_and_fire import IntegrateAndFire
from transpike.neurons.integrator import Integrator
from transpike.neurons.margin import FirstToMargin
from transpike.neurons.max_pool import AccumulatedMaxPool, GatedMaxPool, StepMaxPool, TemporalMaxPool
from transpike.neurons.ternary import Ternary
from transpike.neurons.winner_take_all import WinnerTakeAll
from transpike.parts import Decoder, Stateful

SPIKING: tuple[type[Neuron], ...] = (IntegrateAndFire, Ternary, Burst, Graded)
DIFFERENTIAL: tuple[type[Stateful], ...] = (MultiThreshold, DifferenceMaxPool, DifferenceDecoder)
DECODERS: tuple[type[Decoder], ...] = (Integrator, FirstToMargin)
MAX_POOLS: tuple[type[Stateful], ...] = (AccumulatedMaxPool, StepMaxPool, GatedMaxPool, WinnerTakeAll)
NEURONS: tuple[type[Stateful], ...] = (*SPIKING, *DECODERS, *MAX_POOLS, *DIFFERENTIAL)

__all__ = [
    "DECODERS",
    "DIFFERENTIAL",
    "MAX_POOLS",
    "NEURONS",
    "SPIKING",
    "AccumulatedMaxPool",
    "Burst",
    "DifferenceDecoder",
    "DifferenceMaxPool",
    "FirstToMargin",
    "GatedMaxPool",
    "Graded",
    "IntegrateAndFire",
    "Integrator",
    "Membrane",
    "MultiThreshold",
    "Neuron",
    "StepMaxPool",
    "TemporalMaxPool",
    "Ternary",
    "WinnerTakeAll",
    "first_spike",
]
