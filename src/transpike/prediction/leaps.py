"""Walk a spiking network through time in a few leaps: weighted sums are renewed only where a leap begins.

At time t[k] each layer has received the spikes of t[k-1] .. t[k] in the layers below. A leap takes their mean for the current
of each of its steps, so that every weight is applied once per leap, as in one pass of the ANN, while the membranes keep what
a plain quantised ANN has not: a spike that was sent too early stays sent, and a neuron sends at most one per step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from transpike.errors import positive_whole
from transpike.network import Network
from transpike.network.grammar import decoded
from transpike.neurons import IntegrateAndFire, Membrane
from transpike.parts import Stateful
from transpike.simulation.stepper import Stepper, channels_last

PER_OCTAVE = 2


def leap_ends(time_steps: int, per_octave: int = PER_OCTAVE) -> tuple[int, ...]:
    """Return the steps at which leaps end: t[k] = round(2^(k / per_octave)), and `time_steps` itself.

    A leap is longer the later it comes, since the means over time settle as 1/t: the number of leaps grows with the
    logarithm of time. Raises ArgumentError unless both are whole numbers of at least 1.

    >>> leap_ends(64, per_octave=1)
    (1, 2, 4, 8, 16, 32, 64)
    >>> leap_ends(20)
    (1, 2, 3, 4, 6, 8, 11, 16, 20)
    """
    positive_whole("time_steps", time_steps)
    positive_whole("per_octave", per_octave)
    count = math.ceil(per_octave * math.log2(time_steps)) if time_steps > 1 else 0
    ends = {round(2 ** (k / per_octave)) for k in range(count)}
    return tuple(sorted({end for end in ends if end < time_steps} | {time_steps}))


@torch.inference_mode()
def leap_answers(network: Network, inputs: Sequence[Tensor], ends: Sequence[int], first_sample: int = 0) -> dict[int, Tensor]:
    """Return the first decoded output [batch, ...] of a spiking network at the end of each leap.

    `ends` are increasing steps. With leaps of one step each this is the simulation itself, spike for spike.
    """
    walk = Leaper(network, inputs, first_sample)
    key = next(iter(network.outputs))
    found: dict[int, Tensor] = {}
    for end in ends:
        found[end] = walk.leap(end - walk.now)[key].clone()
    return found


class Leaper(Stepper):
    """The state of a spiking network for one block of samples between two leaps; `now` is the number of steps made."""

    def __init__(self, network: Network, inputs: Sequence[Tensor], first_sample: int = 0) -> None:
        super().__init__(network, [channels_last(x) for x in inputs], first_sample)
        self.answers = decoded(network)
        self.now = 0
        self.length = 1

    def leap(self, length: int) -> dict[str, Tensor]:
        """Advance by `length` steps with one application of every weight; return the decoded outputs."""
        self.length = length
        self.now += length
        return self.step()

    def compute(self, name: str, values: dict[str, Tensor]) -> Tensor:
        node = self.network.nodes[name]
        if not isinstance(node.op, Stateful) or self.length == 1:
            return super().compute(name, values)
        x = values[node.inputs[0]]
        if name not in self.states:
            self.states[name] = node.op.start(x, self.first_sample)
        if name in self.answers:
            *_, answer = stepped(node.op, self.states[name], x, self.length)
            return answer
        return held(node.op, self.states[name], x, self.length)


def held(op: Stateful, state: Any, x: Tensor, length: int) -> Tensor:
    """Return the mean of what an op sends over `length` steps of the same input `x` [batch, ...]."""
    if type(op) is IntegrateAndFire and op.delay == 0 and steady(op.height) and steady(op.bias):
        return fired(op, state, x, length)
    mean = torch.zeros(())
    for sent in stepped(op, state, x, length):
        mean = mean + sent / length
    return mean


def stepped(op: Stateful, state: Any, x: Tensor, length: int) -> Iterator[Tensor]:
    """Yield what an op sends at each of `length` steps of the same input."""
    for _ in range(length):
        yield op.step(state, x)


def steady(table: Tensor | None) -> bool:
    """Whether a table over time is the same at each step."""
    return table is None or len(table) == 1


def fired(op: IntegrateAndFire, state: Membrane, x: Tensor, length: int) -> Tensor:
    """Return the mean that integrate-and-fire neurons send in a leap of n steps, in closed form.

    spikes = clip(floor((v + n x) / threshold), 0, n): what n single steps give for 0 <= x <= threshold and
    v < threshold (Bu et al. 2022, equation 12, from the potential v instead of the first).
    """
    state.steps += length
    state.potential.add_(x, alpha=length)
    if op.bias is not None:
        state.potential.add_(op.bias[0], alpha=length)
    spikes = torch.div(state.potential, state.threshold, out=state.sent).floor_().clamp_(0, length)
    state.count.add_(spikes)
    state.potential.addcmul_(spikes, state.threshold, value=-1)
    return spikes * state.height / length
