"""Phase coding with one spike: neurons that send the time at which an oscillation lifts them over the threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.errors import positive_whole
from transpike.neurons.one_spike import OneSpike, after_spike
from transpike.neurons.pointwise import quantised, reaching
from transpike.neurons.windowed import Windowed


@dataclass(frozen=True, eq=False)
class Phase(OneSpike):
    """Neurons that fire once in a window of N steps, the earlier the more they received; late steps stand for small values.

    n = clip(floor(z N / threshold + initial), 0, N) is the message; for n >= `smallest` the spike comes in slot k = N + 1 - n
    and is worth (N + 1 - k) / N = n / N of the height; smaller values are not sent. A global oscillation lifts all potentials
    by threshold / N per step of the transmitting window, from 0 in its first slot: the neuron fires when it reaches the
    threshold. The spike's amplitude falls through the window, for which a resistor that follows the oscillation is enough
    (amplitude adaption); the oscillation starts at -threshold, so that no neuron fires while it listens. After its spike a
    neuron is refractory until the end. A bias comes from a neuron that fires in the first slot (bias lane).
    Source: Mueller et al. 2022 (neural oscillations), a thesis on conversion, sections 6.2.1 and 6.2.2, equations 6.4 and 6.5.
    """

    smallest: int = 1

    def tells_apart(self, time_steps: int) -> int:  # noqa: ARG002 - its window is its own
        return self.levels

    def slots(self, time_steps: int) -> Tensor:
        return torch.arange(time_steps, 0, -1, dtype=torch.float64) / time_steps

    def sent(self, mean_current: Tensor, time_steps: int) -> tuple[Tensor, Tensor]:
        unit, bias = self.constants(time_steps)
        given = self.threshold, self.initial, time_steps, unit, self.smallest, bias
        return quantised(mean_current, time_steps, *given)

    def value(self, message: Tensor, time_steps: int) -> Tensor:
        return message * (self.worth_of_spike() / time_steps)

    def oscillation(self, step: int, time_steps: int) -> float:
        """Return the oscillation in thresholds in slot `step`, counted from -N + 1 while the neuron listens."""
        return (step - 1) / time_steps

    def listening(self, integrated: Tensor, step: int, time_steps: int) -> Tensor:
        rounding = self.initial / time_steps
        return integrated + self.threshold * (rounding + self.oscillation(step - time_steps, time_steps))

    def transmitting(self, integrated: Tensor, message: Tensor, step: int, time_steps: int) -> Tensor:
        lifted = integrated + self.threshold * (self.initial / time_steps + self.oscillation(step, time_steps))
        return after_spike(lifted, message, step, time_steps)


@dataclass(frozen=True, eq=False)
class PulsePhase(Phase):
    """Phase neurons whose spike starts a constant current that lasts to the end of the receivers' listening window.

    A spike in slot k delivers height / N in each of the slots k ... N: the same (N + 1 - k) / N in the end, without spikes of
    different amplitudes (pulse-duration adaption). The oscillation is a triangle: it falls from the threshold to 0 while the
    neuron listens and rises again while it transmits; the sum of the pulses runs against it.
    Source: Mueller et al. 2022, a thesis on conversion, section 6.2.3, equation 6.6.
    """

    def delivered(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        return self.value((message - (time_steps - step)).clamp(min=0), time_steps)

    def course(self, message: Tensor, steps: range, time_steps: int) -> Tensor:
        return Windowed.course(self, message, steps, time_steps)

    def oscillation(self, step: int, time_steps: int) -> float:
        return abs(step - 1) / time_steps


@dataclass(frozen=True, eq=False)
class RampedPhase(PulsePhase):
    """Phase neurons without an oscillation: a ramp of slope threshold per window starts when they begin to transmit.

    `FirstSpikeTime` on a clock of N ticks per window. While a neuron listens its potential is the sum of the pulses alone, so
    that it must be kept from firing.
    Source: Stanojevic et al. 2023, with times rounded to a grid.
    """

    def oscillation(self, step: int, time_steps: int) -> float:
        return max(0, step - 1) / time_steps


@dataclass(frozen=True, eq=False)
class FirstSpikeTime(Windowed):
    """Neurons whose spike comes at a time that says their value exactly: t = t_max - value, t_max the window's end.

    While a neuron listens, each spike adds its weight to the slope of the potential, which therefore ends at z; then a ramp
    of slope threshold per window lifts it to the threshold. Values above the threshold fire at the start of the window. The
    time is a real number within the window, which counts as one step: nothing is quantised. The message is the share of the
    window that is left.
    Source: Stanojevic et al. 2023 (exact mapping from ReLU networks to single-spike networks), with slope 1 and ramps that
    start together.
    """

    single: ClassVar[bool] = True

    @property
    def own_window(self) -> int:
        return 1

    def with_window(self, steps: int) -> RampedPhase:
        return RampedPhase(self.threshold, self.initial, self.activation, levels=positive_whole("window", steps))

    def slots(self, time_steps: int) -> Tensor:
        return torch.ones(time_steps, dtype=torch.float64)

    def encoded(self, mean_current: Tensor, time_steps: int) -> Tensor:  # noqa: ARG002 - one window
        return (self.with_bias(mean_current) / self.threshold).clamp(0, 1)

    def postponed(self, message: Tensor, by: Tensor) -> Tensor:
        return (message - by).clamp(torch.finfo(message.dtype).tiny, 1)

    def train(self, message: Tensor, step: int, time_steps: int) -> Tensor:  # noqa: ARG002
        return (message > 0).to(message.dtype)

    def spikes(self, message: Tensor, time_steps: int, until: int | None = None) -> Tensor:  # noqa: ARG002 - one window
        return torch.gt(message, 0, out=torch.empty_like(message))  # floats: faster than truth values

    def spikes_of_samples(self, message: Tensor, time_steps: int) -> Tensor:  # noqa: ARG002 - one window
        return reaching(message, float(torch.nextafter(message.new_zeros(()), message.new_ones(()))))

    def delivered(self, message: Tensor, step: int, time_steps: int) -> Tensor:  # noqa: ARG002
        return message * self.worth_of_spike()

    def times(self, message: Tensor, time_steps: int) -> Tensor:  # noqa: ARG002
        return (1 - message).masked_fill(message == 0, torch.inf)

    def transmitting(self, integrated: Tensor, message: Tensor, step: int, time_steps: int) -> Tensor:  # noqa: ARG002
        return (integrated + self.threshold).masked_fill(message > 0, 0)
