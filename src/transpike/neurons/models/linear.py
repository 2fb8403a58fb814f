"""Models that are linear between spikes, so that a step can be made exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from transpike.neurons.leaky_cell import LeakyCell
from transpike.neurons.models.base import Model
from transpike.neurons.models.currents import Current, Pulses, Step
from transpike.neurons.models.equations import parameter
from transpike.neurons.models.functions import at_least


@dataclass(frozen=True, kw_only=True)
class IF(Model):
    """Integrate-and-fire without a leak: a capacitor that is emptied at the threshold.

    C dV/dt = I;  at V = threshold: V <- reset

    pF, mV, pA and ms form one system. Under a constant current the rate is I / (C (threshold - reset)).

    Source: Lapicque 1907, Journal de Physiologie et de Pathologie Générale 9:620; Gerstner et al. 2014, Neuronal Dynamics,
    section 1.3.

    >>> cell = IF()
    >>> cell.rate(100.0)
    0.025
    >>> cell.solve(Step(0.0, 100.0, 100.0), 100.0).spikes.round(6).tolist()
    [40.0, 80.0]
    """

    title: ClassVar[str] = "IF"
    citation: ClassVar[str] = "Lapicque 1907"
    variables: ClassVar[dict[str, str]] = {"V": "mV"}
    current_unit: ClassVar[str] = "pA"
    example: ClassVar[Current] = Step(20.0, 175.0, 250.0)
    duration: ClassVar[float] = 200.0
    resets: ClassVar[bool] = True
    linear: ClassVar[bool] = True

    capacitance: float = parameter(200.0, "pF", "C", above=0)
    threshold: float = parameter(-50.0, "mV", "V at which it spikes")
    after: float = parameter(-70.0, "mV", "V after a spike, and from which it starts")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.after < self.threshold, "a reset below the threshold")

    def derivative(self, state: Any, current: Any) -> tuple[Any, ...]:  # noqa: ARG002 - there is no leak
        return (current / self.capacitance,)

    def excess(self, state: Any) -> Any:
        return state[0] - self.threshold

    def reset(self, state: Any) -> tuple[Any, ...]:  # noqa: ARG002 - all states lead to one
        return (self.after,)

    def near_rest(self) -> tuple[float, ...]:
        return (self.after,)

    def rate(self, current: float) -> float:
        """Return the spikes per ms under a constant current in pA."""
        return max(0.0, current) / (self.capacitance * (self.threshold - self.after))


@dataclass(frozen=True, kw_only=True)
class LIF(Model):
    """Leaky integrate-and-fire: a capacitor with a leak, emptied at the threshold, then silent for a while.

    C dV/dt = -g (V - rest) + I;  at V = threshold: V <- reset, and V stays there for the refractory period

    pF, nS, mV, pA and ms form one system. The rate is that of `neurons.LeakyCell`, above the rheobase g (threshold - rest):
    1 / (refractory + tau ln((V_inf - reset) / (V_inf - threshold))), with V_inf = rest + I / g and tau = C / g.

    Source: Stein 1965, Biophysical Journal 5:173; Gerstner et al. 2014, Neuronal Dynamics, sections 1.3 and 5.3.

    >>> cell = LIF()
    >>> cell.rheobase, round(cell.rate(300.0), 4), round(cell.first_spike(300.0), 3)
    (200.0, 0.0417, 21.972)
    >>> cell.solve(Step(0.0, 60.0, 300.0), 60.0).spikes.round(3).tolist()
    [21.972, 45.944]
    """

    title: ClassVar[str] = "LIF"
    citation: ClassVar[str] = "Stein 1965"
    variables: ClassVar[dict[str, str]] = {"V": "mV"}
    current_unit: ClassVar[str] = "pA"
    example: ClassVar[Current] = Step(20.0, 180.0, 300.0)
    duration: ClassVar[float] = 200.0
    resets: ClassVar[bool] = True
    linear: ClassVar[bool] = True

    capacitance: float = parameter(200.0, "pF", "C", above=0)
    conductance: float = parameter(10.0, "nS", "g", above=0)
    resting: float = parameter(-70.0, "mV", "V without a current")
    threshold: float = parameter(-50.0, "mV", "V at which it spikes")
    after: float = parameter(-70.0, "mV", "V after a spike")
    refractory: float = parameter(2.0, "ms", "pause after a spike", least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(max(self.resting, self.after) < self.threshold, "rest and reset below the threshold")

    def derivative(self, state: Any, current: Any) -> tuple[Any, ...]:
        return ((current - self.conductance * (state[0] - self.resting)) / self.capacitance,)

    def excess(self, state: Any) -> Any:
        return state[0] - self.threshold

    def reset(self, state: Any) -> tuple[Any, ...]:  # noqa: ARG002 - all states lead to one
        return (self.after,)

    def near_rest(self) -> tuple[float, ...]:
        return (self.resting,)

    @property
    def pause(self) -> float:
        return self.refractory

    @property
    def cell(self) -> LeakyCell:
        """The closed forms, whose equations hold in any system of units: here with rates in 1/ms."""
        return LeakyCell(self.capacitance, self.conductance, self.resting, self.threshold, self.after, self.refractory)

    @property
    def rheobase(self) -> float:
        """The constant current, in pA, that it must exceed to spike at all."""
        return self.cell.rheobase

    def rate(self, current: float) -> float:
        """Return the spikes per ms under a constant current in pA."""
        return float(self.cell(torch.tensor(current, dtype=torch.float64)))

    def first_spike(self, current: float) -> float:
        """Return when, in ms, it first spikes from rest under a constant current in pA; infinity if never."""
        return float(self.cell.time_to_spike(torch.tensor(current, dtype=torch.float64), self.resting))


@dataclass(frozen=True, kw_only=True)
class ResonateAndFire(Model):
    """A damped oscillation that spikes at a height: it answers to rhythm rather than to strength.

    dx/dt = b x - omega y + I
    dy/dt = omega x + b y
    at y = 1: x <- 0, y <- 1

    y stands for the potential, x for the currents through the membrane. The published numbers are 1/s where 1 is a second; here
    time is without units. A pulse turns into a swing of period 2 pi / omega: a second one that comes a period later adds
    to it, one half a period later undoes it.

    Source: Izhikevich 2001, Neural Networks 14:883 (with b = -1, omega = 10).

    >>> neuron = ResonateAndFire()
    >>> [len(neuron.solve(Pulses((0.1, 0.1 + wait * neuron.period), 0.8), 3.0).spikes) for wait in (0.5, 1.0)]
    [0, 1]
    """

    title: ClassVar[str] = "resonate-and-fire"
    citation: ClassVar[str] = "Izhikevich 2001"
    variables: ClassVar[dict[str, str]] = {"x": "1", "y": "1"}
    shown: ClassVar[str] = "y"
    time_unit: ClassVar[str] = "1"
    current_unit: ClassVar[str] = "1"
    example: ClassVar[Current] = Pulses((0.5, 0.5 + math.pi / 10, 3.0, 3.0 + 2 * math.pi / 10), 0.8)
    duration: ClassVar[float] = 5.0
    resets: ClassVar[bool] = True
    linear: ClassVar[bool] = True

    b: float = parameter(-1.0, "1", "b, damping")
    omega: float = parameter(10.0, "1", "omega, frequency of the swing", above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.b < 0, "a damping b below 0")

    def derivative(self, state: Any, current: Any) -> tuple[Any, ...]:
        x, y = state
        return self.b * x - self.omega * y + current, self.omega * x + self.b * y

    def excess(self, state: Any) -> Any:
        return state[1] - 1

    def reset(self, state: Any) -> tuple[Any, ...]:  # noqa: ARG002 - all states lead to one
        return 0.0, 1.0

    def near_rest(self) -> tuple[float, ...]:
        return (0.0, 0.0)

    @property
    def period(self) -> float:
        """The time 2 pi / omega of one swing."""
        return 2 * math.pi / self.omega


@dataclass(frozen=True, kw_only=True)
class MihalasNiebur(Model):
    """A generalised leaky neuron: two currents that spikes set off, and a threshold that follows the potential.

    dI_j/dt = -k_j I_j for j = 1, 2
    dV/dt = I + I_1 + I_2 - leak (V - E_L)
    dtheta/dt = a (V - E_L) - b (theta - theta_oo)
    at V = theta: I_j <- R_j I_j + A_j, V <- V_r, theta <- max(theta_r, theta)

    All currents are divided by the capacitance, in mV/ms. The other published patterns are other a, A_1 and A_2, such as
    tonic bursts with a = 0.005 per ms, A_1 = 10 and A_2 = -0.6 mV/ms under 2 mV/ms, and spikes that become fewer with a =
    0.005 alone; the default fires evenly under 1.5 mV/ms, as the paper's panel of tonic spiking does.

    Source: Mihalas and Niebur 2009, Neural Computation 21:704, section 2 and table 1.

    >>> bursting = MihalasNiebur(a=0.005, first_kick=10.0, second_kick=-0.6)
    >>> intervals = bursting.solve(Step(0.0, 500.0, 2.0), 500.0).intervals
    >>> bool(intervals.max() > 5 * intervals.min())
    True
    """

    title: ClassVar[str] = "Mihalas-Niebur"
    citation: ClassVar[str] = "Mihalas and Niebur 2009"
    variables: ClassVar[dict[str, str]] = {"V": "mV", "theta": "mV", "I1": "mV/ms", "I2": "mV/ms"}
    current_unit: ClassVar[str] = "mV/ms"
    example: ClassVar[Current] = Step(20.0, 180.0, 1.5)
    duration: ClassVar[float] = 200.0
    resets: ClassVar[bool] = True
    linear: ClassVar[bool] = True

    leak: float = parameter(0.05, "1/ms", "G / C", above=0)
    resting: float = parameter(-70.0, "mV", "E_L")
    after: float = parameter(-70.0, "mV", "V_r, after a spike")
    least_threshold: float = parameter(-60.0, "mV", "theta_r, of which the threshold is at least that after a spike")
    resting_threshold: float = parameter(-50.0, "mV", "theta_oo")
    a: float = parameter(0.0, "1/ms", "a, how the threshold follows V")
    b: float = parameter(0.01, "1/ms", "b, how fast it returns", above=0)
    first_decay: float = parameter(0.2, "1/ms", "k_1", above=0)
    second_decay: float = parameter(0.02, "1/ms", "k_2", above=0)
    first_kept: float = parameter(0.0, "1", "R_1, what a spike leaves of I_1")
    second_kept: float = parameter(1.0, "1", "R_2, what a spike leaves of I_2")
    first_kick: float = parameter(0.0, "mV/ms", "A_1, what a spike adds to I_1")
    second_kick: float = parameter(0.0, "mV/ms", "A_2, what a spike adds to I_2")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(max(self.resting, self.after) < min(self.least_threshold, self.resting_threshold), "E_L, V_r < theta")

    def derivative(self, state: Any, current: Any) -> tuple[Any, ...]:
        v, theta, first, second = state
        return (
            current + first + second - self.leak * (v - self.resting),
            self.a * (v - self.resting) - self.b * (theta - self.resting_threshold),
            -self.first_decay * first,
            -self.second_decay * second,
        )

    def excess(self, state: Any) -> Any:
        return state[0] - state[1]

    def reset(self, state: Any) -> tuple[Any, ...]:
        _, theta, first, second = state
        kicks = self.first_kept * first + self.first_kick, self.second_kept * second + self.second_kick
        return self.after, at_least(theta, self.least_threshold), *kicks

    def near_rest(self) -> tuple[float, ...]:
        return (self.resting, self.resting_threshold, 0.0, 0.0)
