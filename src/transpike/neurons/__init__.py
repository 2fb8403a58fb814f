"""The menu of ops that keep state in time: neurons, the output integrator, pooling of accumulated values."""

from __future__ import annotations

from transpike.neurons.base import Membrane, Neuron
from transpike.neurons.burst import Burst, Graded, SignedGraded
from transpike.neurons.even import EvenFiring, sent_by
from transpike.neurons.integrate_and_fire import IntegrateAndFire
from transpike.neurons.integrator import Integrator
from transpike.neurons.leaky import LeakyIntegrateAndFire, PreciseLeaky
from transpike.neurons.leaky_cell import Drive, LeakyCell, fitted_drive
from transpike.neurons.max_pool import AccumulatedMaxPool
from transpike.neurons.multi_threshold import MultiThreshold
from transpike.neurons.refractory import Refractory
from transpike.neurons.reset_to_zero import ResetToZero
from transpike.neurons.restarting import OffsetCalibrated, ResidualSilenced
from transpike.neurons.ternary import Ternary
from transpike.parts import Op, Stateful

SPIKING: tuple[type[Neuron], ...] = (
    IntegrateAndFire,
    ResetToZero,
    Refractory,
    LeakyIntegrateAndFire,
    PreciseLeaky,
    Ternary,
    Burst,
    Graded,
    SignedGraded,
    MultiThreshold,
    ResidualSilenced,
    OffsetCalibrated,
)
NEURONS: tuple[type[Stateful], ...] = (*SPIKING, EvenFiring, Integrator, AccumulatedMaxPool)
CELLS: tuple[type[Op], ...] = (LeakyCell,)  # what neurons are made of

__all__ = [
    "CELLS",
    "NEURONS",
    "SPIKING",
    "AccumulatedMaxPool",
    "Burst",
    "Drive",
    "EvenFiring",
    "Graded",
    "IntegrateAndFire",
    "Integrator",
    "LeakyCell",
    "LeakyIntegrateAndFire",
    "Membrane",
    "MultiThreshold",
    "Neuron",
    "OffsetCalibrated",
    "PreciseLeaky",
    "Refractory",
    "ResetToZero",
    "ResidualSilenced",
    "SignedGraded",
    "Ternary",
    "fitted_drive",
    "sent_by",
]
