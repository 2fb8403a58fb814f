"""The menu of ops that keep state in time: neurons, the output integrator, pooling of accumulated values."""

from __future__ import annotations

from transpike.neurons.base import Membrane, Neuron
from transpike.neurons.burst import Burst, Graded
from transpike.neurons.even import EvenFiring, sent_by
from transpike.neurons.integrate_and_fire import IntegrateAndFire
from transpike.neurons.integrator import Integrator
from transpike.neurons.max_pool import AccumulatedMaxPool
from transpike.neurons.ternary import Ternary
from transpike.parts import Stateful

SPIKING: tuple[type[Neuron], ...] = (IntegrateAndFire, Ternary, Burst, Graded)
NEURONS: tuple[type[Stateful], ...] = (*SPIKING, EvenFiring, Integrator, AccumulatedMaxPool)

__all__ = [
    "NEURONS",
    "SPIKING",
    "AccumulatedMaxPool",
    "Burst",
    "EvenFiring",
    "Graded",
    "IntegrateAndFire",
    "Integrator",
    "Membrane",
    "Neuron",
    "Ternary",
    "sent_by",
]
