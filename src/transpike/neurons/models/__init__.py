"""The menu of neuron models: published equations, solved adaptively for one neuron or in fixed steps for many."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from transpike.neurons.models.adaptive import IZHIKEVICH, AdEx, Izhikevich, Quartic
from transpike.neurons.models.base import Model
from transpike.neurons.models.comparisons import strong_then_weak, three_pulses
from transpike.neurons.models.conductance import HodgkinHuxley, MorrisLecar
from transpike.neurons.models.convergence import StepError, fitted_order, orders, step_errors
from transpike.neurons.models.currents import Current, Pulses, Ramp, Step, Sum, read_current
from transpike.neurons.models.linear import IF, LIF, MihalasNiebur, ResonateAndFire
from transpike.neurons.models.oscillators import FitzHughNagumo, HindmarshRose
from transpike.neurons.models.quadratic import QIF
from transpike.neurons.models.solving import Course
from transpike.neurons.models.stepping import METHODS, Cells, Euler, Exact, Method, RungeKutta4, Steps

MODELS: Mapping[str, type[Model]] = MappingProxyType(
    {
        "hodgkin-huxley": HodgkinHuxley,
        "morris-lecar": MorrisLecar,
        "fitzhugh-nagumo": FitzHughNagumo,
        "hindmarsh-rose": HindmarshRose,
        "izhikevich": Izhikevich,
        "mihalas-niebur": MihalasNiebur,
        "quartic": Quartic,
        "if": IF,
        "lif": LIF,
        "qif": QIF,
        "adex": AdEx,
        "resonate-and-fire": ResonateAndFire,
    }
)

__all__ = [
    "IF",
    "IZHIKEVICH",
    "LIF",
    "METHODS",
    "MODELS",
    "QIF",
    "AdEx",
    "Cells",
    "Course",
    "Current",
    "Euler",
    "Exact",
    "FitzHughNagumo",
    "HindmarshRose",
    "HodgkinHuxley",
    "Izhikevich",
    "Method",
    "MihalasNiebur",
    "Model",
    "MorrisLecar",
    "Pulses",
    "Quartic",
    "Ramp",
    "ResonateAndFire",
    "RungeKutta4",
    "Step",
    "StepError",
    "Steps",
    "Sum",
    "fitted_order",
    "orders",
    "read_current",
    "step_errors",
    "strong_then_weak",
    "three_pulses",
]
