"""The menu of ops that keep state in time: neurons, decoders of the output, pooling in time."""

from __future__ import annotations

from transpike.neurons import models as models
from transpike.neurons.base import Membrane, Neuron
from transpike.neurons.burst import Burst, Graded, SignedGraded
from transpike.neurons.delayed import Delayed
from transpike.neurons.differential import DifferenceDecoder, DifferenceMaxPool, DifferenceNeuron, first_spike
from transpike.neurons.even import EvenFiring, sent_by
from transpike.neurons.integrate_and_fire import IntegrateAndFire
from transpike.neurons.integrator import Integrator
from transpike.neurons.leaky import EulerLeaky, LeakyIntegrateAndFire, PreciseLeaky
from transpike.neurons.leaky_cell import Drive, LeakyCell, fitted_drive
from transpike.neurons.look_ahead import LookAhead
from transpike.neurons.margin import EarlyExit, FirstToMargin
from transpike.neurons.max_pool import AccumulatedMaxPool, GatedMaxPool, StepMaxPool, TemporalMaxPool
from transpike.neurons.multi_threshold import MultiThreshold
from transpike.neurons.refractory import Refractory
from transpike.neurons.reset_to_zero import ResetToZero
from transpike.neurons.restarting import OffsetCalibrated, ResidualSilenced
from transpike.neurons.ternary import Ternary
from transpike.neurons.winner_take_all import WinnerTakeAll
from transpike.parts import Decoder, Op, Stateful

SPIKING: tuple[type[Neuron], ...] = (
    IntegrateAndFire,
    ResetToZero,
    Refractory,
    LeakyIntegrateAndFire,
    PreciseLeaky,
    EulerLeaky,
    Ternary,
    Burst,
    Graded,
    SignedGraded,
    MultiThreshold,
    ResidualSilenced,
    OffsetCalibrated,
    LookAhead,
)
DIFFERENTIAL: tuple[type[Stateful], ...] = (DifferenceNeuron, DifferenceMaxPool, DifferenceDecoder)
DECODERS: tuple[type[Decoder], ...] = (Integrator, FirstToMargin, EarlyExit)
MAX_POOLS: tuple[type[Stateful], ...] = (AccumulatedMaxPool, StepMaxPool, GatedMaxPool, WinnerTakeAll)
NEURONS: tuple[type[Stateful], ...] = (*SPIKING, EvenFiring, *DECODERS, *MAX_POOLS, *DIFFERENTIAL, Delayed)
CELLS: tuple[type[Op], ...] = (LeakyCell,)  # what neurons are made of

__all__ = [
    "CELLS",
    "DECODERS",
    "DIFFERENTIAL",
    "MAX_POOLS",
    "NEURONS",
    "SPIKING",
    "AccumulatedMaxPool",
    "Burst",
    "Delayed",
    "DifferenceDecoder",
    "DifferenceMaxPool",
    "DifferenceNeuron",
    "Drive",
    "EarlyExit",
    "EulerLeaky",
    "EvenFiring",
    "FirstToMargin",
    "GatedMaxPool",
    "Graded",
    "IntegrateAndFire",
    "Integrator",
    "LeakyCell",
    "LeakyIntegrateAndFire",
    "LookAhead",
    "Membrane",
    "MultiThreshold",
    "Neuron",
    "OffsetCalibrated",
    "PreciseLeaky",
    "Refractory",
    "ResetToZero",
    "ResidualSilenced",
    "SignedGraded",
    "StepMaxPool",
    "TemporalMaxPool",
    "Ternary",
    "WinnerTakeAll",
    "first_spike",
    "fitted_drive",
    "sent_by",
]
