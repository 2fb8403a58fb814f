"""Models that keep the shape of a spike and drop the currents: FitzHugh and Nagumo, Hindmarsh and Rose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from transpike.neurons.models.base import Model
from transpike.neurons.models.currents import Current, Step
from transpike.neurons.models.equations import parameter


@dataclass(frozen=True, kw_only=True)
class FitzHughNagumo(Model):
    """A fast variable with two stable branches and a slow one that drives it round: the least that is excitable.

    dv/dt = v - v^3 / 3 - w + I
    dw/dt = epsilon (v + a - b w)

    Without units. Rest loses its stability where v^2 = 1 - epsilon b, so between I = 0.3313 and 1.4187 the neuron
    oscillates. FitzHugh writes it with c = 3 in a time 3 times as fast, so epsilon = 1 / c^2 = 0.111; 0.08 is usual since.
    A spike is a rise through v = 1.

    Source: FitzHugh 1961, Biophysical Journal 1:445; Nagumo, Arimoto and Yoshizawa 1962, Proceedings of the
    IRE 50:2061.

    >>> neuron = FitzHughNagumo()
    >>> [round(x, 3) for x in neuron.rest()]
    [-1.199, -0.624]
    >>> len(neuron.solve(Step(0.0, 200.0, 0.5), 200.0).spikes)
    5
    """

    title: ClassVar[str] = "FitzHugh-Nagumo"
    citation: ClassVar[str] = "FitzHugh 1961"
    variables: ClassVar[dict[str, str]] = {"v": "1", "w": "1"}
    shown: ClassVar[str] = "v"
    time_unit: ClassVar[str] = "1"
    current_unit: ClassVar[str] = "1"
    example: ClassVar[Current] = Step(20.0, 220.0, 0.5)
    duration: ClassVar[float] = 300.0

    a: float = parameter(0.7, "1", "a, shifts the line on which w rests")
    b: float = parameter(0.8, "1", "b, its slope", above=0)
    epsilon: float = parameter(0.08, "1", "epsilon, how much slower w is than v", above=0)

    def derivative(self, state: Any, current: Any) -> tuple[Any, ...]:
        v, w = state
        return v - v * v * v / 3 - w + current, self.epsilon * (v + self.a - self.b * w)

    def excess(self, state: Any) -> Any:
        return state[0] - 1

    def near_rest(self) -> tuple[float, ...]:
        return (-1.2, -0.6)


@dataclass(frozen=True, kw_only=True)
class HindmarshRose(Model):
    """Spikes in bursts: a fast pair that spikes or rests, and a slow current that switches between the two.

    dx/dt = y - a x^3 + b x^2 - z + I
    dy/dt = c - d x^2 - y
    dz/dt = r (s (x - x_rest) - z)

    Without units. With these parameters it rests at I = 0, bursts at I = 2, and bursts without regularity at I = 3.25, the
    paper's case. A spike is a rise through x = 1.

    Source: Hindmarsh and Rose 1984, Proceedings of the Royal Society of London B 221:87.

    >>> neuron = HindmarshRose()
    >>> course = neuron.solve(Step(100.0, 1000.0, 2.0), 1000.0)
    >>> bool(course.intervals.max() > 5 * course.intervals.min())
    True
    """

    title: ClassVar[str] = "Hindmarsh-Rose"
    citation: ClassVar[str] = "Hindmarsh and Rose 1984"
    variables: ClassVar[dict[str, str]] = {"x": "1", "y": "1", "z": "1"}
    shown: ClassVar[str] = "x"
    time_unit: ClassVar[str] = "1"
    current_unit: ClassVar[str] = "1"
    example: ClassVar[Current] = Step(100.0, 1100.0, 2.0)
    duration: ClassVar[float] = 1200.0

    a: float = parameter(1.0, "1", "a, of the cubic", above=0)
    b: float = parameter(3.0, "1", "b, of the square in x")
    c: float = parameter(1.0, "1", "c, drive of y")
    d: float = parameter(5.0, "1", "d, of the square in y")
    r: float = parameter(0.005, "1", "r, how slow z is", above=0)
    s: float = parameter(4.0, "1", "s, how strongly z adapts")
    x_rest: float = parameter(-1.6, "1", "x at rest without z")

    def derivative(self, state: Any, current: Any) -> tuple[Any, ...]:
        x, y, z = state
        return (
            y - self.a * x * x * x + self.b * x * x - z + current,
            self.c - self.d * x * x - y,
            self.r * (self.s * (x - self.x_rest) - z),
        )

    def excess(self, state: Any) -> Any:
        return state[0] - 1

    def near_rest(self) -> tuple[float, ...]:
        return (self.x_rest, self.c - self.d * self.x_rest**2, 0.0)
