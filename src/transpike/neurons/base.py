"""What all spiking neurons share: a membrane that integrates, a threshold, and what a spike is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from transpike.errors import ArgumentError
from transpike.parts import Op, State, Stateful, full_map


class Membrane(State):
    """Membrane potentials [batch, ...], spike counts alike, and the threshold of each neuron [1, ...].

    `net` is the sum of the signed spikes in units of the threshold; it is `count` itself where all spikes are positive
    and single. `total` is the sum of what was sent.
    """

    def __init__(self, potential: Tensor, threshold: Tensor, heights: Tensor | None, *, separate_net: bool) -> None:
        self.potential: Tensor = potential
        self.threshold = threshold
        self.height = threshold if heights is None else full_map(heights[0], potential)
        self.count: Tensor = torch.zeros_like(potential)
        self.net = torch.zeros_like(potential) if separate_net else self.count
        self.sent = torch.empty_like(potential)
        self.steps = 0
        self.accumulated = torch.zeros_like(potential) if heights is not None and len(heights) > 1 else None

    def transmitted(self) -> Tensor:
        return self.net * self.height if self.accumulated is None else self.accumulated


@dataclass(frozen=True, eq=False)
class Neuron(Stateful):
    """A neuron that integrates its current, sends spikes and resets by subtraction.

    m[t] = v[t-1] + I[t] + bias[t];  n[t] = fire(m[t]), a whole number;  v[t] = m[t] - threshold n[t];
    sent[t] = height[t] n[t]; from v[0] = initial * threshold. For the first `delay` steps it neither integrates nor fires.
    Charge is conserved: v[T] = v[0] + sum of (I + bias) - threshold * sum of n; kinds that differ say by how much.

    `threshold`, `initial` and one row of `height` and `bias` broadcast against one sample (per channel: [C, 1, 1]);
    thresholds are positive and finite. `height` and `bias` have a leading axis of time: one row for all steps, or one row
    for each of the steps that the neuron was calibrated for. Without `height` a spike is worth the threshold.
    `activation` is what the neuron approaches as T grows, up to `most` times its threshold per step.
    """

    keeps: ClassVar[frozenset[str]] = frozenset({"count", "potential"})
    copies: ClassVar[int] = 5  # potential, count, sent, threshold, and the mask or quotient of one step
    membrane: ClassVar[type[Membrane]] = Membrane
    nets: ClassVar[bool] = False  # whether the sum of its spikes in thresholds differs from their number
    most: ClassVar[float] = 1  # how many thresholds at most it sends per step, on average
    least: ClassVar[float] = 0  # below 0 for neurons that can take spikes back

    threshold: Tensor
    initial: Tensor
    activation: Op
    height: Tensor | None = None
    bias: Tensor | None = None
    delay: int = 0

    @property
    def bits_per_spike(self) -> int:
        """How many bits tell a spike from its neighbours, beside its place and time."""
        return 1

    @property
    def members(self) -> int:
        """How many neurons stand for one value together."""
        return 1

    @property
    def own_window(self) -> int | None:
        """How many time steps its code takes; None if it can run for any number."""
        return None

    def with_window(self, steps: int) -> Neuron:  # noqa: ARG002 - kinds with a window of their own can
        """Return neurons of this kind with another window. Raises ArgumentError if they have none of their own."""
        raise ArgumentError(f"{type(self).__name__} neurons run for as many time steps as are asked for: give time_steps=.")

    def tells_apart(self, time_steps: int) -> int:
        """Return how many values above 0 it can send within `time_steps`, evenly spaced up to its ceiling."""
        return round(self.most * time_steps)

    @property
    def accumulates(self) -> int:
        """How many accumulates a spike costs at each connection that it arrives over."""
        return 1

    @property
    def at_once(self) -> int:
        """How many spikes a neuron may send in one step."""
        return 1

    def loudest(self, step: int) -> Tensor:
        """Return what a neuron that is stuck, and always fires, sends in a step [..., broadcasting against one sample]."""
        return max(1, self.most) * (self.threshold if self.height is None else row(self.height, step))

    def restarts(self, step: int) -> bool:  # noqa: ARG002 - most never do
        """Return whether `State.transmitted` begins anew with a step, counted from 1."""
        return False

    def start(self, x: Tensor, first_sample: int = 0) -> Membrane:  # noqa: ARG002 - deterministic
        threshold = full_map(self.threshold, x)
        potential = torch.empty_like(x).copy_((threshold * self.initial).expand_as(x))
        return self.membrane(potential, threshold, self.height, separate_net=self.nets)

    def first_potential(self) -> Tensor:
        """Return the potentials before the first step [..., broadcasting against one sample]."""
        return self.threshold * self.initial

    def fire(self, state: Membrane) -> Tensor:
        """Return, in `state.sent`, how many thresholds each neuron sends, given its potential."""
        raise NotImplementedError

    def step(self, state: Membrane, x: Tensor) -> Tensor:
        state.steps += 1
        if state.steps <= self.delay:
            return state.sent.zero_()
        self.integrate(state, x)
        spikes = self.fire(state)
        self.note(state, spikes)
        self.reset(state, spikes)
        return self.worth(state, spikes)

    def worth(self, state: Membrane, spikes: Tensor) -> Tensor:
        """Return what the spikes of a step send, in their place: each its height."""
        if state.accumulated is None or self.height is None:
            return spikes.mul_(state.height)
        sent = spikes.mul_(row(self.height, state.steps))
        state.accumulated.add_(sent)
        return sent

    def integrate(self, state: Membrane, x: Tensor) -> None:
        """Add the current of one step to the potential."""
        state.potential.add_(x)
        if self.bias is not None:
            state.potential.add_(row(self.bias, state.steps))

    def reset(self, state: Membrane, spikes: Tensor) -> None:
        """Take from the potential what the spikes carry away."""
        state.potential.addcmul_(spikes, state.threshold, value=-1)

    def note(self, state: Membrane, spikes: Tensor) -> None:
        """Count the spikes of one step."""
        state.count.add_(spikes)

    def mean_sent(self, currents: Tensor, time_steps: int) -> Tensor:  # noqa: ARG002 - for neurons that know a closed form
        """Return what the neuron sends on average [n, ...] over the steps of `currents` [time, n, ...]."""
        state = self.start(currents[0])
        for current in currents:
            self.step(state, current)
        return state.transmitted() / self.counted(len(currents))

    def ceiling(self) -> Tensor:
        """Return the largest mean value that the neuron can send [..., broadcasting against one sample]."""
        return self.most * (self.threshold if self.height is None else self.height.mean(0))

    def reach(self, time_steps: int) -> Tensor:  # noqa: ARG002 - where the mean has a bound, it does not depend on time
        """Return the largest value that the neuron's output can be decoded as after `time_steps`."""
        return self.ceiling()

    def counted(self, time_steps: int) -> int:
        """Return how many of the first `time_steps` steps `State.transmitted` sums over: all in which the neuron may fire."""
        return max(1, time_steps - self.delay)

    def listens(self) -> slice:
        """Return the steps, counted from 0, in which the neuron integrates its input."""
        return slice(self.delay, None)

    def analogue(self) -> Op:
        return self.activation


def row(table: Tensor, step: int) -> Tensor:
    """Return the row of a table for time step `step` (from 1); raise ArgumentError past its end."""
    if len(table) == 1:
        return table[0]
    if step > len(table):
        raise ArgumentError(
            f"This network was calibrated for {len(table)} time steps, with weights that differ from step to step: it "
            f"cannot run for more. Simulate {len(table)} steps, or convert it with a larger time_steps=."
        )
    return table[step - 1]
