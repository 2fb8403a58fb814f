"""Two variables and a reset: a potential that runs away in a spike, and a recovery that each spike adds to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from transpike.neurons.models.base import Model
from transpike.neurons.models.currents import Current, Step
from transpike.neurons.models.equations import parameter
from transpike.neurons.models.functions import at_most, exp

STEEPEST = 20.0  # sharpnesses above the threshold: e^20 per time constant, beyond which time itself has too few digits


@dataclass(frozen=True, kw_only=True)
class Izhikevich(Model):
    """The simple model: the firing patterns of cortical neurons from four numbers.

    dv/dt = 0.04 v^2 + 5 v + 140 - u + I
    du/dt = a (b v - u)
    at v = 30: v <- c, u <- u + d

    Time in ms, v in mV; the other units follow from the constants. `IZHIKEVICH` has the published types of cells: regular
    spiking (the default), intrinsically bursting, chattering, fast spiking, low-threshold, thalamo-cortical and resonator.

    Source: Izhikevich 2003, IEEE Transactions on Neural Networks 14:1569, equations 1 to 3 and figure 2.

    >>> cell = Izhikevich()
    >>> [round(x, 3) for x in cell.rest()]
    [-70.0, -14.0]
    >>> len(cell.solve(Step(0.0, 300.0, 10.0), 300.0).spikes)
    8
    """

    title: ClassVar[str] = "Izhikevich"
    citation: ClassVar[str] = "Izhikevich 2003"
    variables: ClassVar[dict[str, str]] = {"v": "mV", "u": "mV/ms"}
    shown: ClassVar[str] = "v"
    current_unit: ClassVar[str] = "mV/ms"
    example: ClassVar[Current] = Step(20.0, 270.0, 10.0)
    duration: ClassVar[float] = 300.0
    resets: ClassVar[bool] = True

    a: float = parameter(0.02, "1/ms", "a, how fast u recovers", above=0)
    b: float = parameter(0.2, "1/ms", "b, how u follows v")
    c: float = parameter(-65.0, "mV", "c, v after a spike")
    d: float = parameter(8.0, "mV/ms", "d, what a spike adds to u")
    peak: float = parameter(30.0, "mV", "v at which a spike ends")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.c < self.peak, "a reset c below its peak")

    def derivative(self, state: Any, current: Any) -> tuple[Any, ...]:
        v, u = at_most(state[0], self.peak), state[1]
        return 0.04 * v * v + 5 * v + 140 - u + current, self.a * (self.b * v - u)

    def excess(self, state: Any) -> Any:
        return state[0] - self.peak

    def reset(self, state: Any) -> tuple[Any, ...]:
        return self.c, state[1] + self.d

    def near_rest(self) -> tuple[float, ...]:
        return (-70.0, -70.0 * self.b)


IZHIKEVICH: dict[str, Izhikevich] = {
    "regular spiking": Izhikevich(),
    "intrinsically bursting": Izhikevich(c=-55.0, d=4.0),
    "chattering": Izhikevich(c=-50.0, d=2.0),
    "fast spiking": Izhikevich(a=0.1, d=2.0),
    "low-threshold spiking": Izhikevich(b=0.25, d=2.0),
    "thalamo-cortical": Izhikevich(b=0.25, d=0.05),
    "resonator": Izhikevich(a=0.1, b=0.26, d=2.0),
}


@dataclass(frozen=True, kw_only=True)
class Quartic(Model):
    """Touboul's quartic model: a potential that explodes as v^4, with room for oscillations below the threshold.

    dv/dt = v^4 + 2 a v - w + I
    dw/dt = a (b v - w)
    at v = peak: v <- reset, w <- w + d

    Without units. For b > a rest loses its stability to oscillation at v = -(a/4)^(1/3), that is, at the current of
    `hopf()`; for b > 5a/2 the oscillations are stable, which no quadratic or exponential model with this recovery has.
    The equations are published; their parameters are free, and the defaults this program's choice: a = 1 and b = 1.5 rest
    without input.

    Source: Touboul 2008, SIAM Journal on Applied Mathematics 68:1045.

    >>> neuron = Quartic()
    >>> round(neuron.hopf(), 4)
    0.1575
    >>> len(neuron.solve(Step(0.0, 50.0, 1.0), 50.0).spikes) > 5
    True
    """

    title: ClassVar[str] = "quartic"
    citation: ClassVar[str] = "Touboul 2008"
    variables: ClassVar[dict[str, str]] = {"v": "1", "w": "1"}
    shown: ClassVar[str] = "v"
    time_unit: ClassVar[str] = "1"
    current_unit: ClassVar[str] = "1"
    example: ClassVar[Current] = Step(5.0, 45.0, 1.0)
    duration: ClassVar[float] = 60.0
    resets: ClassVar[bool] = True

    a: float = parameter(1.0, "1", "a, how fast w recovers, and the slope of v at 0", above=0)
    b: float = parameter(1.5, "1", "b, how w follows v")
    peak: float = parameter(10.0, "1", "v at which a spike ends")
    after: float = parameter(-1.0, "1", "v after a spike")
    d: float = parameter(0.5, "1", "d, what a spike adds to w")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.after < self.peak, "a reset below its peak")

    def derivative(self, state: Any, current: Any) -> tuple[Any, ...]:
        v, w = at_most(state[0], self.peak), state[1]
        return v * v * v * v + 2 * self.a * v - w + current, self.a * (self.b * v - w)

    def excess(self, state: Any) -> Any:
        return state[0] - self.peak

    def reset(self, state: Any) -> tuple[Any, ...]:
        return self.after, state[1] + self.d

    def near_rest(self) -> tuple[float, ...]:
        return (-1.0, -self.b)

    def hopf(self) -> float:
        """Return the current at which rest begins to oscillate; raises ArgumentError unless b > a."""
        self.require(self.b > self.a, "b > a, or rest vanishes before it oscillates")
        v = -((self.a / 4) ** (1 / 3))
        return self.b * v - v**4 - 2 * self.a * v


@dataclass(frozen=True, kw_only=True)
class AdEx(Model):
    """Adaptive exponential integrate-and-fire: an exponential onset of spikes and a current that adapts.

    C dV/dt = -g (V - E_L) + g slope e^((V - V_T) / slope) - w + I
    tau_w dw/dt = a (V - E_L) - w
    at V = peak: V <- E_L, w <- w + b

    pF, nS, mV, pA and ms form one system. The exponential is held from V_T + 20 slope on, where a spike has less than 1e-6 ms
    left and time too few digits to follow it. With these parameters rest begins to oscillate before it vanishes, at the
    current (g + a) (V* - E_L) - g slope (1 + tau_m / tau_w), V* = V_T + slope ln(1 + tau_m / tau_w), tau_m = C / g.

    Source: Brette and Gerstner 2005, Journal of Neurophysiology 94:3637; the rheobase follows
    Touboul and Brette 2008, Biological Cybernetics 99:319.

    >>> cell = AdEx()
    >>> round(cell.rheobase())
    627
    >>> len(cell.solve(Step(0.0, 300.0, 1000.0), 300.0).spikes)
    11
    """

    title: ClassVar[str] = "AdEx"
    citation: ClassVar[str] = "Brette and Gerstner 2005"
    variables: ClassVar[dict[str, str]] = {"V": "mV", "w": "pA"}
    current_unit: ClassVar[str] = "pA"
    example: ClassVar[Current] = Step(20.0, 270.0, 1000.0)
    duration: ClassVar[float] = 300.0
    resets: ClassVar[bool] = True

    capacitance: float = parameter(281.0, "pF", "C", above=0)
    conductance: float = parameter(30.0, "nS", "g, leak", above=0)
    leak_reversal: float = parameter(-70.6, "mV", "E_L, and the potential after a spike")
    threshold: float = parameter(-50.4, "mV", "V_T, where the exponential outgrows the leak")
    slope: float = parameter(2.0, "mV", "sharpness of the onset", above=0)
    time_constant: float = parameter(144.0, "ms", "tau_w, of the adaptation", above=0)
    a: float = parameter(4.0, "nS", "a, how w follows V", least=0)
    b: float = parameter(80.5, "pA", "b, what a spike adds to w")
    peak: float = parameter(20.0, "mV", "V at which a spike ends")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.leak_reversal < self.threshold < self.peak, "E_L < V_T < peak")

    def derivative(self, state: Any, current: Any) -> tuple[Any, ...]:
        v, w = at_most(state[0], self.peak), state[1]
        onset = self.conductance * self.slope * exp(at_most((v - self.threshold) / self.slope, STEEPEST))
        away = v - self.leak_reversal
        return (
            (onset - self.conductance * away - w + current) / self.capacitance,
            (self.a * away - w) / self.time_constant,
        )

    def excess(self, state: Any) -> Any:
        return state[0] - self.peak

    def reset(self, state: Any) -> tuple[Any, ...]:
        return self.leak_reversal, state[1] + self.b

    def near_rest(self) -> tuple[float, ...]:
        return (self.leak_reversal, 0.0)

    def rheobase(self) -> float:
        """Return the constant current, in pA, at which rest loses its stability."""
        share = min(self.capacitance / self.conductance / self.time_constant, self.a / self.conductance)
        highest = self.threshold + self.slope * math.log1p(share)
        whole = self.conductance + self.a
        return whole * (highest - self.leak_reversal) - self.conductance * self.slope * (1 + share)
