"""What the neurons of the sequential schedule share: they listen for one window and send in the next."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from transpike.neurons.base import Neuron
from transpike.neurons.pointwise import in_samples


@dataclass(frozen=True, eq=False)
class Windowed(Neuron):
    """Neurons that integrate a whole window of T steps and then send a message about what they collected.

    With z the mean current of the window, bias included, the message m = encoded(z) stands for the value
    height * sum over the slots k = 1 ... T of train[k] * slots[k], where train[k] in {-1, 0, 1} is the spike in slot k and
    slots[k] what the receiver weights it with. No spike depends on the order in which the current came, so there is no
    unevenness error: the network computes its quantised counterpart. Each layer costs a window: latency is T times the number
    of layers on the longest path, throughput one sample per window.

    Kinds state `encoded` or `sent`, `train` and `slots`; the rest follows from them, and where a closed form is faster they
    give it. A kind with a window of its own runs for that many steps only.
    """

    keeps: ClassVar[frozenset[str]] = frozenset({"count", "potential"})
    single: ClassVar[bool] = False  # whether a neuron fires at most once in a window, so that its message is a time

    def slots(self, time_steps: int) -> Tensor:
        """Return what a spike in each slot of the window is worth [time], in units of its height, in float64."""
        raise NotImplementedError

    def encoded(self, mean_current: Tensor, time_steps: int) -> Tensor:
        """Return the message of each neuron for the mean current of a window [batch, ...]; the bias of the neuron is added."""
        return self.sent(mean_current, time_steps)[0]

    def sent(self, mean_current: Tensor, time_steps: int) -> tuple[Tensor, Tensor]:
        """Return the message of each neuron, as `encoded` does, and what it stands for, as `value` does."""
        message = self.encoded(mean_current, time_steps)
        return message, self.value(message, time_steps)

    def disturbed(self, message: Tensor, first_sample: int) -> Tensor:  # noqa: ARG002 - most neurons are exact
        """Return the messages of samples [batch, ...], from place `first_sample` of the run on, as they arrive."""
        return message

    def postponed(self, message: Tensor, by: Tensor) -> Tensor:
        """Return the messages, none of them 0, of kinds that fire once, whose spikes come `by` steps later in the window."""
        raise NotImplementedError

    def train(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        """Return the spike of each neuron in slot `step`, from 1: 0, 1 or, for signed codes, -1."""
        raise NotImplementedError

    def spikes(self, message: Tensor, time_steps: int, until: int | None = None) -> Tensor:
        """Return how many spikes each neuron sends by slot `until`, in the whole window by default."""
        sent = torch.zeros_like(message)
        for step in range(1, (until or time_steps) + 1):
            sent.add_(self.train(message, step, time_steps).abs())
        return sent

    def spikes_of_samples(self, message: Tensor, time_steps: int) -> Tensor:
        """Return how many spikes all neurons send for each sample in the whole window [batch]."""
        return in_samples(self.spikes(message, time_steps))

    def value(self, message: Tensor, time_steps: int) -> Tensor:
        """Return what the message of each neuron stands for."""
        return self.delivered(message, time_steps, time_steps)

    def delivered(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        """Return what the receivers have of each message by slot `step`."""
        sent = torch.zeros_like(message)
        for k, worth in enumerate(self.slots(time_steps)[:step].tolist(), 1):
            sent.add_(self.train(message, k, time_steps), alpha=worth)
        return sent * self.worth_of_spike()

    def estimate(self, message: Tensor, step: int, time_steps: int) -> Tensor:
        """Return the value that a read-out takes a message for by slot `step`."""
        return self.delivered(message, step, time_steps)

    def course(self, message: Tensor, steps: range, time_steps: int) -> Tensor:
        """Return the estimates by each of some slots [steps, batch, ...]."""
        return torch.stack([self.estimate(message, step, time_steps) for step in steps])

    def times(self, message: Tensor, time_steps: int) -> Tensor:
        """Return the time of the first spike in steps from the start of the window; infinity where there is none."""
        first = torch.full_like(message, torch.inf)
        for step in range(time_steps, 0, -1):
            first = first.masked_fill(self.train(message, step, time_steps) != 0, step)
        return first

    def arrived(self, current: Tensor, step: int, time_steps: int) -> Tensor:  # noqa: ARG002 - for neurons with other inputs
        """Return what a neuron has integrated of its input by slot `step`, given the current of the estimates so far."""
        return current if self.bias is None else current + self.bias[0]

    def listening(self, integrated: Tensor, step: int, time_steps: int) -> Tensor:  # noqa: ARG002
        """Return the potential after slot `step` of the listening window, given what was integrated."""
        return integrated

    def transmitting(self, integrated: Tensor, message: Tensor, step: int, time_steps: int) -> Tensor:
        """Return the potential after slot `step` of the transmitting window: what was integrated less what was sent."""
        return integrated - self.delivered(message, step, time_steps) / self.worth_of_spike() * self.threshold

    def worth_of_spike(self) -> Tensor:
        """Return what a spike in a slot of worth 1 stands for."""
        return self.threshold if self.height is None else self.height[0]

    def constants(self, divisor: int) -> tuple[Tensor, Tensor | None]:
        """Return what a spike of worth 1 / divisor stands for and the bias, None without any: always the same tensors."""
        return constants_of(self, divisor)

    def with_bias(self, mean_current: Tensor) -> Tensor:
        """Return the mean current with the bias of the neurons."""
        return mean_current if self.bias is None else mean_current + self.bias[0]

    def mean_sent(self, currents: Tensor, time_steps: int) -> Tensor:
        return self.sent(currents.mean(0), time_steps)[1]


@lru_cache(maxsize=1024)
def constants_of(op: Windowed, divisor: int) -> tuple[Tensor, Tensor | None]:
    """Return `constants`, made once: loops know tensors again that they have laid out."""
    return op.worth_of_spike() / divisor, None if op.bias is None else op.bias[0]
