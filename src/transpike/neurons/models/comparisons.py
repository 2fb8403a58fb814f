"""Neurons side by side under the same current: what a leak does to a weak current and to spikes that come apart."""

from __future__ import annotations

from transpike.neurons.models.conductance import HodgkinHuxley
from transpike.neurons.models.currents import Pulses, Step
from transpike.neurons.models.linear import IF, LIF
from transpike.neurons.models.solving import Course

STRONG_THEN_WEAK = Step(5.0, 33.0, 10.0) + Step(55.0, 100.0, 3.0)  # in µA/cm²
APART, TOGETHER = (2.0, 5.0, 8.0), (4.0, 5.0, 6.0)  # ms


def strong_then_weak() -> dict[str, Course]:
    """Return the courses of a Hodgkin-Huxley, a LIF and an IF neuron under a strong current and then a weak one.

    Both make two spikes or more of the strong current; of the weak one the axon makes one, the leaky neuron none, and the
    one without a leak two. Per cm² of membrane: µF, mS, mV, µA and ms form one system. As figure 2.4 of the thesis shows it.

    >>> {name: len(course.spikes) for name, course in strong_then_weak().items()}
    {'Hodgkin-Huxley': 3, 'LIF': 2, 'IF': 4}
    """
    leaky, perfect = LIF(capacitance=5.0, conductance=0.16), IF(capacitance=5.0)
    return {model.title: model.solve(STRONG_THEN_WEAK, 110.0) for model in (HodgkinHuxley(), leaky, perfect)}


def three_pulses() -> dict[tuple[str, tuple[float, ...]], Course]:
    """Return the courses of a LIF and an IF neuron under three spikes that come apart, or close together.

    Each spike lifts the potential by 0.4 of the threshold, the leak has a time constant of 10 ms: 0.4 (1 + e^-0.3 + e^-0.6) =
    0.92 stays below the threshold, 0.4 (1 + e^-0.1 + e^-0.2) = 1.09 does not. As figure 2.5 of the thesis shows it.

    >>> [len(course.spikes) for course in three_pulses().values()]
    [0, 1, 1, 1]
    """
    leaky = LIF(capacitance=1.0, conductance=0.1, resting=0.0, threshold=1.0, after=0.0, refractory=0.0)
    perfect = IF(capacitance=1.0, threshold=1.0, after=0.0)
    return {
        (model.title, times): model.solve(Pulses(times, 0.4), 10.0) for model in (leaky, perfect) for times in (APART, TOGETHER)
    }
