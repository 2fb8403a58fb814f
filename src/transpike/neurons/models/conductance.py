"""Models of the currents through a membrane: Hodgkin and Huxley, Morris and Lecar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from transpike.neurons.models.base import Model
from transpike.neurons.models.currents import Current, Step
from transpike.neurons.models.equations import parameter
from transpike.neurons.models.functions import exp, ramp, tanh

MEASURED_AT = 6.3  # degrees Celsius of the squid's axon


@dataclass(frozen=True, kw_only=True)
class HodgkinHuxley(Model):
    """The squid's giant axon: sodium, potassium and leak currents behind gates that open and close with the voltage.

    C dV/dt = I - g_Na m^3 h (V - E_Na) - g_K n^4 (V - E_K) - g_L (V - E_L)
    dx/dt = phi (alpha_x(V) (1 - x) - beta_x(V) x) for the gates x = m, h, n, with phi = 3^((temperature - 6.3) / 10)

    alpha_m = 0.1 (V + 40) / (1 - e^(-(V + 40) / 10)),  beta_m = 4 e^(-(V + 65) / 18)
    alpha_h = 0.07 e^(-(V + 65) / 20),  beta_h = 1 / (1 + e^(-(V + 35) / 10))
    alpha_n = 0.01 (V + 55) / (1 - e^(-(V + 55) / 10)),  beta_n = 0.125 e^(-(V + 65) / 80)

    V is the potential inside, -65 mV at rest; the paper counts from rest with the opposite sign. A spike is a rise through
    0 mV. Rest loses its stability at 9.78 µA/cm² and gains it again at 154.5 (Hassard 1978; Rinzel and Miller 1980);
    a shock that lifts the membrane by 7 mV makes it fire, one of 6 mV does not (figure 12 of the paper, at 6 degrees).

    Source: Hodgkin and Huxley 1952, Journal of Physiology 117:500, equations 12, 13, 20, 21, 23, 24, 26 and table 3.

    >>> axon = HodgkinHuxley()
    >>> round(axon.rest()[0], 1)
    -65.0
    >>> course = axon.solve(Step(1.0, 40.0, 10.0), 40.0)
    >>> len(course.spikes), round(course["V"].max())
    (3, 40)
    """

    title: ClassVar[str] = "Hodgkin-Huxley"
    citation: ClassVar[str] = "Hodgkin and Huxley 1952"
    variables: ClassVar[dict[str, str]] = {"V": "mV", "m": "1", "h": "1", "n": "1"}
    current_unit: ClassVar[str] = "µA/cm²"
    example: ClassVar[Current] = Step(5.0, 45.0, 10.0)
    duration: ClassVar[float] = 60.0

    capacitance: float = parameter(1.0, "µF/cm²", "C", above=0)
    sodium: float = parameter(120.0, "mS/cm²", "g_Na, all sodium gates open", least=0)
    potassium: float = parameter(36.0, "mS/cm²", "g_K, all potassium gates open", least=0)
    leak: float = parameter(0.3, "mS/cm²", "g_L", above=0)
    sodium_reversal: float = parameter(50.0, "mV", "E_Na")
    potassium_reversal: float = parameter(-77.0, "mV", "E_K")
    leak_reversal: float = parameter(-54.387, "mV", "E_L, so that the membrane rests at -65 mV")
    temperature: float = parameter(6.3, "degrees Celsius", "speeds up the gates threefold per 10 degrees")

    def gates(self, voltage: Any) -> tuple[tuple[Any, Any], ...]:
        """Return alpha and beta of the gates m, h and n, in 1/ms at 6.3 degrees."""
        return (
            (ramp((voltage + 40) / 10), 4 * exp(-(voltage + 65) / 18)),
            (0.07 * exp(-(voltage + 65) / 20), 1 / (1 + exp(-(voltage + 35) / 10))),
            (0.1 * ramp((voltage + 55) / 10), 0.125 * exp(-(voltage + 65) / 80)),
        )

    def derivative(self, state: Any, current: Any) -> tuple[Any, ...]:
        v, m, h, n = state
        speed = 3 ** ((self.temperature - MEASURED_AT) / 10)
        through = (
            self.sodium * m * m * m * h * (v - self.sodium_reversal)
            + self.potassium * n * n * n * n * (v - self.potassium_reversal)
            + self.leak * (v - self.leak_reversal)
        )
        moving = (speed * (a * (1 - x) - b * x) for x, (a, b) in zip((m, h, n), self.gates(v), strict=True))
        return ((current - through) / self.capacitance, *moving)

    def excess(self, state: Any) -> Any:
        return state[0]

    def near_rest(self) -> tuple[float, ...]:
        return (-65.0, *(a / (a + b) for a, b in self.gates(-65.0)))


@dataclass(frozen=True, kw_only=True)
class MorrisLecar(Model):
    """The barnacle's muscle fibre: an instantaneous calcium current against a slow potassium current.

    C dV/dt = I - g_Ca m(V) (V - E_Ca) - g_K w (V - E_K) - g_L (V - E_L)
    dw/dt = phi cosh((V - V3) / (2 V4)) (w_oo(V) - w)
    m(V) = (1 + tanh((V - V1) / V2)) / 2,  w_oo(V) = (1 + tanh((V - V3) / V4)) / 2

    The parameters make rest lose its stability by oscillation, at 94 and again at 212 µA/cm²; calcium 4, V3 = 12, V4 = 17.4
    and phi = 1/15 instead make it fire from rate 0 on, from 40 µA/cm² (Ermentrout and Terman 2010, Mathematical Foundations
    of Neuroscience, chapter 3). A spike is a rise through 0 mV.

    Source: Morris and Lecar 1981, Biophysical Journal 35:193; parameters of Rinzel and Ermentrout 1998, Methods in
    Neuronal Modeling, appendix A.

    >>> fibre = MorrisLecar()
    >>> round(fibre.rest()[0], 1)
    -60.9
    >>> len(fibre.solve(Step(0.0, 400.0, 120.0), 400.0).spikes)
    6
    """

    title: ClassVar[str] = "Morris-Lecar"
    citation: ClassVar[str] = "Morris and Lecar 1981"
    variables: ClassVar[dict[str, str]] = {"V": "mV", "w": "1"}
    current_unit: ClassVar[str] = "µA/cm²"
    example: ClassVar[Current] = Step(50.0, 450.0, 120.0)
    duration: ClassVar[float] = 600.0

    capacitance: float = parameter(20.0, "µF/cm²", "C", above=0)
    calcium: float = parameter(4.4, "mS/cm²", "g_Ca, all calcium gates open", least=0)
    potassium: float = parameter(8.0, "mS/cm²", "g_K, all potassium gates open", least=0)
    leak: float = parameter(2.0, "mS/cm²", "g_L", above=0)
    calcium_reversal: float = parameter(120.0, "mV", "E_Ca")
    potassium_reversal: float = parameter(-84.0, "mV", "E_K")
    leak_reversal: float = parameter(-60.0, "mV", "E_L")
    v1: float = parameter(-1.2, "mV", "V1, where half of the calcium gates are open")
    v2: float = parameter(18.0, "mV", "V2, over which they open", above=0)
    v3: float = parameter(2.0, "mV", "V3, where half of the potassium gates open")
    v4: float = parameter(30.0, "mV", "V4, over which they open", above=0)
    phi: float = parameter(0.04, "1/ms", "least rate of the potassium gates", above=0)

    def derivative(self, state: Any, current: Any) -> tuple[Any, ...]:
        v, w = state
        through = (
            self.calcium * (1 + tanh((v - self.v1) / self.v2)) / 2 * (v - self.calcium_reversal)
            + self.potassium * w * (v - self.potassium_reversal)
            + self.leak * (v - self.leak_reversal)
        )
        wanted = (1 + tanh((v - self.v3) / self.v4)) / 2
        half = exp((v - self.v3) / (2 * self.v4))
        return (current - through) / self.capacitance, self.phi * (half + 1 / half) / 2 * (wanted - w)

    def excess(self, state: Any) -> Any:
        return state[0]

    def near_rest(self) -> tuple[float, ...]:
        return (self.leak_reversal, 0.0)
