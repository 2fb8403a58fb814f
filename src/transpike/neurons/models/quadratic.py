"""The quadratic integrate-and-fire neuron: the simplest that makes its own spikes, and fires from rate 0 on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from transpike.neurons.models.base import Model
from transpike.neurons.models.currents import Current, Step
from transpike.neurons.models.equations import parameter
from transpike.neurons.models.functions import at_most


@dataclass(frozen=True, kw_only=True)
class QIF(Model):
    """Quadratic integrate-and-fire: what any neuron looks like where its rest vanishes on an invariant circle.

    C dV/dt = k (V - rest) (V - critical) + I;  at V = peak: V <- reset

    pF, nS/mV, mV, pA and ms form one system. Above the rheobase k (critical - rest)^2 / 4 the time between spikes is
    (C / root) (atan(k (peak - m) / root) - atan(k (reset - m) / root)) with m = (rest + critical) / 2 and root = sqrt(k (I -
    rheobase)); with peak and reset at infinity the rate is root / (pi C): the square-root law of the invariant circle.

    Source: Ermentrout and Kopell 1986, SIAM Journal on Applied Mathematics 46:233; parameters of the regular spiking neuron
    in Izhikevich 2007, Dynamical Systems in Neuroscience, section 8.2, without its recovery.

    >>> cell = QIF()
    >>> cell.rheobase, round(cell.rate(100.0), 4), round(cell.circle_rate(100.0), 4)
    (70.0, 0.0307, 0.0146)
    >>> intervals = cell.solve(Step(0.0, 300.0, 100.0), 300.0).intervals
    >>> bool(abs(intervals - 1 / cell.rate(100.0)).max() < 1e-5)
    True
    """

    title: ClassVar[str] = "QIF"
    citation: ClassVar[str] = "Ermentrout and Kopell 1986"
    variables: ClassVar[dict[str, str]] = {"V": "mV"}
    current_unit: ClassVar[str] = "pA"
    example: ClassVar[Current] = Step(20.0, 260.0, 100.0)
    duration: ClassVar[float] = 300.0
    resets: ClassVar[bool] = True

    capacitance: float = parameter(100.0, "pF", "C", above=0)
    k: float = parameter(0.7, "nS/mV", "k, of the square", above=0)
    resting: float = parameter(-60.0, "mV", "V without a current")
    critical: float = parameter(-40.0, "mV", "V beyond which it runs away without a current")
    peak: float = parameter(35.0, "mV", "V at which a spike ends")
    after: float = parameter(-50.0, "mV", "V after a spike")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.resting < self.critical < self.peak, "rest < critical < peak")
        self.require(self.after < self.peak, "a reset below its peak")

    def derivative(self, state: Any, current: Any) -> tuple[Any, ...]:
        v = at_most(state[0], self.peak)
        return ((self.k * (v - self.resting) * (v - self.critical) + current) / self.capacitance,)

    def excess(self, state: Any) -> Any:
        return state[0] - self.peak

    def reset(self, state: Any) -> tuple[Any, ...]:  # noqa: ARG002 - all states lead to one
        return (self.after,)

    def near_rest(self) -> tuple[float, ...]:
        return (self.resting,)

    @property
    def rheobase(self) -> float:
        """The constant current, in pA, that leaves no rest."""
        return self.k * (self.critical - self.resting) ** 2 / 4

    def rate(self, current: float) -> float:
        """Return the spikes per ms under a constant current in pA."""
        if current <= self.rheobase:
            return 0.0
        root, middle = math.sqrt(self.k * (current - self.rheobase)), (self.resting + self.critical) / 2
        turns = [math.atan(self.k * (end - middle) / root) for end in (self.after, self.peak)]
        return root / (self.capacitance * (turns[1] - turns[0]))

    def circle_rate(self, current: float) -> float:
        """Return the rate on the invariant circle, in 1/ms: with the peak and the reset at infinity."""
        return math.sqrt(self.k * max(0.0, current - self.rheobase)) / (math.pi * self.capacitance)
