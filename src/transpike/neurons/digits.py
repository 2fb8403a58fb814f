"""Phase coding with the digits of a number: neurons whose spikes are worth powers of two."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.errors import positive_whole
from transpike.neurons.pointwise import ones, ones_of_samples, quantised
from transpike.neurons.windowed import Windowed


@dataclass(frozen=True, eq=False)
class BinaryPhase(Windowed):
    """Neurons that send the bits of their value, the largest first: a spike in slot k is worth 2^(K-k) / (2^K - 1).

    q = clip(floor(z (2^K - 1) / threshold + initial), 0, 2^K - 1) is the message, its K bits are the spikes. The neuron itself
    only compares and subtracts: v = z + initial threshold / (2^K - 1); in slot k it fires if v is at least
    threshold 2^(K-k) / (2^K - 1), and is reduced by that much.
    Source: Kim et al. 2018 (weighted spikes); Stoeckl and Maass 2021 (few spikes, ReLU).
    """

    signed: ClassVar[bool] = False  # whether the digits of the message are -1, 0 or 1

    bits: int = 5

    @property
    def own_window(self) -> int:
        return self.bits

    def with_window(self, steps: int) -> BinaryPhase:
        return dataclasses.replace(self, bits=positive_whole("window", steps))

    def tells_apart(self, time_steps: int) -> int:  # noqa: ARG002 - its window is its own
        return self.most_levels

    @property
    def most_levels(self) -> int:
        """The largest message."""
        return 2**self.bits - 1

    def slots(self, time_steps: int) -> Tensor:
        return 2.0 ** torch.arange(time_steps - 1, -1, -1, dtype=torch.float64) / self.most_levels

    def sent(self, mean_current: Tensor, time_steps: int) -> tuple[Tensor, Tensor]:  # noqa: ARG002 - as many levels as bits allow
        most = self.most_levels
        unit, bias = self.constants(most)
        return quantised(mean_current, most, self.threshold, self.initial, most, unit, bias=bias)

    def train(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        return (message / 2 ** (time_steps - step)).floor_().remainder_(2)

    def spikes(self, message: Tensor, time_steps: int, until: int | None = None) -> Tensor:
        return ones(message, time_steps - (until or time_steps), signed=self.signed)

    def spikes_of_samples(self, message: Tensor, time_steps: int) -> Tensor:  # noqa: ARG002 - all digits
        return ones_of_samples(message, signed=self.signed)

    def value(self, message: Tensor, time_steps: int) -> Tensor:  # noqa: ARG002
        return message * (self.worth_of_spike() / self.most_levels)

    def delivered(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        power = 2 ** (time_steps - step)
        return (message / power).floor_() * (power * self.worth_of_spike() / self.most_levels)

    def listening(self, integrated: Tensor, step: int, time_steps: int) -> Tensor:  # noqa: ARG002
        return integrated + self.initial * self.threshold / self.most_levels

    def transmitting(self, integrated: Tensor, message: Tensor, step: int, time_steps: int) -> Tensor:
        return super().transmitting(integrated, message, step, time_steps) + self.initial * self.threshold / self.most_levels


@dataclass(frozen=True, eq=False)
class SignedDigits(BinaryPhase):
    """Neurons that send the digits -1, 0, 1 of their value in non-adjacent form: a third of them spikes instead of half.

    q as for `BinaryPhase`; its non-adjacent form has K + 1 digits, of which no two neighbours differ from 0. Slot k of K + 1
    is worth 2^(K+1-k) / (2^K - 1). The neuron fires in slot k, with the sign of v, where |v| is at least
    (floor(2^(K+2-k) / 3) + 1/2) units of threshold / (2^K - 1), which the slots after it could not make up for, and is changed
    by the worth of the slot. One bit and a sign.
    Source: Reitwiesner 1960 (non-adjacent form); as a spike code: this project.
    """

    signed: ClassVar[bool] = True

    @property
    def own_window(self) -> int:
        return self.bits + 1

    def with_window(self, steps: int) -> BinaryPhase:
        return dataclasses.replace(self, bits=positive_whole("window", steps - 1))

    @property
    def bits_per_spike(self) -> int:
        return 2

    def train(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        power = 2 ** (time_steps - step)
        tripled = (message * 3 / (2 * power)).floor_().remainder_(2)  # bit of 3q above that of q
        plain = (message / (2 * power)).floor_().remainder_(2)
        return tripled.sub_(plain)  # digits of (3q - q) / 2, bit by bit: 1 where only 3q has the bit, -1 where only q

    def delivered(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        power = 2 ** (time_steps - step)
        digits = (message * 3 / (2 * power)).floor_().sub_((message / (2 * power)).floor_())  # the highest, as one number
        return digits * (power * self.worth_of_spike() / self.most_levels)
