"""The menu of ops that keep state in time: neurons, the output integrator, pooling of accumulated values."""

from __future__ import annotations

from transpike.neurons.integrate_and_fire import IntegrateAndFire
from transpike.neurons.integrator import Integrator
from transpike.neurons.max_pool import AccumulatedMaxPool
from transpike.parts import Stateful

NEURONS: tuple[type[Stateful], ...] = (IntegrateAndFire, Integrator, AccumulatedMaxPool)

__all__ = ["NEURONS", "AccumulatedMaxPool", "IntegrateAndFire", "Integrator"]
