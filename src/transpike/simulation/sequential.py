"""The sequential schedule: each layer listens for a window of T steps and sends in the next.

What a layer sends depends on the sum of what it received alone, so that a window needs no steps: one pass through the network
gives the messages of all neurons, and the spikes of any step follow from them. Only what follows the last neurons is computed
step by step, since the answer forms during the last window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.network import Network
from transpike.network.loops import Loop, loops, membership, nodes_of, run_loop, schedule, side_by_side
from transpike.network.remembered import once
from transpike.network.turns import turns
from transpike.network.value import last_uses
from transpike.neurons import Windowed
from transpike.ops import Input
from transpike.parts import Stateful
from transpike.simulation.stepper import channels_last

FAR = 2**20  # samples between the draws for one element of a sequence and for the next
TOGETHER = 2**20  # values whose answers are computed at once, for several steps


@dataclass(frozen=True)
class Windows:
    """One block of samples after all windows: the message of every neuron, and what its network was given.

    `left` is what the loops would begin the next element with, by `Previous` node.
    """

    network: Network
    messages: Mapping[str, Tensor]
    before: Mapping[str, Tensor]
    given: Mapping[str, Tensor]
    time_steps: int
    left: Mapping[str, Tensor]

    def spikes_by(self, step: int | None = None) -> dict[str, Tensor]:
        """Return how many spikes each neuron has sent by `step` of the last window, or in all of it [batch, ...], by node.

        The windows of all but the last layers are over by then.
        """
        taken = turns(self.network)
        last = max((taken[name] for name in self.messages), default=0)
        return {name: self.spikes_of(name, step if taken[name] == last else None) for name in self.messages}

    def spikes_of(self, name: str, until: int | None = None) -> Tensor:
        """Return how many spikes each neuron of a node sends by slot `until` of its window, or in all of it [batch, ...]."""
        return neuron(self.network, name).spikes(self.messages[name], self.time_steps, until)

    def spikes_of_samples(self, name: str) -> Tensor:
        """Return how many spikes all neurons of a node send for each sample [batch]."""
        return neuron(self.network, name).spikes_of_samples(self.messages[name], self.time_steps)

    def transmitted(self, name: str) -> Tensor:
        """Return the sum over the window of what each neuron of a node sent, in units in which its mean is the value."""
        return neuron(self.network, name).value(self.messages[name], self.time_steps) * self.time_steps

    def outputs(self) -> dict[str, Tensor]:
        """Return the decoded answers after each step of the last window [time, batch, ...].

        What a loop collects of its last element is 0 until that window is over.
        """
        together = max(1, TOGETHER // max(value.numel() for value in self.before.values()))
        ends = range(1, self.time_steps + 1, together)
        parts = [self.after(range(first, min(first + together, self.time_steps + 1))) for first in ends]
        return {key: torch.cat([part[key] for part in parts]).unflatten(0, (self.time_steps, -1)) for key in parts[0]}

    def after(self, steps: range) -> dict[str, Tensor]:
        """Return the decoded answers after these steps of the last window, [steps x batch, ...] each."""
        collected = {name: loop for loop in loops(self.network).values() for name in loop.collected & self.before.keys()}
        values: dict[str, Tensor] = {}
        for name, value in self.before.items():
            values[name] = self.by(name, value, steps, collected.get(name))
        for name in once(self.network, "order of windows", ordered).after:
            values[name] = mean_value(self.network, name, values)
        size = len(steps) * len(next(iter(self.given.values())))
        answers = {key: values[name] for key, name in self.network.outputs.items()}
        return {key: value.expand(size, *value.shape[1:]) for key, value in answers.items()}

    def by(self, name: str, value: Tensor, steps: range, loop: Loop | None) -> Tensor:
        """Return what a node stands for after these steps of the last window, [steps x batch, ...]; a constant as it is.

        What a loop collects is there once its window is over.
        """
        if loop is not None:
            return torch.cat([value if step == self.time_steps else unfinished(loop, value) for step in steps])
        if name in self.messages:
            return neuron(self.network, name).course(self.messages[name], steps, self.time_steps).flatten(0, 1)
        return value if len(value) == 1 else torch.cat([value] * len(steps))  # of one sample: it broadcasts

    def train(self, name: str) -> Tensor:
        """Return whether each neuron of a node fires in each slot of its window [time, batch, ...]."""
        op, message = neuron(self.network, name), self.messages[name]
        return torch.stack([op.train(message, step, self.time_steps) != 0 for step in range(1, self.time_steps + 1)])

    def times(self, name: str) -> Tensor:
        """Return the time of the first spike of each neuron in steps from the start of its window [batch, ...]."""
        return neuron(self.network, name).times(self.messages[name], self.time_steps)

    def potentials(self, name: str) -> Tensor:
        """Return the potential after each slot of the window in which a node listens and of that in which it sends.

        [2 time, batch, ...]. What it received slot by slot follows from the messages of the neurons before it.
        """
        op, steps = neuron(self.network, name), self.time_steps
        trace = []
        integrated = self.messages[name]
        for step in range(1, steps + 1):
            integrated = op.arrived(self.received(name, step), step, steps)
            trace.append(op.listening(integrated, step, steps))
        trace += [op.transmitting(integrated, self.messages[name], step, steps) for step in range(1, steps + 1)]
        return torch.stack([one.expand_as(trace[-1]) for one in trace])

    def received(self, name: str, step: int) -> Tensor:
        """Return the current of a node as it follows from what the neurons before it have sent by `step`."""
        known: dict[str, Tensor] = dict(self.given)

        def find(source: str) -> Tensor:
            if source in self.messages:
                return neuron(self.network, source).estimate(self.messages[source], step, self.time_steps)
            if source not in known:
                for before in self.network.nodes[source].inputs:
                    known.setdefault(before, find(before))
                known[source] = mean_value(self.network, source, known)
            return known[source]

        return find(self.network.nodes[name].inputs[0])


def unfinished(loop: Loop, value: Tensor) -> Tensor:
    """Return the values of all elements of a loop [batch, elements, ...] before the window of the last one is over."""
    value = value.clone()
    value[:, 0 if loop.backwards else -1] = 0
    return value


def neuron(network: Network, name: str) -> Windowed:
    """Return the neurons of a node."""
    op = network.nodes[name].op
    assert isinstance(op, Windowed)
    return op


def run_windows(
    network: Network,
    inputs: Sequence[Tensor],
    time_steps: int,
    first_sample: int = 0,
    left: Mapping[str, Tensor] | None = None,
) -> Windows:
    """Run one block of samples [batch, ...] through all windows; `left` is what earlier elements left (see Windows)."""
    given = dict(zip(network.inputs, map(channels_last, inputs), strict=True))
    order = once(network, "order of windows", ordered)
    values: dict[str, Tensor] = {}
    messages: dict[str, Tensor] = {}
    sent: dict[str, list[Tensor]] = {}
    leaves: dict[str, Tensor] = {}

    def compute(name: str, known: Mapping[str, Tensor], element: int = 0) -> Tensor:
        op = network.nodes[name].op
        if isinstance(op, Input):
            return given[name]
        if not isinstance(op, Windowed):
            return mean_value(network, name, known)
        message, value = op.sent(known[network.nodes[name].inputs[0]], time_steps)
        received = op.disturbed(message, first_sample + element * FAR)
        sent.setdefault(name, []).append(received)
        return value if received is message else op.value(received, time_steps)

    for item in order.items:
        if isinstance(item, Loop):
            collected, states = run_loop(network, item, values, compute, before=left)
            values |= collected
            leaves |= states
        else:
            values[item] = compute(item, values)
        messages |= {name: together(item, each) for name, each in sent.items()}
        sent.clear()
        for done in [value for name in nodes_of(item) for value in order.frees.get(name, ())]:
            values.pop(done, None)
    return Windows(network, messages, values, given, time_steps, leaves)


@dataclass(frozen=True)
class Order:
    """In which order windows are computed, what no one needs after a node, and what forms the answer during the last window."""

    items: Sequence[str | Loop]
    frees: Mapping[str, Sequence[str]]
    after: Sequence[str]


def ordered(network: Network) -> Order:
    """Return the order of a network."""
    after = read_out(network)
    needed = {source for name in after for source in network.nodes[name].inputs} | set(network.outputs.values())
    names = [name for name in network.nodes if name not in set(after)]
    frees = {name: [one for one in done if one not in needed] for name, done in last_uses(network, names).items()}
    return Order(schedule(network, names), frees, after)


def together(item: str | Loop, each: list[Tensor]) -> Tensor:
    """Return the messages of a node, [batch, elements, ...] if it stands in a loop, whose elements came in its order."""
    if isinstance(item, Loop):
        return side_by_side(each[::-1] if item.backwards else each)
    return each[0]


def read_out(network: Network) -> list[str]:
    """Return the nodes that no neuron or loop follows: what forms the answer during the last window."""
    inside = membership(network)
    followed: set[str] = set()
    for name in reversed(list(network.nodes)):
        node = network.nodes[name]
        if isinstance(node.op, Windowed) or name in followed or name in inside:
            followed.update((name, *node.inputs))
    return [name for name in network.nodes if name not in followed]


def mean_value(network: Network, name: str, values: Mapping[str, Tensor]) -> Tensor:
    """Return the mean of a node over its window, given those of its inputs.

    The mean of accumulated maxima is the maximum of the means, and an integrator's is its input: every stateful op but the
    neurons does to means what its analogue does.
    """
    op, sources = network.nodes[name].op, [values[source] for source in network.nodes[name].inputs]
    result: Tensor = op.of_means(*sources) if isinstance(op, Stateful) else op(*sources)
    return result
